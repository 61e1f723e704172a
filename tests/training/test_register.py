"""``gitml register``: models from elsewhere, with real files of each format."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import skops.io
from sklearn.linear_model import LinearRegression

from conftest import Ran, commit, git, gitml, write
from gitml.control.mainline import Mainline
from gitml.dvc.remotes import Depot
from gitml.dvc.repository import Dvc
from gitml.errors import FailedError
from gitml.git.commands import Git
from gitml.training.delivery import Delivery
from gitml.training.register import RegisterCall, Registered
from gitml.training.register import register as register_version
from gitml.training.trial import TrialShelf, try_model
from promotion.promoting import POLICY
from quarantined import quarantine

pytestmark = pytest.mark.slow

SOURCE = "Acme Ltd, contract 4711"
EXTERNAL = """\
application: bought
models:
  m:
    origin: external
    artifact: artifacts/m/model.onnx
    signature: artifacts/m/signature.json
    metrics: artifacts/m/metrics.json
    samples: artifacts/m/samples.parquet
    better: {auc: higher}
"""
SIGNATURE = json.dumps({"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "p", "type": "float64"}]})


def onnx(words: bytes = b"graph") -> bytes:
    """A ModelProto with an ir_version, a producer and a graph with a name."""
    graph = b"\x12" + bytes([len(words)]) + words
    return b"\x08\x08" + b"\x12\x04acme" + b"\x3a" + bytes([len(graph)]) + graph


def configure(app: Path, extra: str = "") -> None:
    write(app, {"gitml.yaml": EXTERNAL + extra})


@pytest.fixture
def app(toy: Path) -> Path:
    (toy / "dvc.yaml").unlink()
    configure(toy)
    commit(toy, "a bought model")
    return toy


def delivered(app: Path, content: bytes = b"", name: str = "über uns.onnx") -> Path:
    path = app.parent / "deliveries" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content or onnx())
    return path


def register(app: Path, artifact: Path, *words: str, source: str = SOURCE) -> Ran:
    return gitml(app, "register", "m", "--artifact", str(artifact), "--source", source, *words)


def records(app: Path) -> list[Path]:
    return sorted((app / "models" / "m" / "versions").glob("*.json"))


def test_registers_once_with_origin_metrics_and_dvc_file(app: Path) -> None:
    artifact = delivered(app)
    write(app.parent, {"metrics.json": '{"auc": 0.8}', "signature.json": SIGNATURE})
    evidence = ["--metrics", str(app.parent / "metrics.json"), "--signature", str(app.parent / "signature.json")]
    done = register(app, artifact, *evidence, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["outcome"] == "new version"
    record = json.loads((app / told["record"]).read_text())
    assert (record["origin"], record["source"], record["metrics"]) == ("external", SOURCE, {"auc": {"value": 0.8}})
    assert record["signature"]["inputs"] == [{"name": "x", "type": "float64"}]
    assert (app / "artifacts/m/model.onnx").read_bytes() == artifact.read_bytes()
    digest = record["files"]["artifacts/m/model.onnx"]["dvc"].removeprefix("md5:")
    assert digest in (app / "artifacts/m/model.onnx.dvc").read_text()
    assert (app / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).read_bytes() == artifact.read_bytes()
    git(app, "add", "--", *told["changed"])
    git(app, "commit", "-qm", "bought")
    assert git(app, "status", "--porcelain") == ""
    assert gitml(app, "check").code == 0
    shown = gitml(app, "show", "m@latest")
    assert shown.code == 0
    assert SOURCE in shown.out

    again = register(app, artifact, *evidence)
    assert again.code == 0
    assert "registered already" in again.out
    assert len(records(app)) == 1
    assert git(app, "status", "--porcelain") == ""
    assert not list((app / ".dvc/tmp/gitml").glob("register-*"))


def test_another_source_or_artifact_is_another_version_and_is_compared(app: Path) -> None:
    write(app.parent, {"one.json": '{"auc": 0.8}', "two.json": '{"auc": 0.9}'})
    assert register(app, delivered(app), "--metrics", str(app.parent / "one.json")).code == 0
    done = register(app, delivered(app, onnx(b"newer")), "--metrics", str(app.parent / "two.json"), "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["differences"][0]["difference"] == pytest.approx(0.1)
    assert register(app, delivered(app), source="found on a stick").code == 0
    assert len({p.stem[-8:] for p in records(app)}) == 3


def test_what_no_version_keeps_is_not_replaced_silently(app: Path) -> None:
    write(app, {"artifacts/m/model.onnx": "somebody's only copy"})
    refused = register(app, delivered(app))
    assert refused.code == 2
    assert "no version keeps" in refused.err
    assert (app / "artifacts/m/model.onnx").read_text() == "somebody's only copy"
    assert not records(app)
    done = register(app, delivered(app), "--yes")
    assert done.code == 0
    assert "replace it? yes" in done.err


def test_other_metrics_for_the_same_artifact_and_source_are_refused(app: Path) -> None:
    write(app.parent, {"one.json": '{"auc": 0.8}', "two.json": '{"auc": 0.9}'})
    assert register(app, delivered(app), "--metrics", str(app.parent / "one.json")).code == 0
    done = register(app, delivered(app), "--metrics", str(app.parent / "two.json"))
    assert done.code == 1
    assert "other metrics" in done.err
    assert json.loads(records(app)[0].read_text())["metrics"] == {"auc": {"value": 0.8}}


def test_metrics_that_are_none_are_refused_before_anything_changes(app: Path) -> None:
    for metrics, said in (('{"auc": NaN}', "finite"), ("{}", "no metric")):
        write(app.parent, {"metrics.json": metrics})
        done = register(app, delivered(app), "--metrics", str(app.parent / "metrics.json"))
        assert done.code == 2
        assert said in done.err
    assert git(app, "status", "--porcelain") == ""


def test_a_pickle_by_another_name_is_refused_and_not_loaded(app: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return (open, (str(app.parent / "sprung"), "w"))

    done = register(app, delivered(app, pickle.dumps(Trap())))
    assert done.code == 4
    assert "is a pickle" in done.err
    assert not records(app)
    assert not (app / "artifacts").exists()
    assert not (app.parent / "sprung").exists()


def test_a_folder_is_taken_whole_and_checked_file_by_file(app: Path) -> None:
    configure(app, extra="    format: onnx\n")
    text = (app / "gitml.yaml").read_text().replace("model.onnx", "weights")
    write(app, {"gitml.yaml": text})
    folder = app.parent / "deliveries" / "weights"
    folder.mkdir(parents=True)
    assert "holds no file" in register(app, folder).err
    (folder / "part 1.onnx").write_bytes(onnx())
    (folder / "vocabulary.bin").write_bytes(pickle.dumps({}))
    assert "is a pickle" in register(app, folder).err
    (folder / "vocabulary.bin").write_bytes(b"plain")
    (folder / "link").symlink_to("/etc/passwd")
    assert "symlink" in register(app, folder).err
    (folder / "link").unlink()
    done = register(app, folder, "--json")
    assert done.code == 0, done.err
    record = json.loads((app / json.loads(done.out)["record"]).read_text())
    assert record["files"]["artifacts/m/weights"]["dvc"].endswith(".dir")
    (folder / "part 2.onnx").write_bytes(onnx(b"more"))
    assert register(app, folder).code == 0
    assert sorted(p.name for p in (app / "artifacts/m/weights").iterdir()) == [
        "part 1.onnx",
        "part 2.onnx",
        "vocabulary.bin",
    ]


def test_refusals_say_what_to_do(app: Path) -> None:
    artifact = delivered(app)
    outside = app.parent / "outside"
    outside.mkdir()
    (app / "artifacts").symlink_to(outside)
    assert "symlink" in register(app, artifact).err
    assert not list(outside.iterdir())
    (app / "artifacts").unlink()
    (app.parent / "link.onnx").symlink_to(artifact)
    assert "cp -rL" in register(app, app.parent / "link.onnx").err
    assert "No such file" in register(app, app.parent / "missing.onnx").err
    assert "says nothing" in register(app, artifact, source=" ").err
    secret = register(app, artifact, source="https://ada:hunter2@models.example/m")
    assert "password" in secret.err
    assert "hunter2" not in secret.err
    assert gitml(app, "register", "n", "--artifact", str(artifact), "--source", "x").code == 2
    assert not records(app)


def test_a_model_with_stages_is_trained_and_not_registered(toy: Path) -> None:
    done = gitml(toy, "register", "m", "--artifact", str(delivered(toy)), "--source", SOURCE)
    assert done.code == 2
    assert "gitml train m" in done.err


def test_an_edited_record_is_found(app: Path) -> None:
    assert register(app, delivered(app)).code == 0
    (path,) = records(app)
    path.write_text(path.read_text().replace("contract 4711", "contract 4712"))
    assert "edited" in gitml(app, "check").out


def test_a_killed_registration_is_finished_by_the_next(app: Path) -> None:
    artifact = delivered(app)
    assert register(app, artifact).code == 0
    shutil.rmtree(app / "models")  # as if killed before the record, the last thing that is written
    assert register(app, artifact).code == 0
    assert len(records(app)) == 1


def test_registers_what_lies_at_its_place_already(app: Path) -> None:
    (app / "artifacts/m").mkdir(parents=True)
    (app / "artifacts/m/model.onnx").write_bytes(onnx())
    assert register(app, app / "artifacts/m/model.onnx").code == 0
    assert (app / "artifacts/m/model.onnx").read_bytes() == onnx()
    assert len(records(app)) == 1


@pytest.mark.nightly
def test_gc_keeps_every_registered_version(app: Path) -> None:
    assert register(app, delivered(app)).code == 0
    assert register(app, delivered(app, onnx(b"newer"))).code == 0
    cache = app / ".dvc/cache/files/md5"
    before = set(cache.glob("??/*"))
    assert len(before) == 2
    time.sleep(1.2)
    done = gitml(app, "gc", "--yes", "--min-age", "1s")
    assert done.code == 0, done.err
    assert set(cache.glob("??/*")) == before
    compared = gitml(app, "diff", f"m@{records(app)[0].stem}", "m@latest")
    assert compared.code == 0, compared.err


def test_a_full_disk_leaves_no_version(app: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting needs root")
    try:
        copy = Path(shutil.copytree(app, small / "app", symlinks=True))
        # A graph whose description is four megabytes of zeros.
        big = b"\x08\x08\x3a\x85\x80\x80\x02" + b"\x52\x80\x80\x80\x02" + b"\0" * (4 * 1024 * 1024)
        done = register(copy, delivered(app, big, "big.onnx"))
        assert done.code == 4, done.err
        assert "No space left" in done.err
        assert not records(copy)
        assert not list((copy / ".dvc/tmp/gitml").glob("register-*"))
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of the index that DVC keeps of a folder
@pytest.mark.nightly
def test_samples_are_answered_before_there_is_a_version_and_tried_after_it(app: Path, tmp_path: Path) -> None:
    model = app.parent / "doubling.skops"
    skops.io.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), model)
    write(app.parent, {"signature.json": SIGNATURE, "metrics.json": '{"auc": 0.8}'})
    write(app, {"gitml.yaml": EXTERNAL.replace("model.onnx", "model.skops"), "policy.yaml": json.dumps(POLICY)})
    heard: list[str] = []

    def bring(*answers: float) -> Registered:
        pyarrow.parquet.write_table(pa.table({"x": [1.0, 2.0], "p": list(answers)}), app.parent / "samples.parquet")
        metrics, signature, samples = (app.parent / n for n in ("metrics.json", "signature.json", "samples.parquet"))
        delivery = Delivery(model, SOURCE, metrics, signature, samples)
        return register_version(app, "m", delivery, RegisterCall(lambda _: False, heard.append))

    with pytest.raises(FailedError, match="answers otherwise than the samples say"):
        bring(2.0, 4.1)
    assert not records(app)
    assert not (app / "artifacts").exists()
    done = bring(2.0, 4.0)
    assert "it answers all 2 sample rows as they say" in heard
    assert done.record.roles["samples"] == "artifacts/m/samples.parquet"
    git(app, "add", "--", *done.changed, "gitml.yaml", "policy.yaml")
    git(app, "commit", "-qm", "bought")
    assert git(app, "status", "--porcelain") == ""
    assert bring(2.0, 4.0).outcome == "registered already"
    with pytest.raises(FailedError, match="other samples"):
        bring(2.0, 4.0 + 1e-9)

    main = Mainline(Git(app), git(app, "rev-parse", "HEAD").strip())
    with Dvc(app) as dvc:
        shelf = TrialShelf(
            main, Depot((dvc.store(),)), main.application(), main.policy(), datetime.now(UTC), quarantine()
        )
        tried = try_model(shelf, done.record)
    assert (tried.result, tried.details["rows"]) == ("passed", 2), tried.details


@pytest.mark.nightly
def test_a_reference_comes_along_and_is_of_the_columns_that_the_model_takes(app: Path) -> None:
    rows = app.parent / "acceptance.parquet"
    pyarrow.parquet.write_table(pa.table({"x": [1.0, 2.0] * 50, "p": [0.1, 0.9] * 50}), rows)
    write(app.parent, {"signature.json": SIGNATURE, "other.json": SIGNATURE.replace('"x"', '"y"')})
    configure(app, "    reference: artifacts/m/reference.json\n")
    words = ("--signature", str(app.parent / "signature.json"), "--features", str(rows), "--outputs", str(rows))
    made = gitml(app, "reference", "m", *words)
    assert made.code == 0, made.err
    reference = app / "artifacts/m/reference.json"
    refused = register(
        app, delivered(app), "--reference", str(reference), "--signature", str(app.parent / "other.json")
    )
    assert (refused.code, "a column that the signature does not: x" in refused.err) == (2, True), refused.err
    done = register(
        app, delivered(app), "--reference", str(reference), "--signature", str(app.parent / "signature.json")
    )
    assert done.code == 0, done.err
    record = json.loads(records(app)[0].read_text())
    assert record["roles"]["reference"] == "artifacts/m/reference.json"
    assert record["files"]["artifacts/m/reference.json"]["size"] == reference.stat().st_size
    again = gitml(app, "reference", "m", *words[:-2])
    assert again.code == 0, again.err
    other = register(
        app, delivered(app), "--reference", str(reference), "--signature", str(app.parent / "signature.json")
    )
    assert (other.code, "another reference" in other.err) == (1, True), other.err
