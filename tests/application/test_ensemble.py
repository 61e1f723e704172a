"""The example flight-ensemble: what is pinned is what is combined, and nothing else."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
import yaml

from application.staging import PIPELINES, ROOT
from gitml.project.templates import template

sys.path.insert(0, str(ROOT / "examples/flight-ensemble/pipelines"))

import blend
import linear
import pin
from files import StageError
from training import Split

EXAMPLE = ROOT / "examples/flight-ensemble"
INPUTS = {"carrier": ["AA", "UA"] * 20, "origin": "EWR", "dest": "ORD", "distance": range(40), "plane_age": 3.0}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application with two versions of `delay` and one of `linear`; the artifact of each is a fitted regression."""
    monkeypatch.chdir(tmp_path)
    for model, version, seed in (
        ("delay", "20260101T000000Z-aaaa1111", 0),
        ("delay", "20260102T000000Z-aaaa2222", 1),
        ("linear", "20260101T000000Z-bbbb1111", 2),
    ):
        write_version(tmp_path, model, version, seed)
    (tmp_path / "members").mkdir()
    return tmp_path


def fitted(seed: int) -> Any:
    rows = pd.DataFrame(INPUTS)
    late = np.random.default_rng(seed).integers(0, 2, len(rows))
    return linear.build({"regularization": 1.0}, list(rows)).fit(rows, late)


def write_version(root: Path, model: str, version: str, seed: int) -> None:
    """A record as `gitml train` writes it, as far as the script reads it."""
    place = root / "store" / version
    place.parent.mkdir(exist_ok=True)
    skops.io.dump(fitted(seed), place)
    artifact = f"artifacts/{model}/model.skops"
    found = {"sha256": hashlib.sha256(place.read_bytes()).hexdigest(), "size": place.stat().st_size}
    record = {
        "model": model,
        "version": version,
        "artifact": artifact,
        "files": {artifact: found},
        "signature": {"data_until": "2013-01-23"},
        "stages": {"train": {"outs": [{"path": artifact, "digest": f"md5:{seed:032}"}]}},
    }
    path = root / "models" / model / "versions" / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")


def pinned(*references: str) -> list[dict[str, Any]]:
    sys.argv = ["pin.py", *references]
    pin.main()
    return list(yaml.safe_load(Path("members/pins.yaml").read_text(encoding="utf-8"))["members"])


def brought(root: Path, pins: list[dict[str, Any]]) -> None:
    """What DVC does with the .dvc files."""
    for said in pins:
        (root / said["file"]).write_bytes((root / "store" / said["version"]).read_bytes())


