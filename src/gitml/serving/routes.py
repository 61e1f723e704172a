"""Which addresses a server has, and by which methods each is asked."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["page", "model", "predict", "explain", "labels", "events", "metadata", "ready", "infer"]

PAGES = ("/", "/docs", "/openapi.json", "/metrics", "/v2", "/v2/health/live", "/v2/health/ready")
READ, WRITE = ("GET", "HEAD"), ("POST",)


class Route(NamedTuple):
    """``name`` of a model and ``version``, empty where the address has none."""

    kind: Kind
    methods: tuple[str, ...]
    name: str = ""
    version: str = ""


@lru_cache(maxsize=256)  # callers ask for the same few, over and over
def route(path: str) -> Route | None:
    """What is at ``path``, whether or not there is a model of that name; None for nothing.

    >>> route("/v2/models/delay/infer"), route("/models/delay/x")
    (Route(kind='infer', methods=('POST',), name='delay', version=''), None)
    """
    match path.strip("/").split("/"):
        case ["models", name, "predict"]:
            return Route("predict", WRITE, name)
        case ["models", name, "explain"]:
            return Route("explain", WRITE, name)
        case ["v2", "models", name, "infer"]:
            return Route("infer", WRITE, name)
        case ["v2", "models", name, "versions", version, "infer"]:
            return Route("infer", WRITE, name, version)
        case ["models", name, "labels"]:
            return Route("labels", WRITE, name)
        case ["events"]:
            return Route("events", WRITE)
        case ["models", name]:
            return Route("model", READ, name)
        case ["v2", "models", name]:
            return Route("metadata", READ, name)
        case ["v2", "models", name, "versions", version]:
            return Route("metadata", READ, name, version)
        case ["v2", "models", name, "ready"]:
            return Route("ready", READ, name)
        case ["v2", "models", name, "versions", version, "ready"]:
            return Route("ready", READ, name, version)
    return Route("page", READ) if (path.rstrip("/") or "/") in PAGES else None
