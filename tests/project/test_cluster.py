"""The example whose features come from Spark and whose network two processes train: to the same bytes again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import gitml
from gitml.pipelines.enginevenv import built_engine
from gitml.registry.record import parse_record

pytestmark = [pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(1800)]


def digests(root: Path, place: str) -> dict[str, str]:
    files = [root / place] if (root / place).is_file() else sorted((root / place).iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run(root: Path, *words: str) -> None:
    env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(root / ".inductor")}
    subprocess.run([sys.executable, *words], cwd=root, check=True, stdout=subprocess.DEVNULL, env=env)


@pytest.mark.engines
def test_spark_and_two_processes_make_the_same_bytes_again_and_one_process_makes_others(
    tmp_path: Path,
) -> None:
    if built_engine("spark") is None:
        pytest.skip("there is no environment of spark: make engines")
    assert gitml(tmp_path, "init", "app", "--example", "flights-cluster").code == 0
    root = tmp_path / "app"
    done = gitml(root, "train", timeout=900)
    assert done.code == 0, done.err
    model, features_then = digests(root, "artifacts/late/model.safetensors"), digests(root, "data/features")
    assert list(features_then) == [f"part-0000{n}.parquet" for n in range(4)]
    (written,) = (root / "models/late/versions").glob("*.json")
    record = parse_record(written.read_bytes())
    assert record.metrics["auc"].value > 0.6
    about = "artifacts/late/training.json"
    assert {"training.json": record.files[about].sha256} == digests(root, about)
    told = json.loads((root / "artifacts/late/training.json").read_text())
    assert (told["processes"], told["precision"], told["compiled"]) == (2, "float32", False)

    run(root, "pipelines/on_spark.py", "pipelines/features.py")
    assert digests(root, "data/features") == features_then
    run(root, "pipelines/together.py", "pipelines/train.py")
    assert digests(root, "artifacts/late/model.safetensors") == model
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("processes: 2", "processes: 1"))
    run(root, "pipelines/together.py", "pipelines/train.py")
    assert digests(root, "artifacts/late/model.safetensors") != model
    assert json.loads((root / "artifacts/late/training.json").read_text())["processes"] == 1


def features(root: Path) -> None:
    """What Spark would have left: flights of eight weeks, late when many leave in the wind."""
    drawn, count = np.random.default_rng(0), 4000
    table = pd.DataFrame({name: drawn.normal(size=count) for name in ("temp", "precip", "visib", "distance")})
    table["scheduled"] = pd.Timestamp("2013-01-01") + pd.to_timedelta(np.sort(drawn.integers(0, 56 * 24, count)), "h")
    table = table.assign(hour=table["scheduled"].dt.hour * 1.0, weekday=table["scheduled"].dt.day_of_week * 1.0)
    table = table.assign(leaving=drawn.normal(size=count), wind_speed=drawn.normal(size=count), flight=np.arange(count))
    table = table.assign(origin="EWR", carrier="AA", dest="SFO")
    table["late"] = (table["leaving"] + table["wind_speed"] + drawn.normal(size=count) > 0.5).astype("int32")
    (root / "data/features").mkdir(parents=True)
    table.to_parquet(root / "data/features/part-00000.parquet", index=False)


def trained(root: Path, precision: str, *, compiled: bool = False) -> tuple[dict[str, Any], dict[str, str], float]:
    """Two processes train: what they tell of it, the digest of the model, and its AUC."""
    params = root / "params.yaml"
    before = params.read_text()
    told = before.replace("precision: float32", f"precision: {precision}")
    params.write_text(told.replace("compile: false", f"compile: {str(compiled).lower()}"))
    run(root, "pipelines/together.py", "pipelines/train.py")
    run(root, "pipelines/evaluate.py")
    params.write_text(before)
    about, metrics = (
        json.loads((root / f"artifacts/late/{name}.json").read_text()) for name in ("training", "metrics")
    )
    assert (about["processes"], about["backend"]) == (2, "gloo" if about["device"] == "cpu" else "nccl")
    return about, digests(root, "artifacts/late/model.safetensors"), metrics["auc"]


def test_bf16_and_compilation_by_two_processes_come_when_they_are_asked_for_and_no_worse(tmp_path: Path) -> None:
    assert gitml(tmp_path, "init", "app", "--example", "flights-cluster").code == 0
    root = tmp_path / "app"
    features(root)
    about, plain, auc = trained(root, "float32")
    assert (about["precision"], about["compiled"]) == ("float32", False), "nobody asked for anything else"
    assert auc > 0.75
    about, half, rounded = trained(root, "bf16")
    assert (about["precision"], about["compiled"]) == ("bf16", False)
    assert half != plain
    assert rounded == pytest.approx(auc, abs=0.02)
    assert trained(root, "bf16")[1] == half, "the same bytes again"
    if shutil.which("g++"):
        about, _, compiled = trained(root, "float32", compiled=True)
        assert (about["precision"], about["compiled"]) == ("float32", True)
        assert compiled == pytest.approx(auc, abs=0.02)
    with pytest.raises(subprocess.CalledProcessError):
        trained(root, "float16")
