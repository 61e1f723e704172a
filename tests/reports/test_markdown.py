"""The report on a pull request: what it says, what hostile facts can do to it, and how it is cut."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.reports.facts import (
    Chart,
    ColumnShift,
    Outcome,
    Report,
    ReportedBin,
    ReportedChange,
    ReportedCommit,
    ReportedComparison,
    ReportedHow,
    ReportedMetric,
    ReportedModel,
    ReportedShift,
    ReportedSlice,
    ReportedStage,
    SliceMetric,
    Table,
)
from gitml.reports.markdown import LIMIT, ReportPlace, render
from gitml.reports.rowfacts import ComparisonRole, Row
from gitml.stats.comparison import Reading
from reports.reading_kit import FORGED, read, read_as_github
from reports.report_kit import PIECES, random_report

PLACE = ReportPlace(
    "https://github.com/o/flights",
    "https://github.com/o/flights/raw/gitml-assets",
    "https://github.com/o/flights/actions/runs/7",
)
BETTER = Row("auc", 0.703, 0.651, 0.052, 0.041, 0.063, True, Reading.BETTER)
COST = Row("cost", 10.2, 11.1, -0.9, -1.3, -0.5, True, Reading.BETTER)
NOISE = Row("recall", 0.54, 0.53, 0.01, -0.02, 0.04, True, Reading.NOISE)
WORSE = Row("log_loss", 0.6, 0.5, 0.1, 0.08, 0.12, True, Reading.WORSE)
HINT = Row("auc", 0.66, 0.65, 0.01, 0.0002, 0.0198, True, Reading.BETTER)
ROWS_ONLY = Row("rows", 19283.0, 19283.0, 0.0)


def model(*rows: Row, name: str = "delay", **more: object) -> ReportedModel:
    base = ReportedComparison(ComparisonRole.BASE, "main", "20260101T000000Z-aaaaaaaa", rows)
    known: dict[str, object] = {"name": name, "outcome": Outcome.NEW, "comparisons": (base,)}
    return ReportedModel(**{**known, **more})  # type: ignore[arg-type]


def first_line(*models: ReportedModel) -> str:
    return render(Report("flight-delay", models=models), PLACE).splitlines()[0]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ((BETTER, NOISE), "**🟢 `delay` is better than `main`: `auc` 0.651 → 0.703; 1 within noise.**"),
        ((WORSE,), "**🔴 `delay` is worse than `main`: `log_loss` 0.500 → 0.600.**"),
        (
            (BETTER, WORSE),
            "**🟡 `delay` against `main`: better in `auc` 0.651 → 0.703, worse in `log_loss` 0.500 → 0.600.**",
        ),
        ((NOISE,), "**⚪ `delay` is within noise of `main`.**"),
        ((HINT, NOISE), "**⚪ `delay` is within noise of `main` (`auc` perhaps better).**"),
        (
            (ROWS_ONLY,),
            "**🟡 `delay` cannot be judged against `main`: no metric has a direction and an interval on both sides.**",
        ),
    ],
)
def test_the_first_line_is_the_verdict(rows: tuple[Row, ...], line: str) -> None:
    assert first_line(model(*rows)) == line


@pytest.mark.parametrize(
    ("outcome", "reason", "line"),
    [
        (Outcome.SAME, "", "**⚪ `delay` did not change.**"),
        (Outcome.REPRODUCED, "", "**⚪ `delay` was trained again and is the same version.**"),
        (Outcome.REFUSED, "no runner for gpu", "**🔴 `delay` was refused: no runner for gpu.**"),
    ],
)
def test_the_first_line_without_a_new_version(outcome: Outcome, reason: str, line: str) -> None:
    assert first_line(ReportedModel("delay", outcome, reason)) == line


def test_a_failure_names_the_stage_and_shows_the_end_of_its_log() -> None:
    log = "\n".join(f"line {i}" for i in range(100)) + "\nValueError: no rows"
    stage = ReportedStage("train", ReportedHow.FAILED, 3.0, "exit code 1", log)
    text = render(Report("flight-delay", models=(ReportedModel("delay", Outcome.FAILED, stages=(stage,)),)))
    assert text.startswith("**🔴 `delay` failed in stage `train`: exit code 1.**")
    (block,) = read(text).blocks
    assert block.splitlines()[-1] == "ValueError: no rows"
    assert "line 69\n" not in block
    assert len(block.splitlines()) == 30


def test_several_models_are_counted_first_the_worst_first() -> None:
    failed = ReportedModel("mlp", Outcome.FAILED, "out of memory")
    text = render(Report("a", models=(model(BETTER), failed, ReportedModel("old", Outcome.SAME))))
    lines = text.splitlines()
    assert lines[0] == "**1 model failed, 1 model better, 1 model not changed.**"
    assert [line for line in lines if line.startswith("- ")][:3] == [
        "- 🟢 `delay` is better than `main`: `auc` 0.651 → 0.703.",
        "- 🔴 `mlp` failed: out of memory.",
        "- ⚪ `old` did not change.",
    ]


def test_environments_are_compared_too_and_told_once_if_they_run_the_same() -> None:
    base = ReportedComparison(ComparisonRole.BASE, "main", "v1", (BETTER,))
    same = ReportedComparison(ComparisonRole.ENVIRONMENT, "staging", "v1", (BETTER,))
    older = ReportedComparison(ComparisonRole.ENVIRONMENT, "production", "v0", (WORSE,))
    text = render(Report("a", models=(model(comparisons=(base, same, older)),)))
    assert " In `production`: worse than what runs there. `staging` runs what `main` has." in text.splitlines()[0]
    assert len(read(text).tables) == 2


@pytest.mark.parametrize("outcome", [Outcome.SAME, Outcome.REPRODUCED])
def test_a_later_push_that_trains_nothing_still_shows_the_comparison(outcome: Outcome) -> None:
    text = render(Report("a", models=(model(BETTER, outcome=outcome),)))
    assert text.startswith("**🟢 `delay` is better than `main`")
    assert len(read(text).tables) == 1


def compared(*comparisons: ReportedComparison, outcome: Outcome = Outcome.SAME) -> ReportedModel:
    metrics = (ReportedMetric("auc", 0.7, better="higher"),)
    return ReportedModel("delay", outcome, version="v2", metrics=metrics, comparisons=comparisons)


def test_a_model_that_the_branch_does_not_change_is_not_held_against_what_runs_elsewhere() -> None:
    """A pull request that only adds a model was headlined by another model's difference with production."""
    base = ReportedComparison(ComparisonRole.BASE, "main", "v2", why="it is the version that main has")
    production = ReportedComparison(ComparisonRole.ENVIRONMENT, "production", "v0", (WORSE,))
    text = render(Report("a", models=(compared(base, production), model(BETTER))))
    assert text.splitlines()[0] == "**1 model better, 1 model not changed.**"
    assert "- ⚪ `delay` did not change." in text


