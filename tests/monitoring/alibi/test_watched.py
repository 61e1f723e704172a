"""`detectors: [{alibi: …}]` of gitml.yaml: who runs it, what it takes, and what is said where it cannot run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from conftest import git
from gitml.errors import InconclusiveError, UsageError
from gitml.files import shipped
from gitml.inference.alibi import alibi_detector
from gitml.inference.monitor import MonitorCall, monitor
from gitml.models.signature import parse
from gitml.monitoring.alibi.detectors import AlibiDetection, OwnAlibi, RealAlibi
from gitml.monitoring.detectors.detector import DetectorRows
from gitml.pipelines.venv import _COMPLETE, _name, environments_folder
from gitml.spec.detectors import MonitorDetector
from monitoring.alibi.standin import stand_in
from monitoring.watched_world import AT, SIGNATURE, build, changed, rows, weeks

INPUTS = parse(SIGNATURE).inputs
ENTRY = MonitorDetector(alibi="detectors/income")
CONFIG = """\
name = "NAME"
x_ref = "x_ref.npy"
preprocess_fn = "None"
update_x_ref = "None"
p_val = 0.05
[meta]
version = "0.11.4"
"""


def save(root: Path, x_ref: np.ndarray, name: str = "KSDrift", **files: str) -> Path:
    folder = root / "detectors/income"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(CONFIG.replace("NAME", name))
    np.save(folder / "x_ref.npy", x_ref)
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def repository(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "a detector", "--allow-empty")


@pytest.mark.slow
def test_a_monitor_shows_both_thresholds_and_alarms_by_its_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    lines = "      clusters: []\n      detectors: [{alibi: detectors/income, columns: [fare]}]\n"
    world = build(tmp_path / "app", monitors=lines)
    save(world.root, rows(84, 20)[["fare"]].to_numpy())
    world.serve(changed(weeks(6), 35, fare=lambda some: some["fare"] + 0.5))
    (found,) = monitor(world.root, MonitorCall(str(world.traffic), at=AT))
    (detection,) = found.detections
    assert isinstance(detection, AlibiDetection)
    assert detection.alarms
    assert detection.columns[0].column == "fare"
    assert "alibi detectors/income" in found.verdicts["drift"].reason
    told = json.loads(json.dumps(found.to_dict()))["detectors"][0]
    assert set(told["alibi"]) == {"is_drift", "distance", "p_val", "threshold"}
    assert told["by"] == "gitml, as KSDrift of alibi-detect 0.11.4"
    before = monitor(world.root, MonitorCall(str(world.traffic), at=AT.replace(day=AT.day - 8)))[0].detections[0]
    assert not before.alarms


def test_data_is_read_from_the_work_tree_and_takes_all_inputs(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((5, 3)))
    found = alibi_detector(tmp_path, ENTRY, INPUTS)
    assert isinstance(found, OwnAlibi)
    assert found.columns.names == ["fare", "weather", "word"]
    assert found.columns.categories["word"] == ("a", "b", "c")


def test_folders_that_are_wrong_say_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no detector income"):
        alibi_detector(tmp_path, ENTRY, INPUTS)
    folder = save(tmp_path, np.zeros((5, 3)), "MMDDrift")
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("0.11.4", "0.12.0"))
    with pytest.raises(InconclusiveError, match=r"0\.12\.0, which is under the Business Source License") as refused:
        alibi_detector(tmp_path, ENTRY, INPUTS)
    assert "accept_bsl" in refused.value.hint
    accepted = MonitorDetector(alibi="detectors/income", accept_bsl=True)
    found = alibi_detector(tmp_path, accepted, INPUTS)
    assert isinstance(found, RealAlibi)
    assert found.licence == "Business Source License 1.1"


LIVE = DetectorRows(pa.table({"fare": [1.0], "weather": [2.0], "word": ["a"]}))
NOTHING = DetectorRows(pa.table({}))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One as gitml builds it, with the stand-in; it answers with the size of the folder's x_ref, and its files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = environments_folder() / _name(shipped("constraints/alibi.txt"), "3.11")
    predict = 'return {"data": {"is_drift": 0, "p_val": 1.0, "distance": [len(self.files), self.size]}}'
    python = stand_in(place, predict, x_ref="np.zeros((4, 3), dtype=np.float32)")
    saving = place / "packages/alibi_detect/saving.py"
    text = saving.read_text().replace("return Detector()", "return look(Detector(), folder)")
    look = """
def look(d, folder):
    d.files, d.size = [*folder.iterdir()], len(np.load(folder / "x_ref.npy"))
    return d
"""
    saving.write_text(text + look)
    (place / "bin").mkdir()
    python.rename(place / "bin/python")
    (place / _COMPLETE).write_text('{"python": "3.11.7", "unlocked": []}')
    return place


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_code_is_taken_from_the_default_branch_whatever_the_work_tree_says(tmp_path: Path) -> None:
    root = tmp_path / "app"
    save(root, np.zeros((5, 3)), "CVMDrift")
    repository(root)
    save(root, np.zeros((7, 3)), "CVMDrift", **{"function.dill": "changed on a branch"})
    git(root, "checkout", "-q", "-b", "other")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "other code")
    found = alibi_detector(root, ENTRY, INPUTS).judge(NOTHING, LIVE, 1e-4)
    assert found.alibi["distance"] == [2.0, 5.0]


def test_code_that_main_does_not_have_never_runs(tmp_path: Path) -> None:
    save(tmp_path, np.zeros((5, 3)), "CVMDrift")
    detector = alibi_detector(tmp_path, ENTRY, INPUTS)
    with pytest.raises(InconclusiveError, match="only as the default branch has it"):
        detector.judge(NOTHING, LIVE, 1e-4)
    (tmp_path / ".gitignore").write_text("detectors/\n")
    repository(tmp_path)
    with pytest.raises(InconclusiveError, match="it is not there") as refused:
        detector.judge(NOTHING, LIVE, 1e-4)
    assert "commit the folder to Git" in refused.value.hint


def test_a_link_on_main_is_no_file(tmp_path: Path) -> None:
    folder = save(tmp_path, np.zeros((5, 3)), "CVMDrift")
    detector = alibi_detector(tmp_path, ENTRY, INPUTS)
    (folder / "c_ref.npy").symlink_to("/etc/passwd")
    repository(tmp_path)
    with pytest.raises(InconclusiveError, match=r"c_ref\.npy is no regular file"):
        detector.judge(NOTHING, LIVE, 1e-4)


def test_a_backend_without_an_environment_is_said(tmp_path: Path) -> None:
    folder = save(tmp_path, np.zeros((5, 3)), "MMDDrift")
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("[meta]", 'backend = "keops"\n[meta]'))
    repository(tmp_path)
    with pytest.raises(InconclusiveError, match="no environment for the backend keops"):
        alibi_detector(tmp_path, ENTRY, INPUTS).judge(NOTHING, LIVE, 1e-4)
