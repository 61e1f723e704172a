"""gitml train, as a user sees it: real Git, real DVC, the command in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import TOY, at_home, commit, dvc, dvc_ran, git, gitml, write

pytestmark = pytest.mark.slow
SetParams = Callable[[Path, str, str], None]


def records(root: Path) -> list[Path]:
    return sorted((root / "models/m/versions").glob("*.json"))


def stages(root: Path, *words: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """What `gitml train` did with each stage."""
    done = gitml(root, "train", "--json", *words, env=env)
    assert done.code == 0, done.err
    return {s["stage"]: s["how"] for s in json.loads(done.out)[0]["stages"]}


ALL_RAN = {"ingest": "ran", "train": "ran", "evaluate": "ran"}
NOTHING = {"ingest": "up to date", "train": "up to date", "evaluate": "up to date"}


def test_a_first_training_leaves_a_record_and_a_second_says_nothing_changed(toy: Path) -> None:
    first = gitml(toy, "train")
    assert first.code == 0, first.err
    assert "new version m@" in first.out
    (path,) = records(toy)
    record = json.loads(path.read_text())
    assert record["origin"] == "local"
    assert record["commit"] == git(toy, "rev-parse", "HEAD")
    assert record["metrics"]["accuracy"]["value"] == pytest.approx(95 / 195)
    assert record["stages"]["train"]["params"] == {"params.yaml": {"noise": False, "rate": 0.5}}
    assert path.name.endswith(f"-{record['digest'][:8]}.json")
    second = gitml(toy, "train")
    assert "nothing changed" in second.out
    assert records(toy) == [path]


def test_a_change_is_compared_with_the_version_before(trained: Path, set_params: SetParams) -> None:
    set_params(trained, "rate: 0.5", "rate: 0.9")
    done = gitml(trained, "train", "--json")
    (result,) = json.loads(done.out)
    assert result["outcome"] == "new version"
    assert result["against"] == records(trained)[0].stem
    accuracy = next(d for d in result["differences"] if d["metric"] == "accuracy")
    assert accuracy["paired"]
    assert accuracy["reading"] == "better"
    assert accuracy["low"] <= accuracy["difference"] <= accuracy["high"]
    record = json.loads(records(trained)[1].read_text())
    assert record["dirty"] == ["params.yaml"]


def test_going_back_restores_what_an_earlier_run_gave_and_makes_no_new_version(
    trained: Path, set_params: SetParams
) -> None:
    set_params(trained, "rate: 0.5", "rate: 0.9")
    assert stages(trained)["train"] == "ran"
    set_params(trained, "rate: 0.9", "rate: 0.5")
    assert stages(trained) == {"ingest": "up to date", "train": "restored", "evaluate": "restored"}
    assert len(records(trained)) == 2
    set_params(trained, "rate: 0.5", "rate: 0.9")
    assert stages(trained, "--no-run-cache") == {"ingest": "up to date", "train": "ran", "evaluate": "ran"}
    assert len(records(trained)) == 2


def test_force_runs_everything_and_reports_a_reproduction(trained: Path) -> None:
    done = gitml(trained, "train", "--force")
    assert "was reproduced, with the same metrics" in done.out
    assert len(records(trained)) == 1


def test_a_clone_fetches_what_is_needed_and_one_without_the_remote_reproduces(
    trained: Path, tmp_path: Path, set_params: SetParams
) -> None:
    dvc(trained, "remote", "add", "-d", "store", str(tmp_path / "store"))
    dvc(trained, "push")
    commit(trained, "remote")
    git(tmp_path, "clone", "-q", str(trained), "with remote")
    clone = tmp_path / "with remote"
    assert stages(clone) == {"ingest": "not fetched", "train": "restored", "evaluate": "restored"}
    assert not (clone / "data").exists()
    assert (clone / "artifacts/m/model.onnx").is_file()
    assert len(records(clone)) == 1
    for _ in range(2):
        assert stages(clone) == {"ingest": "not fetched", "train": "up to date", "evaluate": "up to date"}
    set_params(clone, "rate: 0.5", "rate: 0.6")
    assert stages(clone) == {"ingest": "restored", "train": "ran", "evaluate": "ran"}
    assert (clone / "data/über uns.txt").read_text() == "names with spaces\n"
    shutil.rmtree(tmp_path / "store")
    git(tmp_path, "clone", "-q", str(trained), "without")
    assert stages(tmp_path / "without") == ALL_RAN
    assert len(records(tmp_path / "without")) == 1


def test_a_squash_merge_makes_no_new_version(trained: Path, set_params: SetParams) -> None:
    git(trained, "switch", "-qc", "work")
    set_params(trained, "rate: 0.5", "rate: 0.9")
    stages(trained)
    commit(trained, "faster")
    git(trained, "switch", "-q", "main")
    git(trained, "merge", "-q", "--squash", "work")
    git(trained, "commit", "-qm", "faster, squashed")
    assert stages(trained) == NOTHING
    assert len(records(trained)) == 2


@pytest.mark.nightly
def test_two_branches_that_merge_cleanly_into_a_model_nobody_trained(trained: Path, set_params: SetParams) -> None:
    """Lock lines of both branches fit together for Git and for DVC; the combination never ran."""
    lines = (trained / "train.py").read_text()
    git(trained, "switch", "-qc", "params")
    set_params(trained, "rate: 0.5", "rate: 0.9")
    stages(trained)
    commit(trained, "another rate")
    git(trained, "switch", "-qc", "code", "main")
    gitml(trained, "train")
    # Same result at the old rate, another one at the new rate.
    (trained / "train.py").write_text(lines.replace("params['rate'] * total", "min(params['rate'], 0.6) * total"))
    assert stages(trained)["train"] == "ran"
    commit(trained, "cap the rate")
    git(trained, "switch", "-q", "main")
    git(trained, "merge", "-q", "--no-edit", "params")
    git(trained, "merge", "-q", "--no-edit", "code")
    dvc(trained, "checkout")
    status = dvc_ran(trained, "status", "--json")
    assert json.loads(status.out) == {}, "DVC takes the merged lock for up to date: that is the trap"
    done = gitml(trained, "train", "--json")
    (result,) = json.loads(done.out)
    how = {s["stage"]: (s["how"], s["why"]) for s in result["stages"]}
    assert how["train"] == ("ran", "no recorded run wrote its lock entry")
    assert result["outcome"] == "new version"
    assert (trained / "artifacts/m/model.onnx").read_text().startswith("114.0"), "0.6 × 190, as the merged code says"


def test_a_forged_lock_entry_is_not_believed(trained: Path) -> None:
    (trained / "artifacts/m/model.onnx").write_text("99999 forged")
    dvc(trained, "commit", "-f")
    commit(trained, "a better model, honest")
    assert "forged" in (trained / "artifacts/m/model.onnx").read_text()
    done = gitml(trained, "train", "--json")
    how = {s["stage"]: s["how"] for s in json.loads(done.out)[0]["stages"]}
    assert how["train"] == "ran"
    assert "forged" not in (trained / "artifacts/m/model.onnx").read_text()
    assert len(records(trained)) == 1


def test_an_artifact_swapped_on_the_remote_is_refused_by_name(trained: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    dvc(trained, "remote", "add", "-d", "s", str(store))
    dvc(trained, "push")
    commit(trained, "remote")
    lock = yaml.safe_load((trained / "dvc.lock").read_text())
    md5 = lock["stages"]["train"]["outs"][0]["md5"]
    (swapped,) = store.rglob(md5[2:])
    swapped.chmod(0o644)
    swapped.write_text("evil")
    git(tmp_path, "clone", "-q", str(trained), "clone")
    done = gitml(tmp_path / "clone", "train")
    assert done.code == 4, done.err
    assert md5 in done.err
    assert "artifacts/m/model.onnx" in done.err or "train" in done.err
    assert not (tmp_path / "clone/artifacts/m/model.onnx").exists()


def test_a_listing_that_leaves_its_folder_is_refused_before_anything_is_written(
    trained: Path, set_params: SetParams
) -> None:
    # The listing has the right digest, and a forged record vouches for it.
    lock = yaml.safe_load((trained / "dvc.lock").read_text())
    oid = lock["stages"]["ingest"]["outs"][0]["md5"]
    entries = json.loads((trained / f".dvc/cache/files/md5/{oid[:2]}/{oid[2:]}").read_text())
    entries[0]["relpath"] = "../../escaped.txt"
    raw = json.dumps(entries).encode()
    forged = hashlib.md5(raw).hexdigest() + ".dir"
    target = trained / f".dvc/cache/files/md5/{forged[:2]}/{forged[2:]}"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(raw)
    shutil.rmtree(trained / ".dvc/tmp/gitml")
    for path in (trained / "dvc.lock", *records(trained)):
        path.write_text(path.read_text().replace(oid, forged))
    shutil.rmtree(trained / "data")
    # Data are fetched where a stage has to run that reads them.
    set_params(trained, "rate: 0.5", "rate: 0.9")
    done = gitml(trained, "train")
    assert done.code == 4, done.err
    assert "the listing of data names '../../escaped.txt'" in done.err
    assert not (trained.parent / "escaped.txt").exists()
    assert not (trained / "data").exists()


@pytest.mark.parametrize("place", ["artifacts", "artifacts/m", "data"])
def test_a_symlinked_output_folder_is_refused(trained: Path, tmp_path: Path, place: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = trained / place
    shutil.rmtree(target)
    target.symlink_to(outside)
    done = gitml(trained, "train")
    assert done.code == 4, done.err
    assert f"{place} is a symlink to {outside}" in done.err
    assert list(outside.iterdir()) == []


def test_a_failing_stage_shows_its_own_words_and_keeps_what_ran(toy: Path) -> None:
    good = (toy / "train.py").read_text()
    (toy / "train.py").write_text("import sys\nprint('about to fail')\nsys.exit('no such feature: wind')\n")
    done = gitml(toy, "train")
    assert done.code == 1
    assert "stage train failed" in done.err
    assert "no such feature: wind" in done.err
    assert "about to fail" in done.err
    assert records(toy) == []
    (toy / "train.py").write_text(good)
    assert stages(toy) == {"ingest": "up to date", "train": "ran", "evaluate": "ran"}


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ('{"accuracy": NaN}', "accuracy: value is nan"),
        ('{"accuracy": "high"}', "accuracy: value is 'high'"),
        ('{"accuracy": {"value": 1, "low": true}}', "accuracy: low is True"),
        ("{}", "holds no metric"),
        ("[1]", "is no JSON object"),
        ("{", "is not JSON"),
    ],
)
def test_a_version_without_its_evidence_is_no_version(toy: Path, metrics: str, said: str) -> None:
    source = (toy / "evaluate.py").read_text()
    line = next(row for row in source.splitlines() if "metrics.json" in row)
    (toy / "evaluate.py").write_text(source.replace(line, f"(out / 'metrics.json').write_text({metrics!r})"))
    done = gitml(toy, "train")
    assert done.code in (1, 2)
    assert said in done.err
    assert records(toy) == []


def test_ci_refuses_a_dirty_tree_and_trains_a_clean_one(toy: Path, set_params: SetParams) -> None:
    set_params(toy, "rate: 0.5", "rate: 0.7")
    done = gitml(toy, "train", env={"CI": "true"})
    assert done.code == 2
    assert "params.yaml" in done.err
    assert records(toy) == []
    commit(toy, "rate")
    assert stages(toy, env={"CI": "true"}) == ALL_RAN
    assert json.loads(records(toy)[0].read_text())["origin"] == "ci"
    assert stages(toy, env={"CI": "true"}) == NOTHING, "its own lock and record are no dirt"


@pytest.mark.nightly
def test_two_trainings_at_once(toy: Path) -> None:
    good = (toy / "train.py").read_text()
    (toy / "train.py").write_text(good + "import time\nwhile not os.path.exists('../go'): time.sleep(0.05)\n")
    first = subprocess.Popen(
        [sys.executable, "-m", "gitml", "train"], cwd=toy, env=at_home(), stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (toy / "artifacts/m/model.onnx").exists())
    refused = gitml(toy, "train", "--no-wait")
    assert refused.code == 4
    assert f"process {first.pid}" in refused.err
    second = subprocess.Popen(
        [sys.executable, "-m", "gitml", "train"],
        cwd=toy,
        env=at_home(),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert second.stderr
    assert f"process {first.pid}" in (said := second.stderr.readline())
    assert "waiting for it to end" in said
    (toy.parent / "go").touch()
    out, _ = second.communicate(timeout=60)
    assert first.wait(60) == 0
    assert "nothing changed" in out
    assert len(records(toy)) == 1


@pytest.mark.nightly
def test_a_killed_training_is_repaired_and_its_stage_stopped(toy: Path) -> None:
    good = (toy / "train.py").read_text()
    (toy / "train.py").write_text(
        good + "open('artifacts/m/pid', 'w').write(str(os.getpid()))\nimport time; time.sleep(60)\n"
    )
    killed = subprocess.Popen(
        [sys.executable, "-m", "gitml", "train"], cwd=toy, env=at_home(), stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (toy / "artifacts/m/pid").exists() and (toy / "artifacts/m/pid").read_text())
    orphan = int((toy / "artifacts/m/pid").read_text())
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    os.kill(orphan, 0)
    (toy / "train.py").write_text(good)
    done = gitml(toy, "train")
    assert done.code == 0, done.err
    assert f"process {orphan}" in done.err
    wait_for(lambda: not alive(orphan))
    assert "ingest          up to date" in done.err
    assert len(records(toy)) == 1


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody reaps does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_a_lock_file_of_dvc_torn_by_a_kill_is_repaired(trained: Path) -> None:
    (trained / ".dvc/tmp/rwlock").write_text('{"read": {"/some/pa')
    assert stages(trained) == NOTHING


def test_a_full_disk_is_named_and_loses_nothing(toy: Path, tmp_path: Path) -> None:
    disk = tmp_path / "small disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        app = disk / "app"
        shutil.copytree(toy, app, symlinks=True)
        big = "pathlib.Path('data/big.bin').write_bytes(os.urandom(4_000_000))\n"
        good = (app / "ingest.py").read_text()
        (app / "ingest.py").write_text(good.replace("import pathlib", "import os, pathlib") + big)
        done = gitml(app, "train")
        assert done.code in (1, 4), done.err
        assert "No space left on device" in done.err
        assert records(app) == []
        (app / "ingest.py").write_text(good)
        shutil.rmtree(app / "data")
        assert gitml(app, "train").code == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.nightly
def test_it_works_in_a_sub_folder_of_a_larger_repository(toy_template: Path, tmp_path: Path) -> None:
    top = tmp_path / "größer als"
    write(top, {"README.md": "the larger one\n"})
    git(top, "init", "-q", "-b", "main")
    app = top / "teams" / "flight delay"
    write(app, TOY)
    dvc(app, "init", "--subdir")
    commit(top, "start")
    assert stages(app, env={"CI": "1"}) == ALL_RAN
    assert gitml(app / "artifacts", "train").out.startswith("m: nothing changed")
    (top / "README.md").write_text("changed outside the application\n")
    assert stages(app, "--force", env={"CI": "1"}) == ALL_RAN
    assert gitml(top, "train").code == 2


@pytest.mark.nightly
def test_detached_shallow_and_without_identity(trained: Path, tmp_path: Path) -> None:
    commit_id = git(trained, "rev-parse", "HEAD")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{trained}", "shallow")
    shallow = tmp_path / "shallow"
    git(shallow, "checkout", "-q", "--detach")
    done = gitml(shallow, "train", env={"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    assert done.code == 0, done.err
    assert len(records(shallow)) == 1
    assert git(shallow, "rev-parse", "HEAD") == commit_id


def test_a_repository_without_a_commit_trains(tmp_path: Path) -> None:
    write(tmp_path, TOY)
    git(tmp_path, "init", "-q", "-b", "main")
    dvc(tmp_path, "init")
    assert stages(tmp_path) == ALL_RAN
    assert "commit" not in json.loads(records(tmp_path)[0].read_text())


def test_a_git_dir_of_the_caller_does_not_lead_elsewhere(trained: Path, toy_template: Path) -> None:
    done = gitml(trained, "train", "--force", env={"GIT_DIR": str(toy_template / ".git"), "GIT_WORK_TREE": "/"})
    assert done.code == 0, done.err
    assert json.loads(records(trained)[0].read_text())["commit"]


def test_a_record_edited_by_hand_vouches_for_nothing(trained: Path) -> None:
    (path,) = records(trained)
    data = json.loads(path.read_text())
    data["stages"]["train"]["params"]["params.yaml"]["rate"] = 0.9
    path.write_text(json.dumps(data))
    done = gitml(trained, "train")
    assert done.code == 2
    assert path.name in done.err
    assert "the record was edited" in done.err


def test_packages_that_are_not_the_locked_ones_are_refused(toy: Path) -> None:
    spec = (toy / "gitml.yaml").read_text()
    (toy / "gitml.yaml").write_text(spec.replace("    artifact:", "    packages: requirements.lock\n    artifact:"))
    pipeline = (toy / "dvc.yaml").read_text()
    (toy / "dvc.yaml").write_text(pipeline.replace("deps: [", "deps: [requirements.lock, "))
    (toy / "requirements.lock").write_text("click==0.0.1\nnot-there==1.0 ; python_version < '3'\n")
    done = gitml(toy, "train")
    assert done.code == 1
    assert "click is " in done.err
    assert "requirements.lock says ==0.0.1" in done.err
    (toy / "requirements.lock").write_text("click>=8\n")
    done = gitml(toy, "train")
    assert done.code == 2
    assert "requirements.lock:1: click: is not pinned" in done.err


def test_unknown_models_and_outputs_that_no_stage_makes(toy: Path) -> None:
    assert "models here: m" in gitml(toy, "train", "nope").err
    spec = (toy / "gitml.yaml").read_text()
    (toy / "gitml.yaml").write_text(spec.replace("artifacts/m/charts", "artifacts/m/chart"))
    done = gitml(toy, "train")
    assert done.code == 2
    assert "models.m.charts: no stage makes artifacts/m/chart" in done.err


def test_a_remote_that_does_not_answer_is_named(trained: Path) -> None:
    config = trained / ".dvc/config"
    config.write_text(
        config.read_text().replace("[core]", "[core]\n    remote = gone")
        + "['remote \"gone\"']\n    url = http://127.0.0.1:9/store\n"
    )
    shutil.rmtree(trained / ".dvc/cache")
    shutil.rmtree(trained / "data")
    done = gitml(trained, "train", timeout=180)
    assert done.code == 0, done.err
    assert "its outputs are gone, the remote did not give them" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("raise SystemExit(3)", 1, "stage evaluate failed: failed to run: python evaluate.py, exited with 3"),
        ("__import__('os').kill(__import__('os').getpid(), 2)", 130, "interrupted"),
    ],
)
def test_a_stage_that_does_not_end_leaves_what_git_keeps(trained: Path, end: str, code: int, said: str) -> None:
    """DVC deletes outputs before a stage runs: ``git status`` would call the metrics deleted."""
    (trained / "evaluate.py").write_text(f"open('artifacts/m/metrics.json', 'w').write('half')\n{end}\n")
    done = gitml(trained, "train")
    assert (done.code, said in done.err) == (code, True), done.err
    assert git(trained, "status", "--short") == "M evaluate.py"