@pytest.mark.parametrize("outcome", [Outcome.SAME, Outcome.REPRODUCED])
def test_a_version_that_was_trained_elsewhere_and_that_main_lacks_is_new(outcome: Outcome) -> None:
    base = ReportedComparison(ComparisonRole.BASE, "main", why="main has no version of delay")
    text = render(Report("a", models=(compared(base, outcome=outcome),)))
    told = "**🔵 `delay` has a new version with nothing to compare it to: main has no version of delay.**"
    assert text.splitlines()[0] == told
    assert len(read(text).tables) == 1


@pytest.mark.parametrize("paired", [True, False])
def test_a_comparison_that_is_not_paired_says_so(paired: bool) -> None:
    rows = (dataclasses.replace(BETTER, paired=paired), NOISE)
    assert ("Not paired, as the two have other test rows" in render(Report("a", models=(model(*rows),)))) is not paired


def test_nothing_and_a_broken_run_say_so() -> None:
    assert render(Report("a")).startswith("**⚪ Nothing to train")
    assert render(Report("a", problem="no runner has the label gpu")).startswith("**🔴 No verdict: no runner")


def test_a_metric_that_vanished_is_never_read_as_unchanged() -> None:
    gone = Row("auc", None, 0.7)
    assert "cannot be judged" in first_line(model(gone))


def moved(name: str) -> ColumnShift:
    return ColumnShift(name, 0.312, 0.01, bins=(ReportedBin(name, 0.4, 0.1), ReportedBin("missing", 0.6, 0.9)))


