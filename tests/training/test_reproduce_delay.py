"""The reference application's own record, reproduced for real: a fresh clone, an environment built from the lock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import git, gitml

HERE = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_the_committed_version_of_delay(tmp_path: Path) -> None:
    if not (HERE / ".git").exists() or git(HERE, "rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("not a whole clone of gitml's repository: the commit that trained the model is not here")
    if not git(HERE, "ls-files", "models/delay/versions"):
        pytest.skip("no version of delay is committed")
    git(tmp_path, "clone", "-q", str(HERE), "clone")
    done = gitml(tmp_path / "clone", "reproduce", "delay", "--json", env={"XDG_CACHE_HOME": str(tmp_path)}, timeout=900)
    assert done.code == 0, done.out + done.err
    found = json.loads(done.out)["measurements"]
    assert found["level"] in ("byte-identical", "prediction-identical")
    assert found["environment"] == "recorded"
    assert found["unlocked_packages"] == []
    assert git(tmp_path / "clone", "status", "--porcelain") == ""
