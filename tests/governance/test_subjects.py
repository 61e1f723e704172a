"""Finding a person: in the data of every version, in what was trained on them, and where that runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import gitml
from gitml.governance.subjectids import new_key
from governance.trained_people import ADA, BOB, ENV, KEYS, built, copied

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
Town = tuple[Path, tuple[str, ...]]


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    folder = tmp_path_factory.mktemp("people") / "app"
    return folder, built(folder)


def find(app: Path, who: str, env: dict[str, str] = ENV) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        ["gitml", "subject", "find", "--json"], cwd=app, input=f"{who}\n", text=True, capture_output=True,
        env={**os.environ, **env}, check=False,
    )  # fmt: skip
    assert who.strip() not in done.stderr + done.stdout
    return done.returncode, json.loads(done.stdout) if done.stdout else {"err": done.stderr}


def test_finds_versions_and_where_they_run(town: Town, tmp_path: Path) -> None:
    template, (first, second, third) = town
    app = copied(template, tmp_path)
    code, told = find(app, f"  {ADA.lower()}\u200b ")
    assert code == 0, told
    runs = {one["version"]: [(p["environment"], p["role"]) for p in one["runs"]] for one in told["versions"]}
    assert runs == {first: [("production", "champion")], third: [("production", "canary")]}
    code, told = find(app, BOB)
    assert {one["version"] for one in told["versions"]} == {first, second, third}
    code, told = find(app, "nobody@example.com")
    assert (code, told["versions"], told["data"]) == (0, [], [])


def test_keys_that_rotate_or_are_lost(town: Town, tmp_path: Path) -> None:
    app = copied(town[0], tmp_path)
    code, told = find(app, ADA, {"SUBJECT_KEYS": new_key("2026b")})
    assert code == 3
    assert "indexed with the key 2026a, which is not here" in told["reason"]
    code, told = find(app, ADA, {"SUBJECT_KEYS": new_key("2026a")})
    assert code == 3
    assert "made with another key" in told["reason"]
    both = {"SUBJECT_KEYS": f"{new_key('2026b')},{KEYS}"}
    assert len(find(app, ADA, both)[1]["versions"]) == 2  # nothing is hashed anew yet
    done = gitml(app, "subject", "index", "--json", env=both)
    assert json.loads(done.out) == {"made": 7, "problems": []}
    assert json.loads(gitml(app, "subject", "index", "--json", env=both).out)["made"] == 0
    new = {"SUBJECT_KEYS": both["SUBJECT_KEYS"].partition(",")[0]}
    assert len(find(app, ADA, new)[1]["versions"]) == 2
