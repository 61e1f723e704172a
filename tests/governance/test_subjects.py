"""Finding a person: in the data of every version, in what was trained on them, and where that runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conftest import gitml
from gitml.dvc.repository import Dvc
from gitml.git.tree import WorkTree
from gitml.governance.dataversions import SubjectData
from gitml.governance.subjectfind import find_subject
from gitml.governance.subjectids import SoughtPerson, needed_ring, new_key, token_of
from gitml.registry.erasures import Erasure
from gitml.registry.store import record_in
from gitml.spec import load_application
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


def test_an_erased_version_says_so_and_its_data_go(town: Town, tmp_path: Path) -> None:
    template, (first, second, third) = town
    app = copied(template, tmp_path)
    assert gitml(app, "subject", "gc", "--request", "R-7", env=ENV).code == 2
    (app / "erasures").mkdir()
    (app / "erasures/R-7.json").write_bytes(request(app).content())
    (app / "models/m/production.yaml").unlink()
    done = gitml(app, "reproduce", f"m@{first}")
    assert done.code == 3
    assert "were erased under request R-7" in done.out + done.err
    assert gitml(app, "subject", "gc", "--request", "R-7", "--json").code == 2  # without the keys
    dry = json.loads(gitml(app, "subject", "gc", "--request", "R-7", "--json", env=ENV).out)
    assert [len(one["left"]) > 0 for one in dry["stores"]] == [True, True]
    # The newest data have her still: these objects are not deleted while main names them.
    assert any("is named by main's data now" in text for text in dry["stays"])
    done = gitml(app, "subject", "gc", "--request", "R-7", "--yes", "--json", env=ENV)
    assert done.code == 3
    told = json.loads(done.out)
    assert [(one["left"], one["not_reached"]) for one in told["stores"]] == [([], ""), ([], "")]
    gone = {one["oid"] for one in told["objects"]}
    assert gone
    for store in (app / ".dvc/cache/files/md5", tmp_path / "store/files/md5"):
        there = {path.parent.name + path.name for path in store.glob("??/*")}
        assert not gone & there
        assert outs(app, second) <= there  # nobody else's version lost anything
        assert outs(app, third) - outs(app, first) <= there
    assert gitml(app, "gc", "--dry-run").code == 0  # the lists of folders are there: what is needed is known


def request(app: Path) -> Erasure:
    """As `gitml subject erase` files it."""
    spec = load_application(app).subjects
    assert spec is not None
    ring = needed_ring(spec, ENV)
    with Dvc(app) as dvc:
        data = SubjectData(dvc, spec, ring)
        found = find_subject(WorkTree(app), data, SoughtPerson.by_id(ring, ADA, spec.form))
    return Erasure(
        request="R-7", key=ring.current.name, subject=token_of(ring.current.entry(ADA.casefold()), "R-7"),
        filed="2026-11-30T12:00:00Z", retrain_by="2027-02-28",
        data={one.data.digest: one.data.path for one in found.data},
        objects={file.oid: file.path for one in found.data for file in one.files},
    )  # fmt: skip


def outs(app: Path, version: str) -> set[str]:
    record = record_in(WorkTree(app), "m", version)
    return {c.digest.removeprefix("md5:") for c in record.contents().values() if c.path != "artifacts/m/metrics.json"}
