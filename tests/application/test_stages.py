"""The stages as DVC runs them, on real flights."""

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from application.staging import PIPELINES, ROOT, change_params, run, stage, threads
from files import params, read_yaml, write_yaml
from flights import AFTER_DEPARTURE, OUTPUT, WEATHER
from gitml.models.loading import load
from gitml.models.parity import agree
from gitml.monitoring.reference import read_version_reference
from scoring import rows_digest

MODELS = {"delay": ("train", "evaluate", "model.skops"), "mlp": ("mlp_train", "mlp_evaluate", "model.safetensors")}
NAMES = {"auc", "log_loss", "brier", "calibration_error", "cost_per_flight", "recall", "precision", "false_alarm_rate"}


def read(folder: Path, model: str, name: str) -> Any:
    return json.loads((folder / "artifacts" / model / f"{name}.json").read_text())


def local_imports(script: Path) -> set[str]:
    """Modules beside the script that it imports, directly or not."""
    tree = ast.parse(script.read_text())
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found = {PIPELINES / f"{name}.py" for name in names if (PIPELINES / f"{name}.py").exists()}
    return {script.name}.union(*(local_imports(path) for path in found))


def test_each_stage_depends_on_every_module_it_imports_and_on_its_lock() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert set(stages) == {"ingest", "prepare", "train", "evaluate", "mlp-train", "mlp-evaluate"}
    for name, settings in stages.items():
        command = settings["cmd"] if isinstance(settings["cmd"], str) else settings["cmd"][0]
        script = PIPELINES / command.split("/")[-1]
        lock = "requirements-torch.lock" if name.startswith("mlp") else "requirements.lock"
        declared = {dep.removeprefix("pipelines/") for dep in settings["deps"] if dep.startswith("pipelines/")}
        assert declared == local_imports(script) | {lock}, name
        asked = re.findall(r"params\(([^)]*)\)", "".join((PIPELINES / m).read_text() for m in local_imports(script)))
        groups = {group for call in asked for group in re.findall(r'"(\w+)"', call)}
        assert set(settings.get("params", [])) == groups, name