def full() -> Report:
    """Something in every section."""
    slices = tuple(
        ReportedSlice(
            "carrier", f"C{i}", 500 + i, (SliceMetric("auc", 0.5 + i / 100, 0.49 + i / 100, 0.52 + i / 100, 0.5),)
        )
        for i in range(30)
    )
    missing, late = (ReportedShift("wind", None, 0.02),), (ReportedShift("late", 0.2, 0.3),)
    table = Table("data/features", 100, 120, ("wind",), (), missing, late, (moved("dest"),), 3, 2)
    one = model(
        BETTER,
        COST,
        NOISE,
        ROWS_ONLY,
        metrics=(ReportedMetric("auc", 0.703, 0.69, 0.71, "higher"),),
        slices=(*slices, ReportedSlice("carrier", "OO", 6)),
        data=(table,),
        params=(ReportedChange("train.weather", "False", "True"),),
        code=(ReportedChange("pipelines/train.py", "md5:a", "md5:b"),),
        packages=(ReportedChange("numpy", "2.0", "2.1"),),
        charts=(Chart("roc", "ROC", "flights/abc/roc.png"), Chart("cost", "", "flights/abc/cost.png")),
        stages=(ReportedStage("train", ReportedHow.RAN, 7.5, "its dependencies changed"),),
        version="20260102T000000Z-bbbbbbbb",
        origin="ci",
        reproduce="gitml reproduce delay@bbbbbbbb",
        notes=("one note",),
    )
    commits = (ReportedCommit("c" * 40, "Weather, see #3", "Ada"),)
    return Report(
        "flight-delay", "o/flights", "weather", "main", "c" * 40, seconds=75.2, models=(one,), commits=commits,
        notes=("hello",),
    )  # fmt: skip


def test_every_section_is_there() -> None:
    text = render(full(), PLACE)
    found = read(text)
    assert found.foreign == []
    assert found.opened == found.closed == 5
    assert found.pictures == [
        "https://github.com/o/flights/raw/gitml-assets/flights/abc/roc.png",
        "https://github.com/o/flights/raw/gitml-assets/flights/abc/cost.png",
    ]
    assert set(found.links) == {f"https://github.com/o/flights/commit/{'c' * 40}", PLACE.whole}
    assert found.blocks == ["gitml reproduce delay@bbbbbbbb\n"]
    for piece in (
        "| `auc` | 0.651 | 0.703 | +0.052 | +0.041 to +0.063 | ▲ better |",
        "| rows of `data/features` | 100 | 120 (+20) |",
        "| columns of `data/features` |  | with `wind` |",
        "| missing in `wind` of `data/features` | – | 2.0 % |",
        "| label `late` of `data/features` | 20.0 % | 30.0 % |",
        "Shift of `data/features` (Jensen–Shannon distance: 0 the same, 1 nothing in common; not judged):",
        "| `dest` | 0.31 | `missing` 60.0 % | `missing` 90.0 % |",
        "*3 not beyond chance; 2 not compared*",
        "| param `train.weather` | `False` | `True` |",
        "| package `numpy` | `2.0` | `2.1` |",
        "Too few rows to judge 1 group: `carrier` = `OO` (6).",
        "1 min 15 s",
    ):
        assert piece in text, piece


def test_slices_come_worst_first() -> None:
    lines = [line for line in render(full(), PLACE).splitlines() if line.startswith("| `carrier`")]
    assert [line.split("`")[3] for line in lines[:2]] == ["C0", "C1"]
    assert lines[0].endswith("| ▼ worse |")
    assert lines[-1].endswith("|  |")


def test_pictures_without_a_place_are_left_out() -> None:
    assert read(render(full())).pictures == []


def test_a_report_of_a_fork_is_marked() -> None:
    assert "nobody verified" not in render(full(), PLACE)
    text = render(full(), dataclasses.replace(PLACE, trusted=False))
    assert "nobody verified" in text.splitlines()[2]


@given(st.integers(0))
def test_hostile_facts_do_nothing(seed: int) -> None:
    text = render(random_report(seed), PLACE)
    assert len(text.encode()) <= LIMIT
    _harmless(text)


