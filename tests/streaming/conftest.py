"""Two versions, of which the second is canary of half the units; and a broker that keeps transactions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.kit import sha256
from gitml.models.loading import load
from gitml.serving.state import ServerState
from gitml.spec.deployment import Canary, Deployment, Pin
from serving_models import SIGNATURE, fitted, saved
from serving_server import VERSIONS
from streamkit import broker_command, running_broker


@pytest.fixture(scope="package")
def state(tmp_path_factory: pytest.TempPathFactory) -> ServerState:
    folder, models, pins = tmp_path_factory.mktemp("models"), {}, []
    for name, version in zip(("boosting", "onehot"), VERSIONS, strict=False):
        path = saved(fitted(name), folder / f"{name}.skops")
        model = load(path, "skops", SIGNATURE, sha256=sha256(path))
        models[version] = model
        pins.append(Pin(version=version, digest=model.digest))
    wanted = Deployment(champion=pins[0], canary=Canary(**pins[1].model_dump(), weight=50))
    found = ServerState("production")
    found.swap(found.prepare("delay", wanted, models))
    return found


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    command = broker_command()
    if command is None:
        pytest.skip("needs a broker: make test-kafka installs one")
    with running_broker(command, tmp_path_factory.mktemp("broker")) as address:
        yield address
