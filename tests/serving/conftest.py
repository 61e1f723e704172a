"""A real server on loopback, with models that were really fitted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.serving.app import create_app
from gitml.serving.auth import Access
from gitml.serving.limits import Limits
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from serving_models import SIGNATURE, fitted, saved
from serving_server import Kept, Served


@pytest.fixture(scope="session")
def boosting(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    path = saved(fitted("boosting"), tmp_path_factory.mktemp("serving") / "model.skops")
    return load(path, "skops", SIGNATURE, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def start() -> Iterator[Callable[..., Served]]:
    """Start a server for some models; it ends with the test."""
    with ExitStack() as stack:

        def started(
            models: Mapping[str, Predictor],
            *,
            limits: Limits | None = None,
            tokens: Mapping[str, Access] | None = None,
            **roles: Any,
        ) -> Served:
            state, log = ServerState("production", limits), Kept()
            app = create_app(state, log, tokens=tokens)
            running = stack.enter_context(serving(app, state, Listen(port=0, grace=2)))
            client = stack.enter_context(httpx.Client(base_url=running.url, trust_env=False))
            found = Served(state, log, client, running.port, running.missing)
            if models:
                found.deploy(models, **roles)
            return found

        yield started