def test_params_are_read_as_dvc_records_them(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("a: {octal: 010, float: 1e-3, word: no, sexagesimal: 1:30}\n")
    assert params("a", path=tmp_path / "params.yaml") == [
        {"octal": 10, "float": 0.001, "word": "no", "sexagesimal": "1:30"}
    ]
    readers = [*PIPELINES.glob("*.py"), *(ROOT / "examples").glob("*/pipelines/*.py")]
    assert not [script for script in readers if "import yaml" in script.read_text()], "PyYAML reads YAML 1.1"


def test_yaml_that_is_written_is_read_back(tmp_path: Path) -> None:
    digests = {"member": "delay", "digest": "12e4567", "octal": "010", "word": "no"}
    write_yaml(tmp_path / "pins.yaml", {"members": [digests]}, "# who\n")
    assert (tmp_path / "pins.yaml").read_text().startswith("# who\nmembers:\n- member: delay\n")
    assert read_yaml(tmp_path / "pins.yaml") == {"members": [digests]}


def test_the_scripts_stand_alone() -> None:
    for script in PIPELINES.glob("*.py"):
        assert "gitml" not in script.read_text(), script


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("model", MODELS)
def test_numbers_have_intervals_and_replicates(trained: Path, model: str) -> None:
    found, paired = read(trained, model, "metrics"), read(trained, model, "replicates")
    assert set(found) == NAMES | {"threshold", "rows"}
    for name in NAMES:
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
    assert set(paired["replicates"]) == NAMES
    assert {len(values) for values in paired["replicates"].values()} == {60}
    assert (trained / "artifacts" / model / "replicates.json").stat().st_size < 30_000
    assert found["threshold"]["value"] == read(trained, model, "threshold")["threshold"]
    assert found["auc"]["value"] > 0.55


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("model", MODELS)
def test_the_server_gives_the_answers_of_the_sample_rows(trained: Path, model: str) -> None:
    folder, name = trained / "artifacts" / model, MODELS[model][2]
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    loaded = load(folder / name, name.rpartition(".")[2], read(trained, model, "signature"), sha256=digest)
    samples = pd.read_parquet(folder / "samples.parquet")
    rows = [{k: None if pd.isna(v) else v for k, v in row.items()} for row in samples.to_dict("records")]
    names = [field.name for field in loaded.signature.inputs]
    answers = loaded.answers(loaded.signature.rows([{n: row[n] for n in names} for row in rows]))
    assert all(agree(found, wanted) for found, wanted in zip(answers[:, 0], samples[OUTPUT], strict=True))


@pytest.mark.slow
@pytest.mark.nightly
def test_both_models_were_judged_on_the_same_held_out_rows(trained: Path) -> None:
    rows = pd.read_parquet(trained / "data/features/2013-02.parquet")
    held = rows[rows["day"].between("2013-02-02", "2013-02-07")]
    digest = rows_digest(held["flight_id"], held["late"])
    for model in MODELS:
        assert read(trained, model, "replicates")["rows_digest"] == digest
        assert read(trained, model, "metrics")["rows"] == {"value": len(held)}
        sizes = [entry["rows"] for entry in read(trained, model, "slices") if entry["column"] == "origin"]
        assert sum(sizes) == len(held)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("model", MODELS)
def test_samples_fit_the_signature(trained: Path, model: str) -> None:
    rows = pd.read_parquet(trained / "artifacts" / model / "samples.parquet")
    signature = read(trained, model, "signature")
    fields = signature["inputs"]
    assert signature["data_until"] == "2013-02-01"  # the last day before those held out
    assert [field["name"] for field in fields] + [OUTPUT] == list(rows.columns)
    assert len(rows) == 50
    assert not set(rows.columns) & set(AFTER_DEPARTURE)
    for field in fields:
        assert field.get("nullable") or rows[field["name"]].notna().all()
        if field["type"] != "string":
            assert str(rows[field["name"]].dtype) == field["type"]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("model", MODELS)
def test_the_reference_holds_exactly_the_rows_of_the_window_and_of_the_evaluation(trained: Path, model: str) -> None:
    found = read_version_reference((trained / "artifacts" / model / "reference.json").read_bytes())
    assert found.features is not None
    assert found.outputs is not None
    months = [pd.read_parquet(trained / f"data/features/2013-0{month}.parquet") for month in (1, 2)]
    rows = pd.concat(months).query("day <= '2013-02-07'")
    assert found.features.sketch.rows.sum() == len(rows)
    assert found.outputs.sketch.rows.sum() == read(trained, model, "metrics")["rows"]["value"]
    inputs = [field["name"] for field in read(trained, model, "signature")["inputs"]]
    assert {*found.features.layout.columns} == {f"feature_{name}" for name in inputs}
    assert [*found.outputs.layout.columns] == [f"output_{OUTPUT}"]
    assert found.own is not None
    assert (found.own.hours, found.own.periods) == {"delay": (7 * 24, 6), "mlp": (24, 38)}[model]
    assert found.features.alike["day"]["feature_temp"] > 0.5 > found.features.alike["day"]["feature_distance"]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("model", MODELS)
def test_number_of_threads_changes_no_byte_of_predictions(trained: Path, copy: Path, model: str) -> None:
    train, evaluate, artifact = MODELS[model]
    files = ["samples.parquet", "replicates.json", "metrics.json", "slices.json"]
    # Equal skops files differ: zip entries carry the time and ids of objects.
    files += [] if artifact.endswith("skops") else [artifact]
    for name in (*files, artifact):
        (copy / "artifacts" / model / name).unlink(missing_ok=True)
    for script in (train, evaluate):
        stage(copy, script, **threads(2))
    one, two = ([(top / "artifacts" / model / name).read_bytes() for name in files] for top in (trained, copy))
    assert one == two


@pytest.mark.slow
@pytest.mark.nightly
def test_the_threshold_and_the_fit_do_not_see_the_holdout(copy: Path) -> None:
    before = read(copy, "delay", "threshold")
    predicted = pd.read_parquet(copy / "artifacts/delay/samples.parquet")[OUTPUT]
    path = copy / "data/features/2013-02.parquet"
    rows = pd.read_parquet(path)
    held = rows["day"] >= "2013-02-02"
    path.unlink()  # DVC may have linked it to its cache
    rows.assign(late=rows["late"].where(~held, 1 - rows["late"])).to_parquet(path)
    for script in ("train", "evaluate"):
        stage(copy, script)
    assert read(copy, "delay", "threshold") == before
    assert pd.read_parquet(copy / "artifacts/delay/samples.parquet")[OUTPUT].equals(predicted)
    assert read(copy, "delay", "metrics")["auc"]["value"] < 0.5


@pytest.mark.slow
@pytest.mark.nightly
def test_weather_is_a_switch_that_leaves_the_rows_as_they_are(copy: Path) -> None:
    seen = read(copy, "delay", "replicates")
    change_params(copy, {"train": {"weather": False}})
    for script in ("train", "evaluate"):
        stage(copy, script)
    names = {field["name"] for field in read(copy, "delay", "signature")["inputs"]}
    assert not names & set(WEATHER)
    blind = read(copy, "delay", "replicates")
    assert blind["rows_digest"] == seen["rows_digest"]
    assert blind["replicates"]["auc"] != seen["replicates"]["auc"]


@pytest.mark.slow
@pytest.mark.nightly
def test_a_second_run_has_nothing_to_do_and_prepare_writes_the_same_bytes(trained: Path, copy: Path) -> None:
    said = run(trained, "dvc", "repro", "evaluate", "mlp-evaluate")
    assert "up to date" in said
    assert "Running stage" not in said
    before = {path.name: path.read_bytes() for path in (copy / "data/features").iterdir()}
    for path in (copy / "data/features").iterdir():
        path.unlink()
    stage(copy, "prepare")
    assert {path.name: path.read_bytes() for path in (copy / "data/features").iterdir()} == before


@pytest.mark.slow
@pytest.mark.nightly
def test_a_stage_that_cannot_go_on_says_why_in_one_line(copy: Path) -> None:
    (copy / "data/features/2013-01.parquet").unlink()
    with pytest.raises(AssertionError, match=r"^fit|error: data/features/2013-01\.parquet does not exist") as failed:
        stage(copy, "train")
    assert "Traceback" not in str(failed.value)


@pytest.mark.slow
@pytest.mark.nightly
def test_counts_add_up(trained: Path) -> None:
    counts = json.loads((trained / "data/counts.json").read_text())
    assert sum(month["flights"] for month in counts.values()) == 336_776
    for month in counts.values():
        assert month["flights"] == month["cancelled"] + month["diverted_or_lost"] + month["kept"]
    late = [counts[f"2013-{month:02}"]["late_share"] for month in (3, 7, 9, 12)]
    assert np.allclose(late, [0.23, 0.31, 0.13, 0.33], atol=0.01)
