"""What gitml train must not believe: a model that nobody trained, and a stage that only seems up to date."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from conftest import commit, dvc, git, gitml

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
SetParams = Callable[[Path, str, str], None]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def versions(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "models/m/versions").glob("*.json"))


def outcome(root: Path, *words: str) -> tuple[str, dict[str, str]]:
    done = gitml(root, "train", "--json", *words)
    assert done.code == 0, done.err
    (result,) = json.loads(done.out)
    return result["outcome"], {s["stage"]: s["how"] for s in result["stages"]}


def with_data(root: Path) -> None:
    (root / "raw.csv").write_text("1\n")
    dvc(root, "add", "raw.csv")
    edit(root / "dvc.yaml", "deps: [ingest.py]", "deps: [ingest.py, raw.csv]")
    commit(root, "data")


def test_edited_data_of_dvc_add_are_never_overwritten(trained: Path) -> None:
    with_data(trained)
    assert outcome(trained)[0] == "new version"
    (trained / "raw.csv").write_text("1\n2\n")
    for cache in ("there", "gone"):
        if cache == "gone":
            subprocess.run(["rm", "-rf", trained / ".dvc/cache"], check=True)
        done = gitml(trained, "train")
        assert done.code == 2
        assert "raw.csv is not what raw.csv.dvc says" in done.err
        assert "dvc add raw.csv" in done.err
        assert (trained / "raw.csv").read_text() == "1\n2\n"
    dvc(trained, "add", "raw.csv")
    assert outcome(trained)[0] == "new version"
    assert len(versions(trained)) == 3


def test_versions_with_data_of_dvc_add_are_shown_compared_and_their_data_restored(trained: Path) -> None:
    with_data(trained)
    assert outcome(trained)[0] == "new version"
    assert "raw.csv.dvc" in gitml(trained, "show", "m").out
    first, second = versions(trained)
    found = json.loads(gitml(trained, "diff", f"m@{first}", f"m@{second}", "--json").out)
    assert "raw.csv" in [line["name"] for line in found["data"]]
    assert not [line for part in ("code", "stages") for line in found[part] if "raw.csv" in line["name"]]
    (trained / "raw.csv").unlink()
    assert outcome(trained) == (
        "nothing changed",
        {"raw.csv.dvc": "restored", "ingest": "up to date", "train": "up to date", "evaluate": "up to date"},
    )


def test_data_that_no_version_knows_yet_are_fetched(trained: Path) -> None:
    with_data(trained)
    (trained / "raw.csv").unlink()
    said, stages = outcome(trained)
    assert (said, stages["raw.csv.dvc"]) == ("new version", "restored")
    (trained / "raw.csv").unlink()
    subprocess.run(["rm", "-rf", trained / ".dvc/cache"], check=True)
    done = gitml(trained, "train")
    assert done.code == 4
    assert "raw.csv is neither here, nor in DVC's cache, nor on a remote" in done.err
    assert "dvc push raw.csv.dvc" in done.err


def test_data_of_dvc_import_count_with_their_commit(trained: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    git(source, "init", "-q", "-b", "main")
    dvc(source, "init")
    (source / "d.txt").write_text("1\n")
    dvc(source, "add", "d.txt")
    brought = commit(source, "data")
    dvc(trained, "import", str(source), "d.txt")
    edit(trained / "dvc.yaml", "deps: [ingest.py]", "deps: [ingest.py, d.txt]")
    commit(trained, "imported")
    assert outcome(trained)[0] == "new version"
    assert outcome(trained) == (
        "nothing changed",
        {"d.txt.dvc": "up to date", "ingest": "up to date", "train": "up to date", "evaluate": "up to date"},
    )
    record = json.loads((trained / f"models/m/versions/{versions(trained)[-1]}.json").read_text())
    assert record["stages"]["d.txt.dvc"]["deps"] == [
        {"path": f"{source}#d.txt", "digest": f"commit:{brought}", "size": 0}
    ]


def test_a_frozen_stage_does_not_vouch_for_what_lies_there(trained: Path) -> None:
    edit(trained / "dvc.yaml", "  train:\n", "  train:\n    frozen: true\n")
    assert outcome(trained)[0] == "nothing changed"
    before = versions(trained)
    subprocess.run(["rm", "-rf", trained / ".dvc/tmp/gitml", trained / "models/m"], check=True)
    (trained / "artifacts/m/model.onnx").write_text("9999 ")
    done = gitml(trained, "train")
    assert done.code == 2
    assert "stage train is frozen" in done.err
    assert "dvc unfreeze train" in done.err
    assert len(before) == 1
    assert versions(trained) == []


@pytest.mark.parametrize("path", ["train.py", "params.yaml", "data/rows.txt"])
def test_what_was_edited_while_a_stage_ran_is_not_recorded(trained: Path, path: str) -> None:
    """The stage itself plays the user who edits: DVC takes the digests when the command has ended."""
    edited = "rate: 7\nnoise: false\nrows: 20\n" if path == "params.yaml" else (trained / path).read_text() + "\n"
    edit(trained / "train.py", 'print("trained")', f'open({path!r}, "w").write({edited!r})')
    before = versions(trained)
    done = gitml(trained, "train")
    assert done.code == 1, done.err
    assert f"{path.partition('/')[0]} changed while stage train ran" in done.err
    assert versions(trained) == before
    if path == "params.yaml":  # the lock entry that DVC wrote is not believed either
        assert outcome(trained)[1]["train"] == "ran"


def test_bytecode_that_python_writes_into_a_dependency_is_no_edit(trained: Path) -> None:
    (trained / "lib").mkdir()
    (trained / "lib/helper.py").write_text("RATE = 1\n")
    edit(trained / "dvc.yaml", "deps: [data, train.py]", "deps: [data, lib, train.py]")
    edit(trained / "train.py", "import os,", "import lib.helper, os,")
    done = gitml(trained, "train", env={"PYTHONDONTWRITEBYTECODE": ""})
    assert "new version" in done.out, done.err
    assert (trained / "lib/__pycache__").is_dir()


def test_a_stage_that_is_always_changed_runs_and_its_data_make_the_version(trained: Path) -> None:
    edit(trained / "dvc.yaml", "  ingest:\n", "  ingest:\n    always_changed: true\n")
    edit(
        trained / "ingest.py",
        'rows = yaml.safe_load(open("params.yaml"))["rows"]',
        'rows = len(open(".git/rows").read())',
    )
    (trained / ".git/rows").write_text("x" * 20)
    commit(trained, "from a database")
    assert outcome(trained) == ("new version", {"ingest": "ran", "train": "up to date", "evaluate": "up to date"})
    assert outcome(trained) == ("reproduced", {"ingest": "ran", "train": "up to date", "evaluate": "up to date"})
    commit(trained, "trained")
    (trained / ".git/rows").write_text("x" * 30)
    assert outcome(trained) == ("new version", {"ingest": "ran", "train": "ran", "evaluate": "ran"})
    assert len(versions(trained)) == 3
    git(trained, "checkout", "-q", ".")
    git(trained, "clean", "-qfd", "models")
    done = gitml(trained, "reproduce", "m", "--environment", "current")
    assert done.code == 0, done.out + done.err
    assert "byte-identical" in done.out


def test_a_folder_with_more_than_outputs_counts_with_its_bytes(trained: Path) -> None:
    (trained / "lib").mkdir()
    (trained / "lib/a.txt").write_text("1")
    edit(trained / "dvc.yaml", "deps: [data, train.py]", "deps: [data, lib, train.py]")
    edit(trained / "dvc.yaml", "outs: [data]", "outs: [data, lib/made.txt]")
    edit(trained / "ingest.py", "print(", 'open("lib/made.txt", "w").write("x")\nprint(')
    assert outcome(trained)[0] == "new version"
    (trained / "lib/a.txt").write_text("2")
    assert outcome(trained)[0] == "new version"
    commit(trained, "two")
    done = gitml(trained, "reproduce", "m", "--environment", "current")
    assert done.code == 0, done.out + done.err


def test_packages_that_no_stage_depends_on_are_refused(trained: Path) -> None:
    (trained / "req.lock").write_text("")
    edit(trained / "gitml.yaml", "    artifact:", "    packages: req.lock\n    artifact:")
    done = gitml(trained, "train")
    assert done.code == 2
    assert "stages.train: does not depend on req.lock" in done.err


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("w: .nan", "is not finite"),
        ("w: 2013-01-31", "quote a date"),
    ],
)
def test_params_that_no_record_can_hold_are_refused(trained: Path, params: str, said: str) -> None:
    with (trained / "params.yaml").open("a") as stream:
        stream.write(params + "\n")
    edit(trained / "dvc.yaml", "params: [rate, noise]", "params: [rate, noise, w]")
    done = gitml(trained, "train")
    assert done.code == 2, done.err
    assert said in done.err


def test_params_whose_keys_are_numbers_make_a_record_that_reads_back(trained: Path) -> None:
    with (trained / "params.yaml").open("a") as stream:
        stream.write("w: {2: 1.0, 10: 0.5}\n")
    edit(trained / "dvc.yaml", "params: [rate, noise]", "params: [rate, noise, w]")
    assert outcome(trained)[0] == "new version"
    assert outcome(trained)[0] == "nothing changed"
    assert "param  w.10" in gitml(trained, "show", "m").out


def test_a_dvc_above_the_application_is_refused_before_anything_is_made(toy: Path, tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    toy.rename(above / "app")
    root = above / "app"
    subprocess.run(["rm", "-rf", root / ".git", root / ".dvc"], check=True)
    git(above, "init", "-q", "-b", "main")
    dvc(above, "init")
    commit(above, "start")
    for words in (["train"], ["gc", "--dry-run"]):
        done = gitml(root, *words)
        assert done.code == 2
        assert "dvc init --subdir" in done.err
        assert not (root / ".dvc").exists()
    dvc(root, "init", "--subdir")
    assert gitml(root, "train").code == 0


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ('(out / "metrics.json").write_text(json.dumps({"accuracy": 10**400}))', "a finite number is needed"),
        ('(out / "metrics.json").write_text("[" * 100000)', "is not JSON"),
        ('(out / "metrics.json").write_text(json.dumps({"": 1}))', "without a name"),
        ('(out / "metrics.json").mkdir()\n(out / "metrics.json" / "a").write_text("1")', "Is a directory"),
    ],
)
def test_metrics_that_are_none_are_no_bug(trained: Path, metrics: str, said: str) -> None:
    lines = (trained / "evaluate.py").read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if "metrics.json" in line)
    (trained / "evaluate.py").write_text("\n".join([*lines[:place], metrics, *lines[place + 1 :]]))
    done = gitml(trained, "train")
    assert done.code in (2, 4), done.err
    assert said in done.err
    assert len(versions(trained)) == 1


def test_a_stage_cannot_wait_for_the_training_that_runs_it(trained: Path) -> None:
    edit(trained / "train.py", 'print("trained")', f'import os; os.system("{sys.executable} -m gitml train")')
    done = gitml(trained, "train", env={"PATH": os.environ["PATH"]})
    assert "a stage cannot train" in (trained / ".dvc/tmp/gitml/logs/train.log").read_text()
    assert done.code == 0, done.err


@pytest.mark.parametrize("now", ["1.0", "true", "'1'"])
def test_a_param_of_another_type_trains_another_version(trained: Path, set_params: SetParams, now: str) -> None:
    edit(trained / "train.py", "params['rate'] * total", "len(repr(params['rate'])) * total")
    set_params(trained, "rate: 0.5", "rate: 1")
    assert outcome(trained)[0] == "new version"
    set_params(trained, "rate: 1", f"rate: {now}")
    said, stages = outcome(trained)
    assert (said, stages["train"]) == ("new version", "ran")
    assert (trained / "artifacts/m/model.onnx").read_text().split()[0] == str(len(repr(yaml.safe_load(now))) * 190)
    _, old, new = versions(trained)
    shown = json.loads(gitml(trained, "diff", f"m@{old}", f"m@{new}", "--json").out)
    assert [change["name"] for change in shown["params"]] == ["rate"]
    set_params(trained, f"rate: {now}", "rate: 1")
    assert outcome(trained)[1]["train"] == "restored"


def noisy(root: Path) -> bytes:
    """The toy with a model that is other bytes each time, trained and committed; its artifact."""
    edit(root / "params.yaml", "noise: false", "noise: true")
    assert outcome(root)[0] == "new version"
    commit(root, "noisy")
    return (root / "artifacts/m/model.onnx").read_bytes()


def agrees(root: Path) -> bool:
    """Whether dvc.lock names the artifact that the newest record names."""
    lock = yaml.safe_load((root / "dvc.lock").read_text())["stages"]["train"]["outs"][0]["md5"]
    record = json.loads((root / f"models/m/versions/{versions(root)[-1]}.json").read_text())
    return record["stages"]["train"]["outs"][0]["digest"] == f"md5:{lock}"


def test_a_run_that_gives_other_bytes_leaves_the_recorded_ones(trained: Path) -> None:
    artifact = noisy(trained)
    done = gitml(trained, "train", "--force")
    assert "was reproduced" in done.out, done.err
    assert "of artifacts/m/model.onnx it gave other bytes: the recorded ones are back" in done.out
    assert (trained / "artifacts/m/model.onnx").read_bytes() == artifact
    assert agrees(trained)
    assert git(trained, "status", "--porcelain") == ""
    assert outcome(trained)[0] == "nothing changed"


def test_an_artifact_that_the_cache_lost_and_the_work_tree_has_is_not_made_again(trained: Path) -> None:
    artifact = noisy(trained)
    subprocess.run(["rm", "-rf", trained / ".dvc/cache"], check=True)
    assert outcome(trained) == ("nothing changed", dict.fromkeys(["ingest", "train", "evaluate"], "up to date"))
    assert (trained / "artifacts/m/model.onnx").read_bytes() == artifact


def test_an_artifact_that_gitml_fetched_for_itself_is_found_again(trained: Path) -> None:
    artifact = noisy(trained)
    kept = trained / ".dvc/tmp/gitml/artifacts" / hashlib.sha256(artifact).hexdigest()
    kept.parent.mkdir()
    kept.write_bytes(artifact)
    subprocess.run(["rm", "-rf", trained / ".dvc/cache", trained / "artifacts/m/model.onnx"], check=True)
    assert outcome(trained)[1]["train"] == "restored"
    assert (trained / "artifacts/m/model.onnx").read_bytes() == artifact


def test_a_lost_artifact_is_an_error_with_a_way_out(trained: Path) -> None:
    noisy(trained)
    lock = (trained / "dvc.lock").read_text()
    subprocess.run(["rm", "-rf", trained / ".dvc/cache", trained / "artifacts/m/model.onnx"], check=True)
    for _ in range(2):
        done = gitml(trained, "train")
        assert done.code == 1
        assert "the recorded ones are lost: artifacts/m/model.onnx" in done.err
        assert (trained / "dvc.lock").read_text() == lock
    gone = versions(trained)[-1]
    assert f"remove models/m/versions/{gone}.json" in done.err
    (trained / f"models/m/versions/{gone}.json").unlink()
    assert outcome(trained)[0] == "new version"
    assert agrees(trained)


def test_check_names_a_lock_that_disagrees_with_its_record(trained: Path) -> None:
    noisy(trained)
    dvc(trained, "repro", "--force")
    assert not agrees(trained)
    done = gitml(trained, "check")
    assert done.code == 2
    assert "stages.train: names other bytes of artifacts/m/model.onnx than the record of m@" in done.out
    assert outcome(trained)[0] in ("nothing changed", "reproduced")
    assert agrees(trained)
    assert gitml(trained, "check").code == 0


def test_a_param_that_yaml_readers_disagree_on_is_named_before_a_stage_runs(
    trained: Path, set_params: SetParams
) -> None:
    set_params(trained, "rate: 0.5", "rate: 010")
    done = gitml(trained, "train")
    assert done.code == 0, done.err
    assert "params.yaml:2: rate: 010 is 10 for DVC and the record, 8 for readers of YAML 1.1" in done.err
    assert "010" not in gitml(trained, "train").err
