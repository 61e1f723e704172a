"""Data that `dvc import` and `dvc import-url` brought in, in a clone that has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import commit, dvc, git, write
from gitml.dvc.repository import Dvc
from gitml.pipelines.coverage import covered

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

STAGE = "stages:\n  train:\n    cmd: cat data > m\n    deps: [data]\n    outs: [m]\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository that others import from: `kept` lies in Git, `big` on its DVC remote."""
    root = tmp_path / "source"
    write(root, {"kept": "1\n", "big": "2\n"})
    git(root, "init", "-q", "-b", "main")
    dvc(root, "init")
    dvc(root, "remote", "add", "-d", "store", str(tmp_path / "its store"))
    dvc(root, "add", "big")
    dvc(root, "push")
    commit(root, "data")
    return root


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    write(root, {"dvc.yaml": STAGE})
    git(root, "init", "-q", "-b", "main")
    dvc(root, "init")
    dvc(root, "remote", "add", "-d", "store", str(tmp_path / "store"))
    return root


def test_an_import_is_to_be_had_in_a_clone(source: Path, app: Path, tmp_path: Path) -> None:
    """`dvc push` leaves it out: it comes from where it was imported, as in `dvc pull`."""
    dvc(app, "import", str(source), "big", "-o", "data")
    commit(app, "imported")
    dvc(app, "push")
    git(tmp_path, "clone", "-q", str(app), "clone")
    with Dvc(tmp_path / "clone") as repo:
        assert list(covered(repo, ["data.dvc"], {}, {}, settled=False)) == ["data.dvc"]
        assert repo.restore("data.dvc")
    assert (tmp_path / "clone/data").read_text() == "2\n"


def test_a_place_outside_is_the_same_from_each_clone(app: Path, tmp_path: Path) -> None:
    write(tmp_path, {"outside.csv": "3\n"})
    dvc(app, "import-url", str(tmp_path / "outside.csv"), "data")
    commit(app, "imported")
    dvc(app, "push")
    git(tmp_path, "clone", "-q", str(app), "deep/er/clone")
    entries = []
    for root in (app, tmp_path / "deep/er/clone"):
        with Dvc(root) as repo:
            entries.append(repo.entry("data.dvc"))
            assert repo.restore("data.dvc")
    assert entries[0] == entries[1]
    assert entries[0]
    assert [dep.path for dep in entries[0].deps] == [str(tmp_path / "outside.csv")]


def test_a_part_of_an_imported_folder_is_known_in_a_clone(source: Path, app: Path, tmp_path: Path) -> None:
    write(source, {"many/a": "1\n", "many/b": "2\n"})
    dvc(source, "add", "many")
    dvc(source, "push")
    commit(source, "folder")
    write(app, {"dvc.yaml": STAGE.replace("cat data", "cat data/a").replace("[data]", "[data/a]")})
    dvc(app, "import", str(source), "many", "-o", "data")
    dvc(app, "repro")
    commit(app, "imported")
    git(tmp_path, "clone", "-q", str(app), "clone")
    with Dvc(tmp_path / "clone") as repo:
        data, train = repo.entry("data.dvc"), repo.entry("train")
        assert data
        assert train
        found = repo.expected("train", {out.path: out for out in data.outs})
    assert found
    assert found.inputs_digest() == train.inputs_digest()
