"""Beside the models of a server's process: live distances from their references, and how old the newest look is."""

from __future__ import annotations

import re
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from agent.apart import apart, given, order
from agent.kit import sha256, trained
from gitml.agent.messages import GivenVersion
from gitml.agent.view import View
from gitml.monitoring.reference import Part, write
from gitml.registry.record import File

pytestmark = pytest.mark.slow


def with_reference(version: GivenVersion, path: Path) -> GivenVersion:
    """The same version, whose inputs are normal numbers around 0."""
    rng = np.random.default_rng(4)
    rows = pd.DataFrame({"a": rng.normal(size=3000), "b": rng.normal(size=3000)})
    write(path, Part(rows, ("a", "b")))
    name = "artifacts/m/reference.json"
    files = {**version.record.files, name: File(sha256=sha256(path), size=path.stat().st_size)}
    record = version.record.model_copy(update={"files": files, "roles": {**version.record.roles, "reference": name}})
    return version.model_copy(update={"record": record, "files": {**version.files, name: str(path)}})


@pytest.mark.nightly
def test_prometheus_sees_live_distances_and_the_age_of_looks(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    version = with_reference(given("m", *trained(cache, "m", 2.0)), cache / "reference.json")
    with apart(tmp_path, log=str(tmp_path / "log")) as served:
        served.supervisor.serve(order(version))
        looks = [{"model": "m", "window": 604_800.0, "newest": "2026-01-05T00:00:00Z"}]
        served.supervisor.tell(View("production", "ada/flights", "agent", extra={"looks": looks}))
        served.supervisor.open()
        rows = {"a": [5.0] * 150, "b": np.random.default_rng(5).normal(size=150).tolist()}
        assert httpx.post(f"{served.url}/models/m/predict", json={"columns": rows}).status_code == 200
        end = time.monotonic() + 30
        while "gitml_live_distance{" not in (text := httpx.get(f"{served.url}/metrics").text):
            assert time.monotonic() < end, "the rows were never counted"
            time.sleep(0.1)
    distances = dict(re.findall(r'gitml_live_distance\{column="(\w)",model="m",version="[^"]+"\} (\S+)', text))
    assert float(distances["a"]) > 0.95
    assert float(distances["b"]) < 0.2
    assert 'gitml_look_window_seconds{model="m"} 604800.0' in text
    assert 'gitml_look_age_seconds{model="m"}' in text
