"""A version is better only on the same rows: metrics of hold-outs of its own say nothing."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import gitml
from gitml.errors import FailedError, UsageError
from gitml.inference.clone import loader
from gitml.inference.holdout import HoldOutCase, Opponent, compared, holdout
from gitml.inference.samerows import AnsweredRows, MetricRules, metric_rows
from gitml.models.model import Predictor
from gitml.registry import Record
from gitml.registry.record import File
from gitml.reports.exchange import parse_report
from gitml.reports.facts import Outcome, Report, ReportedModel
from gitml.reports.holdout import verdict
from gitml.reports.holdoutfacts import ReportedHoldOut, RowSet, SameRows
from gitml.reports.markdown import render
from gitml.reports.noise import FAMILY, Word, judge_strictly
from gitml.reports.rowfacts import ComparisonRole
from gitml.spec import load_application
from gitml.spec.holdout import HoldOut
from gitml.verdict import Phase
from inference.flight_versions import GITML, HELD, Versions, between, build

BETTER = {"brier": "lower", "log_loss": "lower", "auc": "higher"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Versions, ReportedModel]:
    """Of January and February against January to August, which is judged on a September without storms."""
    versions = build(tmp_path_factory.mktemp("flights"))
    return versions, reported(versions)


def reported(versions: Versions, **more: Any) -> ReportedModel:
    return ReportedModel("delay", Outcome.NEW, version=versions.new.version, holdout=compared(case(versions, **more)))


def case(versions: Versions, **more: Any) -> HoldOutCase:
    """Without the process that tries models first, which takes seconds to start."""
    app = load_application(versions.root)
    opponent = Opponent(ComparisonRole.ENVIRONMENT, "production", versions.old)

    def load(record: Record) -> Predictor:
        return loader(versions.root, app.models).opened(record).model

    model = app.models["delay"].model_copy(update=more.pop("model", {}))
    return replace(HoldOutCase(versions.root, model, versions.new, opponent, load, load), **more)


def held_of(told: ReportedModel) -> ReportedHoldOut:
    assert told.holdout is not None
    return told.holdout


def rows_of(held: ReportedHoldOut, which: RowSet) -> SameRows:
    found = held.rows_of(which)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_version_whose_hold_out_is_easier_is_not_called_better(made: tuple[Versions, ReportedModel]) -> None:
    versions, told = made
    raw = versions.new.metrics["brier"].value - versions.old.metrics["brier"].value
    assert raw < -0.03, "as recorded it is better by far"
    brier, *_, auc = rows_of(held_of(told), RowSet.NEW).metrics
    assert brier.value is not None
    assert brier.low is not None
    assert brier.value > brier.low > 0, "on the same rows it is worse"
    assert auc.reading.value == "better"
    found = verdict(held_of(told))
    assert (found.phase, found.measurements) == (Phase.INCONCLUSIVE, {"rows": 6747, "days": 30})
    text = render(Report("flights", models=(told,)))
    assert text.startswith(
        "**🟡 `delay` against `production` on the same rows: better in `auc` 0.627 → 0.648, perhaps worse"
    )
    assert "| `brier` | 0.169 | 0.130 | −0.045 | +0.006 |" in text, "what is due to the rows, and what to the model"
    assert "Old hold-out: not judged" in text
    assert "trained on all of it" in text


@pytest.mark.slow
def test_each_part_of_the_report_is_there(made: tuple[Versions, ReportedModel]) -> None:
    held = held_of(made[1])
    new, old = rows_of(held, RowSet.NEW), rows_of(held, RowSet.OLD)
    assert (new.rows, new.units, new.first, new.last, new.seen) == (6747, 30, "2013-09-01", "2013-09-30", 0)
    assert (old.rows, old.seen) == (6975, 6975)
    assert new.flips is not None
    assert new.flips.low < new.flips.share < new.flips.high
    assert new.flips.gained + new.flips.lost == round(new.flips.share * new.rows)
    assert new.calibration is not None
    assert new.calibration.new_mean > new.calibration.old_mean > (new.positives or 0), "both expect a summer"
    assert [(s.value, s.rows) for s in held.slices] == [("EWR", 2358), ("JFK", 2143), ("LGA", 2246)]


def test_what_is_missing_is_a_reason_and_never_better(made: tuple[Versions, ReportedModel]) -> None:
    versions = made[0]

    def fails(record: Record) -> Predictor:
        raise FailedError(f"{record.model} is torn")

    found = compared(case(versions, load_old=fails))
    assert verdict(found).phase is Phase.INCONCLUSIVE
    assert found.why == f"{versions.old.version} does not load: delay is torn"
    assert compared(case(versions, model={"holdout": None})).why.startswith("gitml.yaml does not declare `holdout`")
    assert compared(case(versions, private=("late",))).why == "late is private: nothing of it may be told"
    text = render(Report("flights", models=(replace(made[1], holdout=found),)))
    assert text.startswith("**🟡 `delay` cannot be judged against `production`: ")
    assert "does not load: delay is torn" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"label": "gone"}, "its rows have no column gone"),
        ({"label": "late", "time": "day", "threshold": "cut"}, "has no metric cut, which is to hold its threshold"),
        ({"label": "origin", "time": "day"}, "no metric under `better`"),
    ],
)
def test_rows_that_do_not_do_are_a_reason(
    made: tuple[Versions, ReportedModel], declared: dict[str, str], why: str
) -> None:
    spec = HoldOut.model_validate({"rows": "holdout.parquet", **declared})
    found = compared(case(made[0], model={"holdout": spec}))
    assert why in found.why
    assert verdict(found).phase is Phase.INCONCLUSIVE


def altered(versions: Versions, **columns: list[Any]) -> Versions:
    """With other values in columns of the new hold-out, from the first row on."""
    path = versions.root / HELD
    table = pd.read_parquet(path)
    for name, values in columns.items():
        table[name] = [*values, *table[name].tolist()[len(values) :]]
    path.write_bytes(table_bytes(table))
    raw = path.read_bytes()
    files = {**versions.new.files, HELD: File(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))}
    return replace(versions, new=versions.new.model_copy(update={"files": files}))


def table_bytes(table: pd.DataFrame) -> bytes:
    """NaN stays NaN: pandas would write null."""
    stream = io.BytesIO()
    pq.write_table(pa.table({name: table[name].tolist() for name in table.columns}), stream)
    return stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"jfk": ["secret-4711"] * 6747}, "the other version cannot answer these rows: jfk must be a number"),
        ({"day": ["secret-4711"] * 6747}, "its column day holds values that are not times"),
    ],
)
def test_a_reason_quotes_no_value(made: tuple[Versions, ReportedModel], columns: Any, why: str) -> None:
    before = (made[0].root / HELD).read_bytes()
    found = compared(case(altered(made[0], **columns), private=tuple(columns)))
    (made[0].root / HELD).write_bytes(before)
    assert found.why == why
    assert "secret" not in repr(found)


@pytest.mark.slow
def test_rows_without_a_label_are_left_out_and_rare_groups_not_named(made: tuple[Versions, ReportedModel]) -> None:
    before = (made[0].root / HELD).read_bytes()
    some = altered(made[0], late=[float("nan")] * 7, origin=[f"ada{n}@example.org" for n in range(30)])
    found = compared(case(some, private=("day",)))
    (made[0].root / HELD).write_bytes(before)
    new = rows_of(found, RowSet.NEW)
    assert (new.rows, new.why, len(new.metrics)) == (6740, "", 3)
    assert (new.first, new.last) == ("", ""), "the column of times is private"
    assert next((s.value, s.rows) for s in found.slices) == ("(all others)", 23)
    assert "ada" not in repr(found)


@pytest.mark.slow
def test_rows_that_a_version_was_trained_on_do_not_count(tmp_path: Path) -> None:
    versions = build(tmp_path, last="2013-02-14", until="2013-03-20", held=("2013-03-16", "2013-04-15"))
    new = rows_of(held_of(reported(versions)), RowSet.NEW)
    assert (new.first, new.left_out) == ("2013-03-21", len(between("2013-03-16", "2013-03-20")))
    folder = tmp_path / "data" / "traffic"
    folder.mkdir(parents=True)
    traffic = between("2013-03-10", "2013-04-05").assign(traffic_arrived=lambda t: t["day"] + "T12:00:00Z")
    traffic.drop(columns="day").to_parquet(folder / "day=2013-04-05.parquet", index=False)
    (tmp_path / "gitml.yaml").write_text(GITML.replace("slices:", "traffic: data/traffic, slices:"))
    recent = rows_of(held_of(reported(versions)), RowSet.TRAFFIC)
    assert (recent.first, recent.last, recent.why) == ("2013-03-21", "2013-04-05", "")
    assert recent.left_out == len(between("2013-03-10", "2013-03-20"))


@pytest.mark.nightly
@pytest.mark.slow
def test_the_command_compares_with_what_would_be_replaced(made: tuple[Versions, ReportedModel], tmp_path: Path) -> None:
    root, page = made[0].root, tmp_path / "report.md"
    done = gitml(root, "holdout", "delay@latest", "--json", "--report", str(page))
    told = json.loads(done.out)
    assert (done.code, told["verdict"]["phase"], told["name"]) == (3, "inconclusive", "production"), done.err
    told = render(Report("flights", models=(replace(made[1], origin="external"),)))
    assert page.read_text() == f"{told}\n![Differences on the same rows](report.png)\n"
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert parse_report(page.with_suffix(".json").read_bytes()).models[0].holdout == made[1].holdout
    with pytest.raises(UsageError, match="is that version itself"):
        holdout(root, "delay@production", "delay@production")


def simulated(rng: np.random.Generator, days: int, effect: float) -> Word:
    """Two versions equally good but for ``effect``; days differ in size, in how late they are, and in which version
    they suit."""
    sizes = rng.lognormal(4, 0.6, days).astype(int) + 5
    unit = np.repeat(np.arange(days), sizes)
    n = len(unit)
    logit = rng.normal(-1.2, 0.8, days)[unit] + rng.normal(0, 1, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    suits = rng.normal(0, 0.3, (2, days))[:, unit] + rng.normal(0, 0.5, (2, n))
    old, new = (1 / (1 + np.exp(-(logit * (0.6 + e) + side))) for side, e in zip(suits, (0.0, effect), strict=True))
    rows = metric_rows(AnsweredRows(unit, truth, old, new), MetricRules(BETTER, {}))
    return judge_strictly(rows).word


def test_a_version_that_is_not_better_is_seldom_called_so() -> None:
    rng = np.random.default_rng(11)
    words = [simulated(rng, 21, 0.0) for _ in range(400)]
    # Two standard errors above what is promised.
    assert words.count(Word.BETTER) <= 400 * FAMILY + 2 * (400 * FAMILY) ** 0.5
    assert [simulated(rng, 60, 0.6) for _ in range(20)].count(Word.BETTER) >= 15, "and one that is, is seen"
