"""The example whose features come from Spark and whose network two processes train to the same again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import gitml
from gitml.pipelines.enginevenv import built_engine
from gitml.registry.record import parse_record

pytestmark = [pytest.mark.engines, pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(1800)]


def digests(root: Path, place: str) -> dict[str, str]:
    files = [root / place] if (root / place).is_file() else sorted((root / place).iterdir())
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def run(root: Path, *words: str) -> None:
    subprocess.run([sys.executable, *words], cwd=root, check=True, stdout=subprocess.DEVNULL)


def test_features_by_spark_train_two_processes_to_the_same_bytes_again_and_one_process_to_others(
    tmp_path: Path,
) -> None:
    if built_engine("spark") is None:
        pytest.skip("there is no environment of spark: make engines")
    assert gitml(tmp_path, "init", "app", "--example", "flights-cluster").code == 0
    root = tmp_path / "app"
    done = gitml(root, "train", timeout=900)
    assert done.code == 0, done.err
    model = digests(root, "artifacts/late/model.safetensors")
    assert list(digests(root, "data/features")) == [f"part-0000{n}.parquet" for n in range(4)]
    (written,) = (root / "models/late/versions").glob("*.json")
    record = parse_record(written.read_bytes())
    assert record.metrics["auc"].value > 0.6
    about = "artifacts/late/training.json"
    assert {"training.json": record.files[about].sha256} == digests(root, about)
    told = json.loads((root / "artifacts/late/training.json").read_text())
    assert (told["processes"], told["precision"], told["compiled"]) == (2, "float32", False)

    run(root, "pipelines/together.py", "pipelines/train.py")
    assert digests(root, "artifacts/late/model.safetensors") == model
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("processes: 2", "processes: 1"))
    run(root, "pipelines/together.py", "pipelines/train.py")
    assert digests(root, "artifacts/late/model.safetensors") != model
    assert json.loads((root / "artifacts/late/training.json").read_text())["processes"] == 1
