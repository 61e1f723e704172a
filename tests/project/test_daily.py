"""The application whose rows arrive every day: grown, trained again, and judged on the same rows, as a user does it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import commit, dvc, gitml


def arrive(folder: Path, day: str) -> str:
    command = [sys.executable, "pipelines/arrive.py", day]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def partitions(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((folder / "data/arrivals").iterdir())}


def test_the_application_is_whole_once_rows_have_arrived(tmp_path: Path) -> None:
    done = gitml(tmp_path, "init", "--json", "--example", "flights-daily")
    assert done.code == 0, done.err
    told = json.loads(done.out)["next"]
    assert told.index("dvc add data/arrivals") < next(n for n, line in enumerate(told) if "gitml check" in line)
    (tmp_path / "data/arrivals").mkdir(parents=True)
    checked = gitml(tmp_path, "check")
    assert checked.code == 0, checked.out


@pytest.mark.nightly
@pytest.mark.slow
def test_a_window_that_grew_is_trained_and_not_called_better_for_its_easier_days(tmp_path: Path) -> None:
    assert gitml(tmp_path, "init", "--example", "flights-daily").code == 0
    assert arrive(tmp_path, "2013-02-28") == "59 days arrived, 59 are there\n"
    before = partitions(tmp_path)
    dvc(tmp_path, "add", "data/arrivals")
    commit(tmp_path, "Start")
    assert gitml(tmp_path, "train", timeout=300).code == 0
    commit(tmp_path, "Train")
    assert arrive(tmp_path, "2013-09-30") == "214 days arrived, 273 are there\n"
    assert before.items() <= partitions(tmp_path).items(), "a file that is there is never written again"
    dvc(tmp_path, "add", "data/arrivals")
    params = tmp_path / "params.yaml"
    params.write_text(params.read_text().replace("2013-02-28", "2013-09-30"))
    commit(tmp_path, "A window up to September")
    trained = gitml(tmp_path, "train", timeout=300)
    assert trained.code == 0, trained.err
    assert "judged on other rows, so neither is better by this" in trained.out
    commit(tmp_path, "Train")
    done = gitml(tmp_path, "holdout", "late@latest", "--json", timeout=300)
    assert done.code == 3, done.err
    told = json.loads(done.out)
    new, old = told["sets"]
    assert [row["reading"] for row in new["metrics"]] == ["worse", "worse", "better"]
    assert (old["rowset"], old["seen"]) == ("old hold-out", old["rows"])
    window = told["window"]
    assert (window["gained"]["days"], window["lost"]["days"], window["new"]["first"]) == (214, 0, "2013-01-01")