def modules_of(script: Path) -> set[Path]:
    """The script and what of the application it imports, directly or not."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    places = [folder / f"{name}.py" for name in names for folder in (EXAMPLE / "pipelines", PIPELINES)]
    return {script}.union(*(modules_of(place) for place in places if place.exists()))


def test_each_stage_depends_on_every_module_it_imports_and_on_its_lock() -> None:
    stages = yaml.safe_load((EXAMPLE / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert set(stages) == {"ingest", "prepare", "train", "evaluate", "linear", "blend"}
    for name in ("linear", "blend"):
        wanted = {path.name for path in modules_of(EXAMPLE / "pipelines" / f"{name}.py")} | {"requirements.lock"}
        declared = {dep.removeprefix("pipelines/") for dep in stages[name]["deps"] if dep.startswith("pipelines/")}
        assert declared == wanted, name
    assert "members" in stages["blend"]["deps"]
    shared = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name in ("ingest", "prepare", "train", "evaluate"):
        assert stages[name] == shared[name], name


def test_nothing_is_shared_that_no_stage_needs() -> None:
    scripts = {Path(path).name for path in template("flight-ensemble") if path.startswith("pipelines/")}
    stages = yaml.safe_load((EXAMPLE / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    used = {Path(dep).name for stage in stages for dep in stage["deps"] if dep.startswith("pipelines/")}
    assert scripts == used | {"pin.py", "requirements.in"}


def test_the_commands_of_the_readme_are_those_of_the_how_to() -> None:
    block = (EXAMPLE / "README.md").read_text(encoding="utf-8").split("```")[1].strip().splitlines()
    page = (ROOT / "docs/how-to/build-an-ensemble.md").read_text(encoding="utf-8")
    places = [page.index(f"$ {command}\n") for command in block]
    assert len(block) == 4
    assert places == sorted(places)


def test_the_newest_version_is_pinned_or_the_one_that_is_named(app: Path) -> None:
    assert [said["version"] for said in pinned("delay", "linear")] == [
        "20260102T000000Z-aaaa2222",
        "20260101T000000Z-bbbb1111",
    ]
    (app / "members/delay.skops").write_bytes(b"of the version before")
    pins = pinned("linear", "delay@aaaa1")
    assert [said["version"][-8:] for said in pins] == ["bbbb1111", "aaaa1111"]
    assert not (app / "members/delay.skops").exists(), "DVC would take it for a change of somebody's"
    tracked = yaml.safe_load((app / "members/delay.skops.dvc").read_text(encoding="utf-8"))["outs"][0]
    assert tracked == {"md5": f"{0:032}", "size": tracked["size"], "hash": "md5", "path": "delay.skops"}
    write_version(app, "other", "20260101T000000Z-cccc1111", 3)
    pinned("other", "delay")
    assert sorted(path.name for path in (app / "members").iterdir()) == [
        "delay.skops.dvc",
        "other.skops.dvc",
        "pins.yaml",
    ]


@pytest.mark.parametrize(
    ("references", "told"),
    [
        ([], "name two models"),
        (["delay"], "name two models"),
        (["delay", "delay@aaaa1111"], "named twice"),
        (["delay", "mlp"], "mlp has no version: gitml train mlp"),
        (["delay@cccc", "linear"], "delay has no version cccc"),
        (["delay@aaaa", "linear"], "delay@aaaa may be 20260101T000000Z-aaaa1111 or 20260102T000000Z-aaaa2222"),
        (["../delay", "linear"], "names no model"),
    ],
)
def test_what_cannot_be_pinned_is_refused_and_changes_nothing(app: Path, references: list[str], told: str) -> None:
    with pytest.raises(StageError, match=told.replace(".", r"\.")):
        pinned(*references)
    assert not list((app / "members").iterdir())


def test_members_are_exactly_what_was_pinned(app: Path) -> None:
    pins = pinned("delay", "linear")
    with pytest.raises(StageError, match=r"members/delay\.skops is not there: dvc pull"):
        blend.members()
    brought(app, pins)
    rows = pd.DataFrame(INPUTS)
    first, second = blend.members()
    assert np.array_equal(first.predict(rows), fitted(1).predict_proba(rows)[:, 1])
    assert second.columns == list(INPUTS)
    (app / "members/linear.skops").write_bytes((app / "members/delay.skops").read_bytes())
    with pytest.raises(StageError, match="is not the artifact of linear 20260101T000000Z-bbbb1111"):
        blend.members()
    (app / "members/pins.yaml").write_text("members: []\n", encoding="utf-8")
    with pytest.raises(StageError, match="names no two versions yet: train the members"):
        blend.members()


def test_a_member_that_knows_the_holdout_is_refused(app: Path) -> None:
    pins = pinned("delay", "linear")
    brought(app, pins)
    days = pd.DataFrame({"day": ["2013-01-22", "2013-01-23"]})
    blend.refuse_peeking(blend.members(), Split(days, days, []))
    with pytest.raises(StageError, match="delay knows days until 2013-01-23"):
        blend.refuse_peeking(blend.members(), Split(days, days.head(1), []))


def test_weights_favour_the_better_member_and_leave_none_out() -> None:
    truth = pd.Series([0, 1] * 50)
    good, bad = np.where(truth, 0.8, 0.2), np.where(truth, 0.4, 0.6)
    assert blend.weights(truth, [good, bad], 0.05) == [0.95, 0.05]
    assert blend.weights(truth, [bad, good, bad], 0.25) == [0.25, 0.5, 0.25]
    with pytest.raises(StageError, match=r"blend\.step is too large for 3 members"):
        blend.weights(truth, [bad, good, bad], 0.5)