def _harmless(text: str) -> None:
    found, github = read(text), read_as_github(text)
    assert found.foreign == []
    assert found.opened == found.closed
    assert found.quotes == 0
    assert found.tables == github.tables
    assert all(len(set(table)) == 1 for table in found.tables), "a row has other columns than its table"
    assert all(url.startswith(PLACE.pictures + "/") for url in [*found.pictures, *github.pictures])
    assert all(url.startswith(PLACE.repository + "/") for url in [*found.links, *github.links])
    assert not any(FORGED.search(piece) for piece in found.text)
    assert "<!--" not in text
    assert github.tags <= {
        "p", "strong", "em", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "h3",
        "details", "summary", "sub", "a", "img",
    }  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_each_hostile_piece_in_each_place_keeps_the_structure(piece: str) -> None:
    """The same report with each text replaced has the same tables, blocks, pictures and details."""
    plain, bad = (read(render(_everywhere(text), PLACE)) for text in ("x", f"a{piece}b"))
    assert bad.tables == plain.tables
    assert bad.pictures == plain.pictures
    assert (bad.opened, bad.headings, bad.quotes) == (plain.opened, plain.headings, plain.quotes)
    assert (len(bad.blocks), bad.links, bad.foreign) == (len(plain.blocks), plain.links, [])
    _harmless(render(_everywhere(f"a{piece}b"), PLACE))
    _harmless(render(_everywhere(piece), PLACE))


def _everywhere(text: str) -> Report:
    one = full().models[0]
    bad = dataclasses.replace(
        one,
        name=text,
        version=text,
        origin=text,
        comparisons=(
            ReportedComparison(
                ComparisonRole.BASE, text, "v1", tuple(dataclasses.replace(r, metric=text) for r in (BETTER, ROWS_ONLY))
            ),
            ReportedComparison(ComparisonRole.ENVIRONMENT, text, "v2", (dataclasses.replace(WORSE, metric=text),)),
        ),
        metrics=(ReportedMetric(text, 0.7, 0.6, 0.8, "higher"),),
        slices=(ReportedSlice(text, text, 5, (SliceMetric(text, 0.5, 0.4, 0.6, 0.5),)), ReportedSlice(text, text, 2)),
        data=(
            Table(
                text,
                1,
                2,
                (text,),
                (text,),
                (ReportedShift(text, 0.1, 0.2),),
                (ReportedShift(text, 0.1, 0.2),),
                (moved(text),),
            ),
            Table(text, unprofiled=text),
            Table(text, steady=1),
        ),
        params=(ReportedChange(text, text, text),),
        charts=(Chart(text, text, "a/b.png"),),
        stages=(ReportedStage(text, ReportedHow.FAILED, 1.0, text, text + "\n" + text),),
        reproduce=text,
        notes=(text,),
    )
    failed = dataclasses.replace(bad, outcome=Outcome.FAILED, reason=text)
    commits = (ReportedCommit("b" * 40, text, text),)
    return Report(text, text, text, text, "a" * 40, run_url=text, models=(bad, failed), commits=commits, problem=text)


def large(size: int) -> Report:
    one = full().models[0]
    many = tuple(ReportedChange(f"group.param_{i}", "日本" * 10, "x|`y`" * 5) for i in range(size))
    log = "\n".join(f"é{i} `````" for i in range(100))
    bad = ReportedModel(
        "mlp",
        Outcome.FAILED,
        stages=(ReportedStage("mlp-train", ReportedHow.FAILED, 1.0, "exit code 1", log),),
        params=many,
    )
    return dataclasses.replace(full(), models=(dataclasses.replace(one, params=many, packages=many), bad, one))


@pytest.mark.parametrize("size", [5, 50, 500])
@settings(max_examples=settings.default.max_examples // 4, deadline=None)
@given(limit=st.integers(2_000, 70_000))
def test_long_reports_are_cut_between_rows(size: int, limit: int) -> None:
    facts = large(size)
    text = render(facts, PLACE, limit=limit)
    assert len(text.encode()) <= limit
    _harmless(text)
    whole = render(facts, PLACE, limit=10_000_000)
    assert text.splitlines()[0] == whole.splitlines()[0]
    kept = {line for line in text.splitlines() if line.startswith("|")}
    assert kept <= set(whole.splitlines())
    if text != whole:
        assert f"[The whole report]({PLACE.whole})" in text
        assert re.search(r"Shortened to fit", text.splitlines()[-1])


def test_a_limit_that_no_report_fits_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        render(full(), PLACE, limit=100)


def test_fifty_models_with_long_names_fit_a_comment() -> None:
    models = tuple(model(BETTER, name="日" * 200, notes=("語" * 900,) * 50) for _ in range(50))
    text = render(Report("a", models=models), PLACE)
    assert len(text.encode()) <= LIMIT
    assert len(text) <= 65_536
    _harmless(text)
