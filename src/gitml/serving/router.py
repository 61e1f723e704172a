"""Which version answers a unit: a stable keyed hash, the same on every server and after every restart.

The key holds the candidate's name, so that the next experiment draws its units anew; a unit that has a candidate keeps
it while the weight grows.
"""

from __future__ import annotations

import json
from hashlib import blake2b

from gitml.spec.deployment import Deployment

_ALL = float(1 << 64)


def share(unit: str, *key: str) -> float:
    """Place of the unit in [0, 100), uniform over units and independent between keys."""
    # A zero byte cannot stand in names of models, environments or versions: no two keys run into one.
    secret = blake2b("\0".join(key).encode(), digest_size=32).digest()
    digest = blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=8, key=secret).digest()
    return int.from_bytes(digest, "big") / _ALL * 100


def takes(unit: str, percent: float, *key: str) -> bool:
    """Whether the unit is one of the ``percent`` that the key draws."""
    return percent >= 100 or share(unit, *key) < percent


def route(deployment: Deployment, unit: str, *, model: str, environment: str) -> str:
    """`canary` or `champion`."""
    canary = deployment.canary
    if canary is None:
        return "champion"
    drawn = takes(unit, canary.weight, "canary", model, environment, canary.version)
    return "canary" if drawn else "champion"


def epoch_of(deployment: Deployment, *, model: str, environment: str) -> str:
    """Changes with whatever decides which unit gets which version: versions, files, weights. Not with a hold."""
    routing = deployment.model_dump(mode="json", include={"champion", "canary", "shadow"})
    text = json.dumps([model, environment, routing], sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()
