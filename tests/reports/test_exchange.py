"""Reports as JSON: nothing is lost on the way, nothing strange comes in."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.errors import SpecError
from gitml.reports.changes import changes
from gitml.reports.exchange import MAX_BYTES, fitted, parse_report, to_json
from gitml.reports.facts import (
    Outcome,
    Report,
    ReportedChange,
    ReportedCommit,
    ReportedHow,
    ReportedMetric,
    ReportedModel,
    ReportedStage,
    Table,
)
from gitml.reports.rowfacts import Row
from gitml.stats.comparison import Difference, Reading
from reports.report_kit import random_report

SMALL = Report(
    "flight-delay",
    models=(
        ReportedModel(
            "delay",
            Outcome.NEW,
            stages=(ReportedStage("train", ReportedHow.RAN, 1.5),),
            metrics=(ReportedMetric("auc", 0.7),),
        ),
    ),
    commits=(ReportedCommit("a" * 40, "Weather features", "Ada"),),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0))
def test_what_is_written_is_read_again(seed: int) -> None:
    report = random_report(seed)
    assert parse_report(to_json(report).encode()) == fitted(report)
    assert fitted(fitted(report)) == fitted(report)


def test_a_report_within_its_bounds_is_not_touched() -> None:
    assert fitted(SMALL) == SMALL
    assert parse_report(to_json(SMALL).encode()) == SMALL


def test_changes_beyond_the_longest_list_are_counted() -> None:
    many = tuple(ReportedChange(f"p{n}", "1", "2") for n in range(2001))
    report = fitted(Report("a", models=(dataclasses.replace(SMALL.models[0], params=many, code=many[:3]),)))
    model = parse_report(to_json(report).encode()).models[0]
    assert (len(model.params), model.left_out) == (500, 1501)
    (section,) = changes(dataclasses.replace(model, code=(), data=(), packages=(), signature=()), "before")
    assert "2,001 changes" in section.head
    assert "and 1,501 changes more" in section.rows[-1]


def test_too_long_is_cut_when_written() -> None:
    stages = (ReportedStage("s", ReportedHow.FAILED, log_tail="x" * 30_000),)
    model = ReportedModel(
        "m", Outcome.FAILED, stages=stages, params=tuple(ReportedChange(str(i), None, "1") for i in range(9000))
    )
    got = parse_report(to_json(Report("a" * 5000, models=(model,))).encode())
    assert got.application == "a" * 199 + "…"
    assert len(got.models[0].params) == 500
    assert got.models[0].stages[0].log_tail == "x" * 19_999 + "…"


def test_numbers_that_are_none_become_unknown() -> None:
    row = Row("auc", math.nan, 0.5, math.inf)
    model = ReportedModel("m", Outcome.NEW, metrics=(ReportedMetric("auc", math.nan, -math.inf, 1.0),))
    got = parse_report(to_json(Report("a", models=(model,))).encode()).models[0]
    assert got.metrics[0] == ReportedMetric("auc", None, None, 1.0)
    assert fitted(Report("a", models=(dataclasses.replace(model, name="\udcff"),))).models[0].name == "?"
    assert _only(row) == Row("auc", None, 0.5, None)


def _only(row: Row) -> Row:
    from gitml.reports.facts import ReportedComparison
    from gitml.reports.rowfacts import ComparisonRole

    model = ReportedModel("m", Outcome.NEW, comparisons=(ReportedComparison(ComparisonRole.BASE, "main", "v", (row,)),))
    return fitted(Report("a", models=(model,))).models[0].comparisons[0].rows[0]


def test_a_row_is_the_difference_of_the_statistics() -> None:
    found = Difference("auc", 0.7, 0.6, 0.1, 0.05, 0.15, paired=True, reading=Reading.BETTER)
    assert dataclasses.asdict(Row.of(found)) == dataclasses.asdict(found)


Edit = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (lambda d: d.update(zap=1), "zap"),
        (lambda d: d["models"][0].update(zap=1), "models.0.zap"),
        (lambda d: d.pop("application"), "application"),
        (lambda d: d.update(application=7), "application"),
        (lambda d: d.update(application="a" * 201), "application"),
        (lambda d: d.update(format="gitml report 2"), "format"),
        (lambda d: d.update(seconds="1"), "seconds"),
        (lambda d: d.update(seconds=-1), "seconds"),
        (lambda d: d.update(commit="main"), "commit"),
        (lambda d: d.update(commit="a" * 40 + "\n"), "commit"),
        (lambda d: d["models"][0].update(outcome="great"), "models.0.outcome"),
        (lambda d: d["models"][0].update(metrics=[{"name": "a", "value": True}]), "models.0.metrics.0.value"),
        (lambda d: d["models"][0].update(charts=[{"name": "a", "image": "../x.png"}]), "models.0.charts.0.image"),
        (lambda d: d["models"][0].update(charts=[{"name": "a", "image": "//x/y.png"}]), "models.0.charts.0.image"),
        (lambda d: d["models"][0].update(charts=[{"name": "a", "image": "http:x.png"}]), "models.0.charts.0.image"),
        (lambda d: d["models"][0].update(data=[{"path": "a", "old_rows": -1}]), "models.0.data.0.old_rows"),
        (lambda d: d["models"][0].update(data=[{"path": "a", "old_rows": 10**400}]), "models.0.data.0.old_rows"),
        (lambda d: d.update(models=[d["models"][0]] * 51), "models"),
    ],
)
def test_strange_reports_are_refused_by_name(edit: Edit, where: str) -> None:
    data = json.loads(to_json(SMALL))
    edit(data)
    with pytest.raises(SpecError) as caught:
        parse_report(json.dumps(data).encode())
    assert {p.key for p in caught.value.problems} == {where}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"application": "\\ud800"}',
        b'{"application": "a", "seconds": NaN}',
        b'{"application": "a", "seconds": 1e999}',
        b" " * (MAX_BYTES + 1),
    ],
    ids=range(9),
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(SpecError):
        parse_report(raw)


def test_a_refusal_repeats_nothing_of_the_report() -> None:
    data = json.loads(to_json(SMALL)) | {"\x1b[31m@octocat <b>" * 50: "ghp_" + "a" * 36, "commit": "ghp_" + "b" * 36}
    with pytest.raises(SpecError) as caught:
        parse_report(json.dumps(data).encode())
    said = str(caught.value)
    assert "\x1b" not in said
    assert "ghp_" not in said
    assert len(said) < 1000


def test_tables_of_defaults_are_small() -> None:
    assert Table("data/raw") == Table(path="data/raw", old_rows=None, new_rows=None)
