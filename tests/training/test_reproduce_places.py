"""Where a reproduction runs: commits, clones, folders; and what it leaves behind, also when it is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TOY, commit, dvc, git, gitml, write
from reproducing import edit, everything, reproduce

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where temporary folders go, so that a test can see what is left of them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_nothing_of_the_clone_changes(trained: Path, scratch: Path) -> None:
    (trained / "unfinished.txt").write_text("work of the user")
    write(trained, {"train.py": "raise SystemExit('half done')\n"})
    git(trained, "add", "unfinished.txt")
    status, before = git(trained, "status", "--porcelain"), everything(trained)
    found = reproduce(trained, TMPDIR=str(scratch))
    assert found["phase"] == "successful"
    after = everything(trained)
    # Git makes the folder of worktrees and takes it away again.
    changed = {p for p in before | after if before.get(p) != after.get(p)}
    assert changed <= {".git"}
    assert git(trained, "status", "--porcelain") == status
    assert list(scratch.iterdir()) == []
    assert git(trained, "worktree", "list").count("\n") == 0


def test_before_the_record_is_committed(toy: Path) -> None:
    gitml(toy, "train")
    found = reproduce(toy)
    assert found["phase"] == "successful"
    assert "the commit it was trained at" in found["reason"]


def test_a_record_of_no_commit_that_is_here(toy: Path, scratch: Path) -> None:
    gitml(toy, "train")
    edit(toy, lambda data: data.update(commit="1" * 40))
    found = reproduce(toy, TMPDIR=str(scratch))
    assert list(scratch.iterdir()) == []
    assert found["phase"] == "inconclusive"
    assert "no commit here brought in" in found["reason"]
    assert "fetch the branch" in found["reason"]


def test_after_a_squash_merge(toy: Path, set_params: Callable[[Path, str, str], None]) -> None:
    git(toy, "switch", "-qc", "faster")
    set_params(toy, "rate: 0.5", "rate: 0.7")
    commit(toy, "faster")
    gitml(toy, "train")
    commit(toy, "train")
    git(toy, "switch", "-q", "main")
    git(toy, "merge", "-q", "--squash", "faster")
    squashed = commit(toy, "faster, as one")
    git(toy, "branch", "-qD", "faster")
    git(toy, "commit", "--allow-empty", "-qm", "later")
    found = reproduce(toy)
    assert found["phase"] == "successful"
    assert found["measurements"]["commit"] == squashed


def test_a_squash_that_took_later_code_along(toy: Path, set_params: Callable[[Path, str, str], None]) -> None:
    git(toy, "switch", "-qc", "faster")
    gitml(toy, "train")
    trained_at = git(toy, "rev-parse", "HEAD")
    commit(toy, "train")
    set_params(toy, "rate: 0.5", "rate: 0.7")
    commit(toy, "not trained again")
    git(toy, "switch", "-q", "main")
    git(toy, "merge", "-q", "--squash", "faster")
    commit(toy, "as one")
    found = reproduce(toy)
    assert found["phase"] == "successful"
    assert found["measurements"]["commit"] == trained_at


def test_a_shallow_clone(toy: Path, tmp_path: Path, set_params: Callable[[Path, str, str], None]) -> None:
    gitml(toy, "train")
    edit(toy, lambda data: data.update(commit="1" * 40))
    commit(toy, "train")
    whole = f"file://{toy}"
    git(tmp_path, "clone", "-q", "--depth", "1", whole, "same")
    assert reproduce(tmp_path / "same")["phase"] == "successful"
    set_params(toy, "rate: 0.5", "rate: 0.7")
    commit(toy, "later code")
    git(tmp_path, "clone", "-q", "--depth", "1", whole, "later")
    found = reproduce(tmp_path / "later")
    assert found["phase"] == "inconclusive"
    assert "git fetch --unshallow" in found["reason"]
    git(tmp_path / "later", "fetch", "-q", "--unshallow")
    assert reproduce(tmp_path / "later")["phase"] == "successful"


def test_trained_with_uncommitted_params(toy: Path, set_params: Callable[[Path, str, str], None]) -> None:
    set_params(toy, "rate: 0.5", "rate: 0.7")
    gitml(toy, "train")
    git(toy, "checkout", "--", "params.yaml")
    commit(toy, "train")
    found = reproduce(toy)
    assert found["phase"] == "inconclusive"
    assert "trained with a params.yaml that was not committed" in found["reason"]


def test_trained_dirty_and_committed_whole(toy: Path, set_params: Callable[[Path, str, str], None]) -> None:
    set_params(toy, "rate: 0.5", "rate: 0.7")
    gitml(toy, "train")
    commit(toy, "train")
    found = reproduce(toy)
    assert found["phase"] == "successful"
    assert "although it was trained with uncommitted changes: params.yaml" in found["reason"]
    assert found["measurements"]["dirty"] == ["params.yaml"]


def test_in_a_folder_of_a_larger_repository(tmp_path: Path) -> None:
    top = tmp_path / "top"
    root = top / "apps" / "late flights"
    write(root, TOY)
    git(top, "init", "-q", "-b", "main")
    dvc(root, "init", "--subdir")
    commit(top, "start")
    assert gitml(root, "train").code == 0
    commit(top, "train")
    found = reproduce(root)
    assert found["phase"] == "successful", found["reason"]
    assert found["measurements"]["level"] == "byte-identical"
    shutil.rmtree(root / ".dvc")
    dvc(top, "init")
    refused = gitml(root, "reproduce", "m")
    assert refused.code == 2
    assert "dvc init --subdir" in refused.err


def with_data(toy: Path) -> None:
    """The toy with a data set that `dvc add` keeps, in the cache alone."""
    write(toy, {"extra/one.txt": "5\n", "extra/two.txt": "7\n"})
    dvc(toy, "add", "extra")
    text = TOY["dvc.yaml"].replace("deps: [data, train.py]", "deps: [data, extra, train.py]")
    write(toy, {"dvc.yaml": text, "train.py": "open('extra/two.txt').read()\n" + TOY["train.py"]})
    commit(toy, "data")
    done = gitml(toy, "train")
    assert done.code == 0, done.err
    commit(toy, "train")


def test_data_that_dvc_keeps(toy: Path) -> None:
    with_data(toy)
    shutil.rmtree(toy / "extra")
    before = everything(toy / ".dvc" / "cache")
    assert reproduce(toy)["measurements"]["level"] == "byte-identical"
    assert everything(toy / ".dvc" / "cache") == before
    assert not (toy / "extra").exists()
    shutil.rmtree(toy / ".dvc" / "cache")
    found = reproduce(toy)
    assert found["phase"] == "inconclusive"
    assert "neither in DVC's cache nor on a remote" in found["reason"]


def test_other_data_make_another_version(toy: Path) -> None:
    with_data(toy)
    write(toy, {"extra/two.txt": "8\n"})
    dvc(toy, "add", "extra")
    done = gitml(toy, "train")
    assert done.code == 0, done.err
    assert len(list((toy / "models" / "m" / "versions").glob("*.json"))) == 2


def test_a_stage_that_fails_here_proves_nothing(toy: Path) -> None:
    write(toy, {"train.py": "import os\nassert 'TOKEN' in os.environ, 'no token'\n" + TOY["train.py"]})
    commit(toy, "needs a token")
    assert gitml(toy, "train", env={"TOKEN": "1"}).code == 0
    commit(toy, "train")
    found = reproduce(toy)
    assert found["phase"] == "inconclusive"
    assert "no token" in found["reason"]
    assert reproduce(toy, TOKEN="1")["phase"] == "successful"


def test_a_hook_of_the_clone_does_not_run(trained: Path, tmp_path: Path) -> None:
    hook = trained / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch '{tmp_path / 'ran'}'\n")
    hook.chmod(0o755)
    assert reproduce(trained)["phase"] == "successful"
    assert not (tmp_path / "ran").exists()


def started(trained: Path, scratch: Path) -> subprocess.Popen[bytes]:
    """A reproduction in the middle of its stage `train`."""
    here = {k: v for k, v in os.environ.items() if k != "CI"}
    words = [sys.executable, "-m", "gitml", "reproduce", "m", "--environment", "current"]
    env = {**here, "TMPDIR": str(scratch), "SLOW": "1", "MARK": str(scratch / "mark")}
    # Shells start background jobs with SIGINT ignored, and children inherit that: a person's terminal does not.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(words, cwd=trained, env=env, stderr=subprocess.PIPE, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not (scratch / "mark").exists():
        assert time.monotonic() < deadline
        assert running.poll() is None, running.stderr and running.stderr.read()
        time.sleep(0.05)
    return running


@pytest.fixture
def slow_stage(toy: Path) -> Path:
    wait = "import os, time\nif 'SLOW' in os.environ:\n    open(os.environ['MARK'], 'w')\n    time.sleep(60)\n"
    write(toy, {"train.py": wait + TOY["train.py"]})
    commit(toy, "slow")
    gitml(toy, "train")
    commit(toy, "train")
    return toy


def test_ctrl_c_leaves_nothing(slow_stage: Path, scratch: Path) -> None:
    running = started(slow_stage, scratch)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130, said
    assert [p.name for p in scratch.iterdir()] == ["mark"]
    assert git(slow_stage, "worktree", "list").count("\n") == 0


def test_a_killed_run_does_not_block_the_next(slow_stage: Path, scratch: Path) -> None:
    running = started(slow_stage, scratch)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=30)
    assert git(slow_stage, "worktree", "list").count("\n") == 1
    assert reproduce(slow_stage, TMPDIR=str(scratch))["phase"] == "successful"
    assert [p.name for p in scratch.iterdir()] == ["mark"]
    assert git(slow_stage, "worktree", "list").count("\n") == 0


def test_two_at_once(trained: Path) -> None:
    words = [sys.executable, "-m", "gitml", "reproduce", "m", "--environment", "current"]
    running = [subprocess.Popen(words, cwd=trained, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert b"byte-identical" in out


def test_keep(trained: Path) -> None:
    found = reproduce(trained, "--keep")
    kept = Path(found["kept"])
    (tree,) = (p for p in kept.iterdir() if (p / "gitml.yaml").exists())
    try:
        assert (tree / "artifacts" / "m" / "model.onnx").read_text() == (trained / "artifacts/m/model.onnx").read_text()
        assert reproduce(trained)["phase"] == "successful"
        assert tree.exists()
    finally:
        git(trained, "worktree", "remove", "--force", str(tree))
        shutil.rmtree(kept)


def test_words_for_people(trained: Path) -> None:
    done = gitml(trained, "reproduce", "m", "--environment", "current")
    assert done.code == 0
    assert "successful\n  byte-identical: all 5 outputs have their recorded SHA-256\n" in done.out
    assert "train" in done.err


@pytest.mark.parametrize("tolerance", ["nan", "-1", "inf", "some"])
def test_a_tolerance_that_is_none(trained: Path, tolerance: str) -> None:
    assert gitml(trained, "reproduce", "m", "--tolerance", tolerance).code == 2


def test_an_unknown_version(trained: Path) -> None:
    done = gitml(trained, "reproduce", "m@beef")
    assert done.code == 2
    assert "candidates" in done.err
