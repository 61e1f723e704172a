"""Every test runs the real command on a real repository, in the environment of the tests."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import TOY, commit, dvc, git, gitml, write
from reproducing import SAMPLED, edit, everything, record_of, reproduce, start

pytestmark = [pytest.mark.slow, pytest.mark.nightly]


@pytest.fixture(scope="module")
def sampled_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("sampled") / "app", SAMPLED)


@pytest.fixture
def sampled(sampled_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sampled_template, tmp_path / "app", symlinks=True))


def test_the_same_bytes(trained: Path) -> None:
    found = reproduce(trained)
    assert found["phase"] == "successful"
    assert found["measurements"]["level"] == "byte-identical"
    assert found["measurements"]["commit"] == git(trained, "rev-parse", "HEAD")
    assert "not in the recorded one" in found["reason"]


def test_other_bytes_and_the_same_predictions(sampled: Path) -> None:
    found = reproduce(sampled)
    assert found["phase"] == "successful"
    assert found["measurements"]["level"] == "prediction-identical"
    assert "within 1e-06 (SHA-256 of artifacts/m/model.onnx: recorded " in found["reason"]


def swap(root: Path, content: bytes, *, kept: bool = True) -> None:
    """Let the record name a model that was not trained, and let the cache have it."""
    digest = hashlib.md5(content).hexdigest()
    if kept:
        write(root / ".dvc" / "cache" / "files" / "md5", {f"{digest[:2]}/{digest[2:]}": content.decode()})

    def other(data: dict[str, Any]) -> None:
        (out,) = data["stages"]["train"]["outs"]
        out.update(digest=f"md5:{digest}", size=len(content))
        sha = hashlib.sha256(content).hexdigest()
        data["files"]["artifacts/m/model.onnx"] = {"sha256": sha, "size": len(content)}

    edit(root, other)


@pytest.fixture
def before_the_record(sampled: Path) -> Path:
    """The same, as if the record had not been committed yet: whoever commits it may write what he likes."""
    record = record_of(sampled)
    text = record.read_text()
    git(sampled, "rm", "-q", str(record))
    git(sampled, "commit", "-q", "--amend", "-m", "train")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(text)
    return sampled


def test_the_recorded_model_is_evaluated_too(before_the_record: Path) -> None:
    swap(before_the_record, b"95.0 other bytes")
    found = reproduce(before_the_record)
    assert found["phase"] == "successful", found["reason"]
    assert "so does the recorded model, evaluated again" in found["reason"]


def test_a_model_swapped_in_record_and_cache(before_the_record: Path) -> None:
    swap(before_the_record, b"96.0 with a back door")
    found = reproduce(before_the_record)
    assert found["phase"] == "failed"
    assert "because the recorded model gives other numbers: metric accuracy: recorded 0.487" in found["reason"]


def test_a_recorded_model_that_is_gone_is_said_not_to_be_evaluated(before_the_record: Path) -> None:
    swap(before_the_record, b"96.0 with a back door", kept=False)
    found = reproduce(before_the_record)
    assert found["phase"] == "successful"
    assert "the recorded model itself was not evaluated: artifacts/m/model.onnx is neither" in found["reason"]


def moved(sampled: Path, by: str) -> Path:
    write(sampled, {"params.yaml": SAMPLED["params.yaml"].replace("shift: 0", f"shift: {by}")})
    commit(sampled, "move")
    shutil.rmtree(sampled / "models")
    done = gitml(sampled, "train")
    assert done.code == 0, done.err
    commit(sampled, "train again")
    return sampled


def test_predictions_within_the_tolerance_and_beyond(sampled: Path) -> None:
    moved(sampled, "1.0e-9")
    wide = reproduce(sampled, "--tolerance", "1e-3")
    assert wide["measurements"]["level"] == "prediction-identical"
    assert 0 < wide["measurements"]["largest_difference"] < 1e-3
    assert wide["measurements"]["sample_rows"] == 3
    narrow = reproduce(sampled, "--tolerance", "0")
    assert narrow["phase"] == "successful"
    assert narrow["measurements"]["level"] == "metric-equal"
    assert "predictions differ: prediction in row 0: recorded" in narrow["reason"]


def test_samples_that_are_gone_are_said_to_be_gone(sampled: Path) -> None:
    moved(sampled, "1.0e-9")
    shutil.rmtree(sampled / ".dvc" / "cache")
    found = reproduce(sampled)
    assert found["phase"] == "successful"
    assert found["measurements"]["level"] == "metric-equal"
    assert "predictions were not compared: artifacts/m/samples.parquet is neither in DVC's cache nor" in found["reason"]


def test_samples_swapped_in_the_cache_are_not_compared(sampled: Path) -> None:
    moved(sampled, "1.0e-9")
    entry = json.loads(record_of(sampled).read_bytes())["stages"]["evaluate"]
    (digest,) = (out["digest"][4:] for out in entry["outs"] if out["path"].endswith(".parquet"))
    kept = sampled / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    kept.chmod(0o644)
    kept.write_bytes(b"something else")
    found = reproduce(sampled)
    assert found["measurements"]["level"] == "metric-equal"
    assert "not what the record says" in found["reason"]


def test_samples_come_from_the_remote(sampled: Path, tmp_path: Path) -> None:
    dvc(sampled, "remote", "add", "-d", "store", "../store")
    dvc(sampled, "push")
    shutil.rmtree(sampled / ".dvc" / "cache")
    stored = everything(tmp_path / "store")
    found = reproduce(sampled)
    assert found["measurements"]["level"] == "prediction-identical"
    assert everything(tmp_path / "store") == stored
    assert not (sampled / ".dvc" / "cache").exists()


@pytest.mark.parametrize("committed", [False, True])
def test_a_record_edited_to_better_metrics(trained: Path, *, committed: bool) -> None:
    edit(trained, lambda data: data["metrics"]["accuracy"].update(value=0.99))
    if committed:
        commit(trained, "looks better")
    found = reproduce(trained)
    assert found["phase"] == "failed"
    assert found["measurements"]["differs"] == "metric accuracy"
    assert found["measurements"]["recorded"] == 0.99
    assert found["measurements"]["found"] == pytest.approx(0.487, abs=0.001)
    assert "metric accuracy: recorded 0.99, found 0.48" in found["reason"]
    assert "the record was edited since a commit brought it in" in found["reason"]


def test_a_record_edited_before_anybody_committed_it(toy: Path) -> None:
    gitml(toy, "train")
    edit(toy, lambda data: data["metrics"]["loss"].update(value=0.0))
    commit(toy, "train")
    found = reproduce(toy)
    assert found["phase"] == "failed"
    assert "metric loss: recorded 0.0, found 0.51" in found["reason"]


def test_a_record_edited_where_no_run_can_tell(trained: Path) -> None:
    edit(trained, lambda data: data.update(origin="ci"))
    found = reproduce(trained)
    assert found["phase"] == "failed"
    assert "edited since a commit brought it in: origin was local" in found["reason"]


def test_a_record_whose_intervals_were_narrowed(trained: Path) -> None:
    edit(trained, lambda data: data["metrics"]["accuracy"].update(low=0.48))
    found = reproduce(trained)
    assert found["measurements"]["differs"] == "metric accuracy, lower bound"


@pytest.mark.parametrize("committed", [False, True])
def test_a_record_with_other_params_and_a_digest_to_match(trained: Path, *, committed: bool) -> None:
    edit(trained, lambda data: data["stages"]["train"]["params"]["params.yaml"].update(rate=0.9), renamed=True)
    if committed:
        commit(trained, "better params")
    found = reproduce(trained)
    assert found["phase"] == "failed"
    assert "param rate of stage train in params.yaml: recorded 0.9, found 0.5" in found["reason"]


def test_a_record_of_other_code(trained: Path) -> None:
    def other(data: dict[str, Any]) -> None:
        for dep in data["stages"]["train"]["deps"]:
            if dep["path"] == "train.py":
                dep["digest"] = "md5:" + "0" * 32

    edit(trained, other, renamed=True)
    found = reproduce(trained)
    assert found["phase"] == "failed"
    assert found["measurements"]["differs"] == "dependency train.py of stage train"


def test_a_record_that_leaves_an_output_out(trained: Path) -> None:
    edit(trained, lambda data: data["files"].pop("artifacts/m/charts"))
    found = reproduce(trained)
    assert found["phase"] == "failed"
    assert "output artifacts/m/charts: recorded missing, found there" in found["reason"]


def test_a_record_that_names_another_object_for_the_same_file(trained: Path) -> None:
    def other(data: dict[str, Any]) -> None:
        data["stages"]["train"]["outs"][0]["digest"] = "md5:" + "1" * 32

    edit(trained, other)
    found = reproduce(trained)
    assert found["phase"] == "failed"
    assert "DVC's digest of artifacts/m/model.onnx" in found["reason"]


def test_a_record_that_names_files_outside_the_repository(sampled: Path, tmp_path: Path) -> None:
    def outside(data: dict[str, Any]) -> None:
        data["roles"]["samples"] = "../../../caught.parquet"
        data["files"]["../../../caught.parquet"] = data["files"]["artifacts/m/samples.parquet"]

    edit(sampled, outside)
    found = reproduce(sampled, TMPDIR=str(tmp_path))
    assert found["phase"] == "inconclusive"
    assert "no stage makes ../../../caught.parquet" in found["reason"]


def test_what_a_stage_keeps_from_run_to_run_makes_another_result_inconclusive(tmp_path: Path) -> None:
    out = "artifacts/m/model.onnx"
    kept = TOY["dvc.yaml"].replace(f"outs: [{out}]", f"outs: [{out}: {{persist: true}}]")
    warm = TOY["train.py"].replace(
        "salt =", f"total += os.path.exists('{out}') and float(open('{out}').read()) or 0\nsalt ="
    )
    root = start(tmp_path / "app", {**TOY, "dvc.yaml": kept, "train.py": warm})
    (root / "params.yaml").write_text(TOY["params.yaml"].replace("rate: 0.5", "rate: 0.6"))
    done = gitml(root, "train")
    assert f"{out} stays from run to run" in done.err
    commit(root, "warm start")
    found = reproduce(root)
    assert found["phase"] == "inconclusive"
    assert f"{out} stays from run to run (persist), and here it started from nothing: not reproduced" in found["reason"]
