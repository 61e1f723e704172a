"""Nothing to do, seen without DVC: what a training looked at is as old as it was, or DVC is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import at_home, dvc, gitml

NOTE = ".dvc/tmp/gitml/standing.json"
CALLED = """\
import sys
from gitml.cli.main import main
try:
    main(["train", "--json"])
finally:
    print("dvc.repo" in sys.modules, file=sys.stderr)
"""


@pytest.fixture
def rested(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trained, and seen once to have nothing to do, on a person's machine."""
    monkeypatch.delenv("CI", raising=False)
    time.sleep(0.02)  # the copy's files are older than the clock's next tick
    assert gitml(trained, "train").code == 0
    assert (trained / NOTE).exists()
    return trained


def asked_dvc(root: Path, **env: str) -> bool:
    """Whether `gitml train` loaded DVC, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CALLED], cwd=root, env={**at_home(), **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1] == "True"


@pytest.mark.slow
def test_the_same_answer_without_dvc(rested: Path) -> None:
    note = rested / NOTE
    kept = note.read_bytes()
    quick = gitml(rested, "train", "--json")
    assert note.read_bytes() == kept, "DVC was asked, and wrote it anew"
    assert not asked_dvc(rested)
    note.unlink()
    asked = gitml(rested, "train", "--json")
    assert (quick.code, quick.out, quick.err) == (asked.code, asked.out, asked.err)


def restored(path: Path, text: str) -> None:
    """Other bytes, as many, with the time of the old ones: only the change of the inode tells."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "params": lambda root: restored(root / "params.yaml", "rows: 20\nrate: 0.6\nnoise: false\n"),
    "code": lambda root: (root / "train.py").write_text((root / "train.py").read_text() + "\n"),
    "data": lambda root: restored(root / "data/rows.txt", (root / "data/rows.txt").read_text().replace("7", "8")),
    "a file more in a folder": lambda root: (root / "data/more.txt").write_text("1\n"),
    "an output is gone": lambda root: (root / "artifacts/m/model.onnx").unlink(),
    "an object of the cache is gone": lambda root: shutil.rmtree(root / ".dvc/cache"),
    "another description of stages": lambda root: (root / "notes").mkdir(),
    "the lock": lambda root: (root / "dvc.lock").unlink(),
    "the record": lambda root: next((root / "models/m/versions").iterdir()).unlink(),
    "the runs of this clone": lambda root: shutil.rmtree(root / ".dvc/tmp/gitml/runs"),
    "settings": lambda root: dvc(root, "remote", "add", "-d", "r", str(root.parent / "remote")),
    "gitml.yaml": lambda root: (root / "gitml.yaml").write_text((root / "gitml.yaml").read_text() + "\n"),
}


@pytest.mark.slow
def test_whatever_changed_is_for_dvc(rested: Path, tmp_path: Path) -> None:
    from gitml.training.standing import standing

    assert standing(rested, ()) is not None
    for name, change in CHANGES.items():
        place = tmp_path / "one" / "app"
        shutil.rmtree(tmp_path / "one", ignore_errors=True)
        shutil.copytree(rested, place, symlinks=True)
        assert standing(place, ()) is None, "what it noted is of the clone that it was copied from"
        renoted(place, rested)
        assert standing(place, ()) is not None, name
        time.sleep(0.02)  # the copy is noted although it is new: the change must have another time
        change(place)
        assert standing(place, ()) is None, name


def renoted(place: Path, made: Path) -> None:
    """The note of a copy as if it had been made there: other inodes at other places, seen now."""
    from gitml.training.standing import _about, _look

    noted = json.loads((place / NOTE).read_text().replace(str(made), str(place)))
    noted["about"] = _about(place)
    noted["seen"] = _look(noted["places"]).digest
    (place / NOTE).write_text(json.dumps(noted))


def test_what_changed_while_dvc_looked_is_looked_at_again(tmp_path: Path) -> None:
    """Its time is that of the look: it may change once more and keep this time."""
    from gitml.training.standing import begin, remember

    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("x")
    time.sleep(0.02)
    since = begin(tmp_path)
    new.write_text("x")
    remember(tmp_path, since, [str(old), str(tmp_path / "nothing")], [], [])
    assert (tmp_path / NOTE).exists()
    remember(tmp_path, since, [str(old), str(new)], [], [])
    assert not (tmp_path / NOTE).exists(), "nor is the earlier look believed"
    remember(tmp_path, since, [str(old), "/dev/null"], [], [])
    assert not (tmp_path / NOTE).exists(), "another disk has another clock"
    remember(tmp_path, since, None, [], [])
    assert not (tmp_path / NOTE).exists()


@pytest.mark.slow
def test_other_questions_are_for_dvc(rested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gitml.training.standing import standing

    assert standing(rested, ["m"]) is not None
    assert standing(rested, ["nosuch"]) is None
    with monkeypatch.context() as patch:
        patch.setenv("CI", "true")
        assert standing(rested, ()) is None
    with monkeypatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(rested))
        assert standing(rested, ()) is None
    (rested / NOTE).write_text("{")
    assert standing(rested, ()) is None
