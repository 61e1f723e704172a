"""`gitml explain`: an answer that was logged, explained by the version that gave it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import gitml, write
from gitml.errors import FailedError, InconclusiveError, UsageError
from gitml.inference.explain import ExplainCall, TrafficPlace, explain
from gitml.inference.score import score
from gitml.inference.scorelog import ScoreLog
from gitml.traffic.reader import requests
from inference.test_score import APPLICATION, app, call, data, one_thread, register
from serving_models import fitted, saved

__all__ = ["app", "data", "one_thread"]

REASONS = """\
reasons:
  - {input: carrier, direction: raises, text: "Flights of {value} are often late"}
  - {input: carrier, direction: lowers, text: "Flights of {value} are <seldom> late"}
"""
WITH_REASONS = APPLICATION.replace("artifact:", "reasons: reasons.yaml, owner: ops@acme, artifact:", 1)


@pytest.fixture
def log(app: Path, data: Path, tmp_path: Path) -> str:
    score(app, "delay", call(data, log=ScoreLog(str(tmp_path / "log"))))
    return str(tmp_path / "log")


def first(log: str) -> dict[str, Any]:
    row: dict[str, Any] = next(row for batch in requests(log, "delay") for row in batch.to_pylist())
    return row


def asked(log: str, **changes: Any) -> ExplainCall:
    row = first(log)
    return ExplainCall(**{"request_id": row["request_id"], "row": row["row"], **changes})


def test_the_contributions_add_up_to_the_logged_answer(app: Path, log: str) -> None:
    found = explain(app, TrafficPlace(log), asked(log))
    assert found.answer == pytest.approx(first(log)["output_p_late"])
    assert found.base + sum(one.contribution for one in found.inputs) == pytest.approx(found.total, abs=1e-12)
    assert (found.method, found.scale) == ("trees", "log-odds")
    assert found.model.version == first(log)["version"]
    sizes = [abs(one.contribution) for one in found.inputs]
    assert sizes == sorted(sizes, reverse=True)
    assert found == explain(app, TrafficPlace(log), asked(log))


def test_a_person_gets_a_page_with_reasons_in_the_words_of_the_business(app: Path, log: str, tmp_path: Path) -> None:
    write(app, {"gitml.yaml": WITH_REASONS, "reasons.yaml": REASONS})
    row, page = first(log), tmp_path / "answer.html"
    words = ["explain", row["request_id"], "--row", str(row["row"]), "--log", log]
    shown = gitml(app, *words, "--html", str(page))
    assert shown.code == 0, shown.err
    assert "together" in shown.out
    text = page.read_text()
    assert f"{row['output_p_late']:.4f}".rstrip("0") in text
    assert "ops@acme" in text
    assert f"Flights of {row['feature_carrier']} are" in text
    assert "<seldom>" not in text
    assert "<script" not in text
    told = json.loads(gitml(app, *words, "--json").out)
    assert told["model"]["version"] == row["version"]
    assert {one["name"] for one in told["inputs"]} == {"carrier", "distance", "origin", "age"}


def test_which_answer_is_meant_must_be_clear(app: Path, log: str) -> None:
    with pytest.raises(UsageError, match="no logged request") as absent:
        explain(app, TrafficPlace(log), ExplainCall("never"))
    assert "gitml traffic" in absent.value.hint
    with pytest.raises(UsageError, match="names 100 answers") as several:
        explain(app, TrafficPlace(log), asked(log, row=None))
    assert "--row" in several.value.hint
    with pytest.raises(UsageError, match="no model 'dely'"):
        explain(app, TrafficPlace(log), asked(log, model="dely"))


def test_an_input_that_is_private_is_not_guessed(app: Path, data: Path, tmp_path: Path) -> None:
    write(app, {"gitml.yaml": APPLICATION + "private: [carrier]\n"})
    log = str(tmp_path / "private")
    score(app, "delay", call(data, log=ScoreLog(log)))
    with pytest.raises(InconclusiveError, match="carrier is private"):
        explain(app, TrafficPlace(log), asked(log))


def test_a_version_that_answers_otherwise_now_explains_nothing(app: Path, log: str, monkeypatch: Any) -> None:
    from gitml.models.model import Predictor

    real = Predictor.answers
    monkeypatch.setattr(Predictor, "answers", lambda self, rows: real(self, rows) * 0.9)
    with pytest.raises(FailedError, match="was logged"):
        explain(app, TrafficPlace(log), asked(log))


def test_the_version_that_answered_is_used_also_when_a_newer_one_is_there(app: Path, log: str) -> None:
    old = explain(app, TrafficPlace(log), asked(log))
    artifact = app / "artifacts/delay/model.skops"
    kept = artifact.read_bytes()
    newer = app / "artifacts/delay/new.skops"
    saved(fitted("dropped"), newer)
    register(app, newer, "2026-02-01T00:00:00Z")
    assert artifact.read_bytes() == kept
    assert explain(app, TrafficPlace(log), asked(log)) == old


def test_check_names_reasons_for_inputs_that_are_not_there(app: Path) -> None:
    signature = {"inputs": [{"name": "carrier", "type": "string"}], "outputs": [{"name": "p", "type": "float64"}]}
    spec = WITH_REASONS.replace("reasons:", "signature: signature.json, reasons:", 1)
    wrong = REASONS.replace("input: carrier, direction: lowers", "input: carier, direction: lowers")
    write(app, {"gitml.yaml": spec, "signature.json": json.dumps(signature), "reasons.yaml": wrong})
    found = gitml(app, "check")
    assert found.code == 2
    assert "reasons.yaml:3" in found.out + found.err
    assert "did you mean 'carrier'" in found.out + found.err
    write(app, {"reasons.yaml": REASONS.replace("lowers", "raises", 1)})
    assert "two reasons for carrier" in gitml(app, "check").out
