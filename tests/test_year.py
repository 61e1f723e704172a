"""The year of `make year`: its calendar, its table, the rule that people decide by; the first five weeks, at night."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

ROOT = Path(__file__).parent.parent


def part(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "demo"))
    return importlib.import_module(name)


def flights(*moments: datetime) -> pa.Table:
    return pa.table(
        {
            "flight_id": [f"f{n}" for n in range(len(moments))],
            "day": [f"{one:%Y-%m-%d}" for one in moments],
            "scheduled": pa.array([one.replace(tzinfo=None) for one in moments], pa.timestamp("us")),
            "temp": [float(n) for n in range(len(moments))],
        }
    )


def test_flights_move_by_whole_weeks_into_the_months_that_they_are_in_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    year = part("yearflights", monkeypatch)
    calendar = year.Calendar(year.next_monday(datetime(2026, 11, 30, 18, tzinfo=UTC)))
    assert calendar.monday == datetime(2026, 12, 7, tzinfo=UTC)
    assert calendar.shift % timedelta(weeks=1) == timedelta()
    (tmp_path / "source").mkdir()
    moments = [
        datetime(2013, 4, 1, 5, 10, tzinfo=UTC),
        datetime(2013, 4, 1, 5, 50, tzinfo=UTC),
        datetime(2013, 4, 26, 9, tzinfo=UTC),
    ]
    parquet.write_table(flights(*moments), tmp_path / "source/2013-04.parquet")
    year.move(tmp_path / "source", tmp_path / "moved", calendar.shift)
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["2026-12.parquet", "2027-01.parquet"]
    week = year.between(tmp_path / "moved", calendar.monday, calendar.monday + timedelta(weeks=1))
    assert week["day"].to_pylist() == ["2026-12-07", "2026-12-07"]
    hours = list(year.by_hour(week))
    assert [(moment, len(rows)) for moment, rows in hours] == [(datetime(2026, 12, 7, 5, tzinfo=UTC), 2)]
    assert calendar.of_flights(hours[0][0]) == datetime(2013, 4, 1, 5, tzinfo=UTC)
    told = calendar.in_words("delay@20261207T02-82673825 was trained on 2027-01-04 (until 2027-02-01 00:00 UTC)")
    assert told == "delay@20261207T02-82673825 was trained on 2013-04-29 (until 2013-05-27 00:00 UTC)"


def test_a_feed_that_is_away_leaves_its_columns_without_values(monkeypatch: pytest.MonkeyPatch) -> None:
    year = part("yearflights", monkeypatch)
    monkeypatch.setattr(year, "WEATHER", ("temp",))
    seen = year.without_weather(flights(datetime(2013, 4, 1, 5, tzinfo=UTC)))
    assert seen["temp"].null_count == 1
    assert seen.schema.names == ["flight_id", "day", "scheduled", "temp"]


def daily(dollars: float, better: float = 0.0) -> dict[str, list[float]]:
    days = [date(2013, 4, 1) + timedelta(days=n) for n in range(40)]
    return {f"{day}": [100, 100 * dollars + 10 * (n % 7) - (better if n >= 20 else 0)] for n, day in enumerate(days)}


def test_policies_are_compared_on_the_same_days(monkeypatch: pytest.MonkeyPatch) -> None:
    page = part("yearpage", monkeypatch)
    costs = page.Costs({"frozen": daily(10), "gitml": daily(10, better=50), "monthly": daily(11)})
    value, low, high = costs.of("gitml", against="frozen")
    assert value == pytest.approx(-0.25)
    assert low <= value <= high < 0
    assert costs.of("monthly", against="frozen") == pytest.approx((1.0, 1.0, 1.0))
    assert costs.of("frozen", "2013-04")[1] < costs.of("frozen", "2013-04")[2]


def test_the_page_says_who_won_and_what_happened_and_cannot_be_broken_by_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = part("yearpage", monkeypatch)
    told = [("2013-04-22", "#2 asks: <b>temp</b> | moved", "the bot")]
    daily_of = {f"2013-05-{n:02}": [100, -3.0] for n in range(1, 9)}
    said = {"cost_per_flight": (0.5, 0.1, 0.9), "log_loss": (-0.01, -0.02, 0.0)}
    realised = {"cost_per_flight": daily_of, "log_loss": daily_of}
    kept = page.Kept("x-v2", "2013-05-01", "kept out by the gate", said, realised)
    story = page.Story(told, {"gitml": daily(11), "frozen": daily(10)}, [kept], "the replay agrees")
    said = page.write_page(tmp_path, story)
    assert "Over all days frozen was the cheapest" in said[-1]
    assert "dearer than the frozen model: +1.00" in said[-1]
    html, markdown = ((tmp_path / f"year.{kind}").read_text() for kind in ("html", "md"))
    assert "<b>temp" not in html
    assert "\\| moved" in markdown
    told_of = "| +0.50 (+0.10 to +0.90) | -0.03 (-0.03 to -0.03) | -0.0100 (-0.0200 to +0.0000) |"
    assert f"| 2013-05-01 | v2 | kept out by the gate {told_of}" in markdown
    assert "1 version, kept out by the gate: -0.03 dollars a flight" in markdown
    assert (tmp_path / "year.png").read_bytes().startswith(b"\x89PNG")


def test_months_end_where_the_year_does(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = part("yearpolicies", monkeypatch)
    ends = [(f"{first}", f"{after}") for first, after in policies.months(date(2013, 5, 13))]
    assert ends == [("2013-04-01", "2013-05-01"), ("2013-05-01", "2013-05-13")]


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_five_weeks_run_to_their_page_and_the_policy_replayed_opens_what_they_opened(tmp_path: Path) -> None:
    script = ROOT / "demo/year.py"
    words: list[Any] = [sys.executable, script, "--until", "2013-05-06", "--place", tmp_path / "year"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "year/year.md").read_text()
    assert "dollars a flight, by the report" in text
    assert "opens the same 1 retrainings" in text


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_a_bad_change_that_its_report_calls_better_is_taken_back_on_live_flights(tmp_path: Path) -> None:
    script, place = ROOT / "demo/year.py", tmp_path / "year"
    words: list[Any] = [sys.executable, script, "--since", "2013-07-08", "--until", "2013-08-12", "--place", place]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (place / "year.md").read_text()
    came = re.search(r"answers 20 % of the flights, #\d+: better on the same 21 held-out days", text)
    gone = re.search(
        r"takes [0-9a-f]{8} back: cost_per_flight \S+ against \S+: shown to be worse by more than 0.2", text
    )
    assert came
    assert gone
    assert came.start() < gone.start()
    assert "taken back by the canary" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--until", "2014-02-01"), "2013-12-30"),
        (("--until", "2013-04-07"), "2013-04-08"),
        (("--away", "2013-09-17"), "Mondays"),
        (("--since", "2013-05-06", "--until", "2013-05-06"), "a week before --until"),
    ],
)
def test_days_that_the_year_does_not_have_are_refused(
    words: tuple[str, ...], said: str, capsys: Any, monkeypatch: Any
) -> None:
    year = part("year", monkeypatch)
    monkeypatch.setattr(sys, "argv", ["year.py", *words])
    with pytest.raises(SystemExit) as ended:
        year.main()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_year_is_no_job_of_ci_wherever_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    year = part("year", monkeypatch)
    for name in ("CI", "GITHUB_ACTIONS", "GITML_FORGE", "GIT_DIR"):
        monkeypatch.setenv(name, "true")
    year.forget_outside()
    assert not {"CI", "GITHUB_ACTIONS", "GITML_FORGE", "GIT_DIR"} & set(os.environ)
    assert "PATH" in os.environ
