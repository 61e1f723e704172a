"""``gitml gc``: what it keeps, what it deletes, and when it refuses, on real caches and remotes."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from conftest import Ran, commit, dvc, git, gitml

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
SetParams = Callable[[Path, str, str], None]


def gc(app: Path, *words: str) -> Ran:
    """With an age that lets go of what the test just made."""
    return gitml(app, "gc", "--min-age", "1s", *words)


def objects(app: Path, store: str = ".dvc/cache/files/md5") -> set[str]:
    return {p.parent.name + p.name for p in (app / store).glob("??/*")}


def oids(app: Path, record: str = "") -> set[str]:
    """Names of objects of the outputs in the newest record, or the one given."""
    path = app / record if record else sorted((app / "models/m/versions").glob("*.json"))[-1]
    stages = json.loads(path.read_text())["stages"].values()
    return {out["digest"].removeprefix("md5:") for stage in stages for out in stage["outs"]}


def put(app: Path, content: str) -> str:
    """An object that nothing names."""
    oid = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
    path = app / ".dvc/cache/files/md5" / oid[:2] / oid[2:]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return oid


def age() -> None:
    time.sleep(1.2)


@pytest.fixture
def twice(trained: Path, set_params: SetParams) -> Path:
    """Two versions, and a workspace that was changed back by hand: dvc.lock names the second alone."""
    set_params(trained, "rate: 0.5", "rate: 0.7")
    assert gitml(trained, "train").code == 0
    commit(trained, "second")
    return trained


def test_keeps_artifacts_that_only_a_record_names_and_dvc_gc_would_delete(twice: Path, tmp_path: Path) -> None:
    first, _ = sorted((twice / "models/m/versions").glob("*.json"))
    kept = oids(twice, str(first.relative_to(twice))) & objects(twice)
    loose = put(twice, "left over")
    copy = Path(shutil.copytree(twice, tmp_path / "copy", symlinks=True))
    dvc(copy, "gc", "-w", "-f")
    assert not kept <= objects(copy)  # DVC's own gc loses a recorded artifact
    age()
    before = objects(twice)
    done = gc(twice, "--yes")
    assert done.code == 0, done.err
    assert before - objects(twice) == {loose}
    assert "1 object deleted" in done.out
    restored = gitml(twice, "show", "m@latest")
    assert restored.code == 0


def test_dry_run_and_no_terminal_delete_nothing(trained: Path) -> None:
    put(trained, "left over")
    age()
    before = objects(trained)
    dry = gc(trained, "--dry-run", "--json")
    assert dry.code == 0
    told = json.loads(dry.out)
    assert [u["bytes"] for u in told["stores"][0]["unneeded"]] == [9]
    assert told["deleted"] is None
    refused = gc(trained)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert "1 object that nothing names (9 B)" in refused.out
    assert objects(trained) == before


def test_asks_on_a_terminal(trained: Path) -> None:
    loose = put(trained, "left over")
    age()
    for answer, gone in (("n", False), ("y", True)):
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        command = [sys.executable, "-m", "gitml", "gc", "--min-age", "1s"]
        done = subprocess.run(command, cwd=trained, stdin=theirs, capture_output=True, text=True, timeout=120)
        os.close(ours)
        os.close(theirs)
        assert "delete 1 object from the cache?" in done.stderr
        assert done.returncode == 0
        assert (loose not in objects(trained)) == gone


def test_what_is_young_stays(trained: Path) -> None:
    loose = put(trained, "left over")
    os.utime(trained / ".dvc/cache/files/md5" / loose[:2] / loose[2:], (0, 0))  # moved in just now, written long ago
    done = gitml(trained, "gc", "--yes")
    assert done.code == 0
    assert "only because they are young" in done.out
    assert loose in objects(trained)


def test_branches_tags_stashes_index_and_other_work_trees_keep_what_they_name(
    trained: Path, set_params: SetParams, tmp_path: Path
) -> None:
    base = git(trained, "rev-parse", "HEAD")
    kept = {}
    for number, place in enumerate(("branch", "tag", "stash", "worktree", "index", "gone")):
        git(trained, "checkout", "-q", "--detach", base)
        set_params(trained, "rate: 0.5", f"rate: 0.{number + 1}1")
        assert gitml(trained, "train").code == 0
        kept[place] = oids(trained) & objects(trained)
        git(trained, "add", ".")
        if place == "stash":
            git(trained, "stash", "-q")
        elif place == "index":
            tree = git(trained, "write-tree")
            git(trained, "reset", "-q", "--hard", base)
        else:
            git(trained, "commit", "-qm", place)
            head = git(trained, "rev-parse", "HEAD")
            git(trained, "checkout", "-q", "--detach", base)
        if place == "branch":
            git(trained, "branch", "other", head)
        elif place == "tag":
            git(trained, "tag", "-a", "v1", "-m", "v1", head)
        elif place == "worktree":
            git(trained, "worktree", "add", "-q", "--detach", str(tmp_path / "elsewhere"), head)
    git(trained, "checkout", "-q", "main")
    git(trained, "read-tree", tree)
    (trained / ".git/ORIG_HEAD").unlink(missing_ok=True)
    age()
    done = gc(trained, "--yes", "--json")
    assert done.code == 0, done.err
    left = objects(trained)
    for place in ("branch", "tag", "stash", "worktree", "index"):
        assert kept[place] <= left, place
    lost = kept["gone"] - left
    assert lost
    told = json.loads(done.out)
    labels = {u["oid"]: u["label"] for u in told["stores"][0]["unneeded"]}
    assert set(labels) >= lost
    assert any("artifacts/m/model.onnx" in label for label in labels.values())
    assert told["notes"] >= 1  # the run that it came from restores nothing any more
    assert gitml(trained, "train").code == 0


def test_a_folder_keeps_its_files(trained: Path) -> None:
    git(trained, "rm", "-q", "--cached", "dvc.lock")
    (trained / "dvc.lock").unlink()
    shutil.rmtree(trained / "data")
    age()
    before = objects(trained)
    assert any(oid.endswith(".dir") for oid in before)
    assert gc(trained, "--yes").code == 0
    assert objects(trained) == before


@pytest.mark.parametrize("damage", ["missing", "shortened"])
def test_nothing_goes_when_a_listing_cannot_be_read(trained: Path, damage: str) -> None:
    (listing,) = [p for p in (trained / ".dvc/cache/files/md5").glob("*/*.dir") if b"rows.txt" in p.read_bytes()]
    raw = listing.read_bytes()
    listing.unlink()
    if damage == "shortened":
        listing.write_text("[]")
    loose = put(trained, "left over")
    age()
    done = gc(trained, "--yes")
    assert done.code == 3
    assert listing.name in done.err
    assert ".json names" in done.err or "dvc.lock names" in done.err
    assert "nothing was deleted" in done.err
    assert loose in objects(trained)
    listing.unlink(missing_ok=True)
    listing.write_bytes(raw)
    age()
    assert gc(trained, "--yes").code == 0
    assert loose not in objects(trained)


def with_remote(app: Path, tmp_path: Path) -> Path:
    store = tmp_path / "store"
    dvc(app, "remote", "add", "-d", "store", str(store))
    dvc(app, "push")
    commit(app, "remote")
    return store


def test_the_remote_is_cleaned_too_and_fills_again(twice: Path, tmp_path: Path) -> None:
    with_remote(twice, tmp_path)
    (newest,) = sorted((twice / "models/m/versions").glob("*.json"))[1:]
    newest.unlink()
    going = oids(twice, str(sorted((twice / "models/m/versions").glob("*.json"))[0].relative_to(twice)))
    lock = git(twice, "show", "HEAD~2:dvc.lock")
    (twice / "dvc.lock").write_text(lock)
    commit(twice, "the second was a mistake")
    git(twice, "reset", "-q", "--soft", git(twice, "rev-list", "--max-parents=0", "HEAD"))
    git(twice, "commit", "-qam", "squashed")
    (twice / ".git/ORIG_HEAD").unlink()
    age()
    before = objects(tmp_path, "store/files/md5")
    done = gc(twice, "--remote", "store", "--yes", "--json")
    assert done.code == 0, done.err
    gone = before - objects(tmp_path, "store/files/md5")
    assert gone
    assert not gone & going
    assert json.loads(done.out)["deleted"]["remote store"]["objects"] == len(gone)
    # DVC must not believe that the remote still has what was deleted.
    assert gitml(twice, "train").code == 0
    git(twice, "checkout", "-q", "--", "params.yaml")
    dvc(twice, "push")
    assert gitml(twice, "gc", "--remote", "nowhere").code == 2


def test_the_remote_is_left_alone_while_others_may_know_more(trained: Path, tmp_path: Path) -> None:
    store = with_remote(trained, tmp_path)
    hub = tmp_path / "hub.git"
    git(tmp_path, "clone", "-q", "--bare", str(trained), str(hub))
    git(trained, "remote", "add", "origin", str(hub))
    git(trained, "fetch", "-q")
    other = tmp_path / "colleague"
    git(tmp_path, "clone", "-q", str(hub), str(other))
    (other / "note").write_text("work")
    commit(other, "work")
    git(other, "push", "-q", "origin", "HEAD:refs/heads/feature")
    before = objects(store, "files/md5")
    refused = gc(trained, "--remote", "store", "--yes")
    assert refused.code == 3
    assert "refs/heads/feature" in refused.err
    assert "git fetch" in refused.err
    git(trained, "fetch", "-q")
    assert gc(trained, "--remote", "store", "--yes").code == 0
    assert objects(store, "files/md5") == before
    hub.rename(tmp_path / "moved.git")
    refused = gc(trained, "--remote", "store", "--yes")
    assert refused.code == 3
    assert "not known" in refused.err
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{other}", str(shallow))
    refused = gc(shallow, "--remote", "store", "--yes")
    assert refused.code == 3
    assert "shallow" in refused.err


def test_a_deployment_of_a_lost_record_stops_everything(trained: Path) -> None:
    pinned = "champion: {version: 20200101T000000Z-deadbeef, digest: " + "0" * 64 + "}\n"
    (trained / "models/m/staging.yaml").write_text(pinned)
    loose = put(trained, "left over")
    age()
    done = gc(trained, "--yes")
    assert done.code == 3
    assert "20200101T000000Z-deadbeef" in done.err
    assert loose in objects(trained)


def test_a_deployment_keeps_a_version_whose_record_left_the_tips(trained: Path, set_params: SetParams) -> None:
    (record,) = (trained / "models/m/versions").glob("*.json")
    digest = json.loads(record.read_text())["files"]["artifacts/m/model.onnx"]["sha256"]
    kept = oids(trained) & objects(trained)
    record.unlink()
    set_params(trained, "rate: 0.5", "rate: 0.7")
    (trained / "models/m/staging.yaml").write_text(f"champion: {{version: {record.stem}, digest: {digest}}}\n")
    assert gitml(trained, "train").code == 0
    commit(trained, "record removed by mistake")
    age()
    assert gc(trained, "--yes").code == 0
    assert kept <= objects(trained)


def test_a_cache_outside_the_repository_is_not_touched(trained: Path, tmp_path: Path) -> None:
    dvc(trained, "cache", "dir", str(tmp_path / "shared"))
    done = gc(trained, "--yes")
    assert done.code == 3
    assert "outside this repository" in done.err


def test_links_into_the_cache_keep_what_they_point_to(trained: Path) -> None:
    loose = put(trained, "linked")
    (trained / "linked.bin").symlink_to(trained / ".dvc/cache/files/md5" / loose[:2] / loose[2:])
    age()
    assert gc(trained, "--yes").code == 0
    assert (trained / "linked.bin").read_text() == "linked"


def test_waits_for_a_training_or_says_who_trains(trained: Path) -> None:
    with filelock.FileLock(trained / ".dvc/tmp/gitml/train.lock"):
        done = gc(trained, "--yes", "--no-wait")
    assert done.code == 4
    assert "training here" in done.err


def test_works_in_a_sub_folder_of_a_larger_repository(trained: Path, tmp_path: Path) -> None:
    top = tmp_path / "mono"
    shutil.copytree(trained, top / "apps/toy app", symlinks=True, ignore=shutil.ignore_patterns(".git"))
    git(top, "init", "-q", "-b", "main")
    commit(top, "all")
    (top / "apps/toy app/dvc.lock").unlink()
    loose = put(top / "apps/toy app", "left over")
    age()
    before = objects(top / "apps/toy app")
    assert gc(top / "apps/toy app", "--yes").code == 0
    assert before - objects(top / "apps/toy app") == {loose}
