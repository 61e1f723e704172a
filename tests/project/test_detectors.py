"""What `gitml check` and `gitml doctor` say of detectors that alibi-detect saved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gitml.project.check import check
from gitml.project.doctordetectors import detector_points
from gitml.project.doctorpoint import Mark
from gitml.spec import load_application

SAVED = Path(__file__).parents[1] / "monitoring/alibi/saved"
GITML = """\
application: toy
models:
  m: {artifact: m.onnx, metrics: m.json, origin: external}
monitors:
  models:
    m:
      detectors:
        - {name: domain-classifier}
        - {alibi: detectors/income}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "gitml.yaml").write_text(GITML)
    shutil.copytree(SAVED / "tabular/saved", tmp_path / "detectors/income")
    return tmp_path


def problems(app: Path) -> list[str]:
    return [str(problem) for problem in check(app).problems]


def changed(app: Path, old: str, new: str) -> None:
    config = app / "detectors/income/config.toml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))


def test_one_that_is_read_here(app: Path) -> None:
    assert not problems(app)
    (point,) = detector_points(app, load_application(app))
    assert (point.mark, point.name) == (Mark.OK, "detector detectors/income")
    assert "here, as data" in str(point)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('correction = "bonferroni"', 'correction = "holm"', "correction"),
        ('name = "TabularDrift"', "", "names no detector"),
    ],
)
def test_one_that_is_wrong_is_named_with_its_line(app: Path, old: str, new: str, said: str) -> None:
    changed(app, old, new)
    (problem,) = problems(app)
    assert problem.startswith("gitml.yaml:9: monitors.models.m.detectors")
    assert said in problem
    (point,) = detector_points(app, load_application(app))
    assert point.mark is Mark.MISSING


def test_one_that_is_not_there_unless_a_stage_makes_it(app: Path) -> None:
    shutil.rmtree(app / "detectors/income")
    assert "no detector income" in problems(app)[0]
    (app / "detectors/income.dvc").write_text("outs: []\n")
    assert not problems(app)
    (app / "detectors/income.dvc").unlink()
    (app / "dvc.yaml").write_text("stages:\n  s: {cmd: x, outs: [detectors]}\n")
    assert not problems(app)


def test_one_of_a_later_alibi_detect_needs_a_licence(app: Path) -> None:
    changed(app, "TabularDrift", "MMDDrift")
    assert not problems(app)
    assert "in alibi-detect, as the default branch has it" in str(next(detector_points(app, load_application(app))))
    changed(app, "0.11.4", "0.13.0")
    assert "Business Source License" in problems(app)[0]
    (app / "gitml.yaml").write_text(GITML.replace("detectors/income}", "detectors/income, accept_bsl: true}"))
    assert not problems(app)
