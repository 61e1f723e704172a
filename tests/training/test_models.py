"""gitml models, show and diff."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import TOY, commit, gitml, packed, write


@pytest.fixture(scope="module")
def made(trained_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two committed versions, the first of them in production."""
    app = Path(shutil.copytree(trained_template, tmp_path_factory.mktemp("two") / "app", symlinks=True))
    write(app, {"params.yaml": TOY["params.yaml"].replace("rate: 0.5", "rate: 0.9")})
    assert gitml(app, "train").code == 0
    commit(app, "another rate")
    oldest = sorted((app / "models/m/versions").iterdir())[0]
    sha = json.loads(oldest.read_text())["files"]["artifacts/m/model.onnx"]["sha256"]
    write(app, {"models/m/production.yaml": f"champion:\n  version: {oldest.stem}\n  digest: '{sha}'\n"})
    commit(app, "production")
    return packed(app)


@pytest.fixture
def two(made: Path, tmp_path: Path) -> Path:
    """A copy of it, for one test."""
    return Path(shutil.copytree(made, tmp_path / "app", symlinks=True))


def test_models_lists_each_model_with_its_newest_version(two: Path) -> None:
    newest = sorted((two / "models/m/versions").iterdir())[1].stem
    done = gitml(two, "models")
    assert newest[-8:] in done.out
    (entry,) = json.loads(gitml(two, "models", "--json").out)
    assert entry["count"] == 2
    assert entry["versions"][0]["version"] == newest
    assert entry["deployed"][0]["environment"] == "production"


def test_versions_of_a_model_newest_first(two: Path) -> None:
    done = gitml(two, "models", "m")
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["version", "created"]
    assert lines[2].endswith("production")
    listed = json.loads(gitml(two, "models", "m", "--json").out)["versions"]
    assert [v["version"] for v in listed] == sorted((v["version"] for v in listed), reverse=True)
    limited = gitml(two, "models", "m", "-n", "1")
    assert len(limited.out.splitlines()) == 2
    assert "1 older" in limited.err


def test_an_unreadable_record_is_listed_as_such(two: Path) -> None:
    path = sorted((two / "models/m/versions").iterdir())[0]
    path.write_text("{")
    done = gitml(two, "models", "m")
    assert done.code == 0
    assert "unreadable" in done.out
    assert path.name in gitml(two, "check").out


def test_show_tells_the_whole_lineage(two: Path) -> None:
    done = gitml(two, "show", "m@production")
    assert done.code == 0, done.err
    for part in ("stage ingest", "python train.py", "rate", "0.5", "artifacts/m/model.onnx", "production (champion)"):
        assert part in done.out
    data = json.loads(gitml(two, "show", "m@production", "--json").out)
    assert data["deployed"] == [{"environment": "production", "role": "champion"}]
    assert data["stages"]["train"]["cmd"] == ["python train.py"]


def test_diff_shows_what_changed(two: Path) -> None:
    done = gitml(two, "diff", "m@production", "m")
    assert done.code == 0, done.err
    assert "rate" in done.out
    assert "the same: data, code, stages, packages, signature" in done.out
    title, header = done.out.splitlines()[0], done.out.splitlines()[2]
    old, new = (part.partition("@")[2] for part in title.split(" → "))
    assert header.split()[:4] == ["metric", old, new, "difference"], "A's column first in `diff A B`"
    data = json.loads(gitml(two, "diff", "m@production", "m", "--json").out)
    assert data["params"] == [{"name": "rate", "old": "0.5", "new": "0.9"}]
    accuracy = next(m for m in data["metrics"] if m["metric"] == "accuracy")
    assert accuracy["paired"]
    assert accuracy["reading"] == "better"


def test_without_the_cache_replicates_come_from_git(two: Path, tmp_path: Path) -> None:
    from conftest import git

    git(tmp_path, "clone", "-q", str(two), "clone")
    data = json.loads(gitml(tmp_path / "clone", "diff", "m@production", "m", "--json").out)
    assert all(m["paired"] for m in data["metrics"])


def test_a_model_without_versions(toy: Path) -> None:
    assert "none yet" in gitml(toy, "models").out
    assert "run `gitml train m`" in gitml(toy, "show", "m").err
    assert gitml(toy, "models", "m").code == 0
    assert gitml(toy, "models", "x").code == 2
