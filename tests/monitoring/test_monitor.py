"""`gitml monitor`: one window of traffic, three verdicts, the same bytes for the same moment."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import gitml
from gitml.cli.main import main
from gitml.errors import InconclusiveError, UsageError
from gitml.inference.monitor import MonitorCall, monitor
from gitml.inference.monitored import Monitored
from gitml.monitoring.reference import read_version_reference, recoded_reference, version_reference_bytes
from gitml.reports.monitor import report
from gitml.verdict import Phase
from monitoring.watched_world import AT, DAY, MONDAY, SIGNATURE, WEEK, WatchedWorld, build, changed, deploy, rows, weeks
from reports import look_kit


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file a day and window: hundreds, and nothing here is about a machine that loses power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> WatchedWorld:
    return build(tmp_path_factory.mktemp("watched") / "app")


@pytest.fixture
def world(template: WatchedWorld, tmp_path: Path) -> WatchedWorld:
    root = tmp_path / "app"
    shutil.copytree(template.root, root)
    text = (root / "gitml.yaml").read_text().replace(str(template.root), str(root))
    (root / "gitml.yaml").write_text(text)
    return WatchedWorld(root, template.version)


def look(world: WatchedWorld, **more: Any) -> Monitored:
    (found,) = monitor(world.root, MonitorCall(str(world.traffic), **{"at": AT, **more}))
    return found


def phases(found: Monitored) -> dict[str, str]:
    return {name: verdict.phase.value for name, verdict in found.verdicts.items()}


def drifted(found: Monitored) -> list[str]:
    return [column.column for column in found.columns if column.drifted]


def test_quiet_weeks_break_no_rule_and_drift_nowhere(world: WatchedWorld) -> None:
    world.serve(weeks(6), labels=True)
    found = look(world)
    assert phases(found)["quality"] == "successful"
    assert not drifted(found)
    assert (found.since, found.until, found.next_look) == (AT - WEEK, AT, AT + WEEK)
    assert (found.rows, len(found.looks), found.rows_of_looks) == (1400, 6, 8400)
    assert found.verdicts["harm"].phase is Phase.SUCCESSFUL
    # Two months of days say something of fares, and too little of weather that a day shares.
    needed = {column.column: column.needed for column in found.columns}
    assert needed["fare"] == 0
    assert needed["weather"] != 0
    assert "weather" in found.verdicts["drift"].reason
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE


def test_a_column_that_moved_is_named_with_its_direction(world: WatchedWorld) -> None:
    world.serve(changed(weeks(6), 28, fare=lambda some: some["fare"] + 0.5))
    found = look(world)
    assert found.verdicts["drift"].phase is Phase.FAILED
    assert found.verdicts["drift"].reason == "fare has drifted"
    assert drifted(found) == ["fare"]
    effect = found.columns[0].effect
    assert effect is not None
    assert 0.05 < effect.low < 0.2 < effect.high
    assert effect.direction > 0.1
    assert found.columns[0].shown == "mean 0.001452 → 0.4993 (+0.50 σ)"
    assert found.columns[0].moved.quantiles["0.5"][1] == pytest.approx(0.5, abs=0.1)
    before = look(world, at=AT - 2 * WEEK - timedelta(seconds=1))
    assert not drifted(before)


def test_the_same_moment_gives_the_same_bytes_whatever_came_since(world: WatchedWorld) -> None:
    live = weeks(6)
    world.serve(live)
    first = json.dumps(look(world).to_dict())
    shutil.rmtree(world.traffic / "sketches")
    assert json.dumps(look(world).to_dict()) == first
    late = live[38].assign(fare=99.0)
    world.serve({38: late}, now=AT + DAY, name="late")
    assert json.dumps(look(world).to_dict()) == first
    assert look(world, at=AT + 2 * DAY).rows == 2100


def test_labels_that_tell_another_story_are_harm(world: WatchedWorld) -> None:
    rng = np.random.default_rng(0)
    live = changed(weeks(6), 0, late=lambda some: (rng.random(len(some)) < 0.5).astype(float))
    world.serve(live, labels=True)
    found = look(world, at=AT + DAY)
    assert found.verdicts["harm"].phase is Phase.FAILED
    assert "0.83 when evaluated" in found.verdicts["harm"].reason
    assert found.performance is not None
    assert found.performance.high < 0.8
    # The newest week's labels are not mature yet.
    assert found.performance.rows <= 5 * 1400 + 700


def test_without_labels_harm_is_inconclusive(world: WatchedWorld) -> None:
    world.serve(weeks(2))
    found = look(world, at=MONDAY + 2 * WEEK)
    assert (found.verdicts["harm"].phase, found.verdicts["harm"].reason[:14]) == (Phase.INCONCLUSIVE, "no labels have")


def test_a_version_without_a_reference_says_how_to_get_one(tmp_path: Path) -> None:
    world = build(tmp_path / "app", reference=False)
    world.serve(changed(weeks(6), 38, word="new"))
    found = look(world)
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE
    assert "gitml reference" in found.verdicts["drift"].reason
    # The signature alone knows categories.
    assert [(b.rule, b.column) for b in found.breaches] == [("unseen", "word")]


def test_eight_rows_never_drift_but_say_how_many_it_takes(world: WatchedWorld) -> None:
    live = weeks(1)
    world.serve({35: live[0].iloc[:8].assign(fare=1e6)})
    found = look(world)
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE
    assert found.verdicts["drift"].reason.startswith("too little: about ")
    assert not drifted(found)
    assert found.breaches[0].rule == "range"


@pytest.mark.parametrize("count", [0, 1])
def test_no_row_and_one_row(world: WatchedWorld, count: int) -> None:
    if count:
        world.serve({35: weeks(1)[0].iloc[:1]})
    found = look(world)
    assert found.rows == count
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE
    if not count:
        assert found.verdicts["quality"].phase is Phase.INCONCLUSIVE


def test_a_window_without_a_row_after_full_ones_breaks_the_contract(world: WatchedWorld) -> None:
    world.serve(weeks(5))
    found = look(world)
    assert found.verdicts["quality"].phase is Phase.FAILED
    assert [(b.rule, b.seen) for b in found.breaches] == [("volume", "0 rows")]


def test_each_breach_says_since_when(world: WatchedWorld) -> None:
    world.serve(changed(changed(weeks(6), 28, word="z", weather=np.nan), 35, fare=50.0))
    found = look(world)
    since = {(b.rule, b.column): b.since for b in found.breaches}
    assert since == {
        ("unseen", "word"): AT - 2 * WEEK,
        ("missing", "weather"): AT - 2 * WEEK,
        ("range", "fare"): AT - WEEK,
        ("constant", "fare"): AT - WEEK,
    }
    assert found.verdicts["quality"].reason.endswith("and 3 more")


def test_a_column_that_is_gone_or_of_another_type(world: WatchedWorld) -> None:
    live = changed(weeks(6), 38, fare="many")
    live[35] = live[35].drop(columns=["weather"])
    world.serve(live)
    seen = {(b.rule, b.column): b.seen for b in look(world).breaches}
    assert seen["absent", "weather"] == "700 of 1,400 rows are without it"
    assert seen["type", "fare"] == "another type in 50.0% of rows"


def test_a_new_version_half_way_is_watched_from_its_first_row_on(world: WatchedWorld) -> None:
    live = weeks(6)
    old = {day: some.assign(fare=some["fare"] + 5) for day, some in live.items() if day < 38}
    world.serve(old, version="20250101T000000Z-00000000")
    world.serve({day: some for day, some in live.items() if day >= 38})
    found = look(world)
    assert (len(found.looks), found.rows) == (1, 700)
    assert not drifted(found)


def test_ten_thousand_categories_and_hostile_names(world: WatchedWorld) -> None:
    rng = np.random.default_rng(0)
    world.serve(
        changed(weeks(6), 0, word=lambda some: [f"\x1b[31m@here<b>{v}" for v in rng.integers(0, 10_000, len(some))])
    )
    found = look(world)
    assert "word" in drifted(found)
    text = json.dumps(found.to_dict())
    assert "@here" not in text
    assert "all others" in text


def test_a_torn_file_and_traffic_out_of_reach_are_inconclusive(world: WatchedWorld) -> None:
    world.serve(weeks(1))
    for path in (world.traffic / "predictions").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-40])
    found = look(world, at=AT)
    assert set(phases(found).values()) == {"inconclusive"}
    assert "cannot be read" in found.verdicts["quality"].reason


def test_a_server_whose_clock_jumps_ahead_and_back_changes_no_window_but_the_one_it_names(world: WatchedWorld) -> None:
    one, moved = weeks(1)[0], weeks(1)[3].assign(fare=99.0)
    world.serve({35: one})
    world.serve({45: moved}, now=AT + 5 * DAY, name="ahead")
    found = look(world)
    world.serve({38: moved}, now=AT - DAY, name="back")
    again = look(world)
    assert (found.rows, again.rows) == (700, 1400)
    assert not drifted(found)


def test_a_reference_that_was_edited_is_not_believed(world: WatchedWorld) -> None:
    world.serve(weeks(6))
    (world.root / "reference.json").write_bytes(b"{}")
    found = look(world)
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE
    assert "reference.json cannot be had" in found.verdicts["drift"].reason


def test_parts_can_be_turned_off_and_columns_muted(world: WatchedWorld) -> None:
    world.serve(changed(weeks(6), 0, fare=lambda some: some["fare"] + 1))
    path = world.root / "gitml.yaml"
    mute = "      mutes: [{columns: [fare], until: 2025-10-31, reason: new tariff}]\n"
    path.write_text(path.read_text() + "      watch: [drift]\n" + mute)
    found = look(world)
    assert [*found.verdicts] == ["drift"]
    assert drifted(found) == ["fare"]
    assert found.verdicts["drift"].phase is not Phase.FAILED
    assert "new tariff" in found.columns[0].muted
    path.write_text(path.read_text().replace("2025-10-31", "2025-10-01"))
    assert look(world).verdicts["drift"].phase is Phase.FAILED


def test_an_expired_mute_alarms_again_and_the_report_says_what_ended_when_and_by_which_line(
    world: WatchedWorld,
) -> None:
    world.serve(changed(weeks(6), 0, fare=lambda some: some["fare"] + 1))
    path = world.root / "gitml.yaml"
    mute = "      mutes:\n      - {columns: [fare], until: 2025-10-10, reason: new tariff}\n"
    path.write_text(path.read_text() + mute + "      tell: {people: [ada], teams: [acme/ml]}\n")
    line = path.read_text().splitlines().index("      - {columns: [fare], until: 2025-10-10, reason: new tariff}") + 1
    muted, over = (look(world, at=AT + timedelta(hours=1) - back) for back in (WEEK, timedelta()))
    assert (muted.verdicts["drift"].phase is Phase.FAILED, over.verdicts["drift"].phase) == (False, Phase.FAILED)
    found = report(over.to_dict(), [muted.to_dict()], draw=lambda specs: [None for _ in specs])
    assert f"| `fare` | 🔔 ended 2025-10-10: alarms again | new tariff | `gitml.yaml:{line}` |" in found.sticky
    assert found.alert is not None
    assert found.alert.endswith("@ada, @acme/ml")
    before = report(muted.to_dict(), draw=lambda specs: [None for _ in specs])
    assert (before.alert, "🔕 through 2025-10-10" in before.sticky) == (None, True)
    assert {*look_kit.look()} - {"id", "spent"} <= {*over.to_dict()}


def test_no_value_of_a_single_row_is_told(world: WatchedWorld) -> None:
    live = weeks(6)
    live[38] = live[38].assign(fare=[*live[38]["fare"][:-30], *[123456.7891] * 30])
    world.serve(live)
    found = look(world)
    assert [(b.rule, b.column) for b in found.breaches] == [("range", "fare")]
    assert "1234" not in json.dumps(found.to_dict())
    alone = {35: weeks(1)[0].iloc[:1].assign(fare=123456.7891)}
    shutil.rmtree(world.traffic)
    world.serve(alone)
    assert "1234" not in json.dumps(look(world).to_dict())


def test_floors_and_columns_are_as_gitml_yaml_says(world: WatchedWorld) -> None:
    world.serve(changed(weeks(6), 0, fare=lambda some: some["fare"] + 0.5, p=lambda some: some["p"] / 2))
    assert set(drifted(look(world))) == {"fare", "p"}
    path = world.root / "gitml.yaml"
    path.write_text(path.read_text() + "      columns: [fare, word]\n      floors: {columns: {fare: 0.3}}\n")
    found = look(world)
    assert [column.column for column in found.columns] == ["fare", "word"]
    assert not drifted(found)
    assert found.promise.columns == 2


def test_a_column_that_the_version_does_not_have_is_inconclusive(world: WatchedWorld) -> None:
    path = world.root / "gitml.yaml"
    path.write_text(path.read_text() + "      columns: [fare, gone]\n")
    found = look(world)
    assert set(phases(found).values()) == {"inconclusive"}
    assert found.verdicts["drift"].reason.startswith("the signature has no column gone; it has fare, weather, word, p")


def test_private_columns_are_not_watched_and_without_any_other_nothing_passes(world: WatchedWorld) -> None:
    world.serve(weeks(1))
    path = world.root / "gitml.yaml"
    text = path.read_text()
    path.write_text(text + "private: [fare, p]\n")
    assert {column.column for column in look(world).columns} == {"weather", "word"}
    path.write_text(text + 'private: ["*"]\n')
    verdict = look(world).verdicts["drift"]
    assert (verdict.phase, verdict.reason[:22]) == (Phase.INCONCLUSIVE, "no column is watched: ")


def test_a_window_beside_the_schedule_is_looked_at_alone(world: WatchedWorld) -> None:
    world.serve(weeks(6))
    found = look(world, since=MONDAY + DAY, until=MONDAY + 4 * DAY)
    assert (found.scheduled, found.rows, len(found.looks)) == (False, 700, 1)
    since = look(world, since=MONDAY + DAY)
    assert (since.since, since.until, since.rows) == (MONDAY + DAY, AT, 11 * 700)


def test_repeated_rows_count_when_that_is_asked_for(world: WatchedWorld) -> None:
    live = weeks(6)
    live[38] = pd.concat([live[38].iloc[:550], live[38].iloc[:150]])
    world.serve(live)
    path = world.root / "gitml.yaml"
    path.write_text(path.read_text() + "      quality: {duplicates: 0.05}\n")
    (found,) = look(world).breaches
    assert (found.rule, found.seen) == ("duplicates", "10.7%")


def test_requests_that_failed(world: WatchedWorld) -> None:
    live = weeks(6)
    world.serve(live)
    world.serve({38: live[38]}, outcome="failed", features={}, output={}, reason="model")
    (found,) = look(world).breaches
    assert (found.rule, found.seen) == ("failed", "33.3% of 3")


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"models": ("gone",)}, UsageError, "no model gone"),
        ({"environment": "moon"}, InconclusiveError, "no version is watched in moon"),
        ({"until": MONDAY}, UsageError, "a beginning and an end"),
        ({"since": AT}, UsageError, "ends 2025-10-13 00:00 UTC, and --since is later"),
        ({"since": MONDAY + DAY, "until": MONDAY}, UsageError, "ends after it begins"),
        ({"at": MONDAY + timedelta(weeks=5000)}, UsageError, "in the future"),
    ],
)
def test_what_cannot_be_looked_at(
    world: WatchedWorld, more: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        look(world, **more)


def test_where_nothing_can_be_looked_at_the_hint_says_what_to_do(world: WatchedWorld) -> None:
    with pytest.raises(InconclusiveError) as nothing:
        look(world, environment="moon")
    assert "models/MODEL/ENVIRONMENT.yaml: propose one with `gitml promote`" in nothing.value.hint
    with pytest.raises(UsageError) as window:
        look(world, since=MONDAY, until=MONDAY + DAY, at=MONDAY)
    assert f"no later than {MONDAY:%Y-%m-%dT%H:%M:%SZ}" in window.value.hint


def test_the_stability_index_is_shown_to_those_who_ask(world: WatchedWorld) -> None:
    _watched_by(world, "      psi: true\n")
    world.serve({day + 35: some.assign(fare=some["fare"] + 0.5) for day, some in weeks(1).items()})
    found = look(world)
    index = next(column.psi for column in found.columns if column.column == "fare")
    assert index is not None
    assert index.value > 0.15 > 2 * index.by_chance
    assert f"; PSI {index.value:.3f} (by chance up to {index.by_chance:.3f})" in found.columns[0].shown


def _watched_by(world: WatchedWorld, lines: str) -> None:
    text = (world.root / "gitml.yaml").read_text()
    (world.root / "gitml.yaml").write_text(text + lines)


DETECTORS = "      clusters: []\n      detectors: [{name: domain-classifier}]\n"


@pytest.mark.nightly
@pytest.mark.slow
def test_a_detector_sees_columns_that_agree_and_has_its_share_of_the_promise(world: WatchedWorld) -> None:
    _watched_by(world, DETECTORS)
    world.serve(changed(weeks(6), 35, weather=lambda some: -some["fare"]))
    found = look(world)
    (detection,) = found.detections
    assert detection.alarms
    assert {column.column for column in detection.columns[:2]} == {"fare", "weather"}
    assert "domain-classifier tells rows" in found.verdicts["drift"].reason
    assert found.verdicts["drift"].phase is Phase.FAILED
    assert found.promise.rate == pytest.approx(0.05 * 0.8 * 0.8)
    assert detection.threshold == pytest.approx(0.05 * 0.8 * 0.2 / 53)
    assert json.loads(json.dumps(found.to_dict()))["detectors"][0]["alarms"] is True
    assert look(world).detections == found.detections


def test_a_detector_without_rows_says_how_to_get_them(world: WatchedWorld) -> None:
    record = world.root / "models/delay/versions" / f"{world.version}.json"
    text = json.loads(record.read_text())
    del text["roles"]["reference_rows"]
    record.write_text(json.dumps(text))
    _watched_by(world, "      detectors: [{name: domain-classifier}]\n")
    world.serve(weeks(6))
    found = look(world)
    assert "add `reference_rows: PATH`" in found.detections[0].shown_only
    assert found.verdicts["drift"].phase is Phase.INCONCLUSIVE


@pytest.mark.nightly
@pytest.mark.slow
def test_contexts_are_held_fixed_where_the_reference_has_them(tmp_path: Path) -> None:
    world = build(tmp_path / "app", monitors="      context: [word]\n", reference=False)
    made = rows(84, 200)
    made = made.assign(fare=made["fare"] + 2.0 * (made["word"] == "a"))
    made.to_parquet(world.root / "train.parquet")
    ran = gitml(world.root, "reference", "delay", "--features", "train.parquet", "--time", "when")
    assert ran.code == 0, ran.err
    assert "features: 3 contexts of feature_word" in ran.out
    world = WatchedWorld(world.root, deploy(world.root, "m.onnx", SIGNATURE))
    more_a = weeks(6)
    for day, some in more_a.items():
        word = np.where(np.arange(len(some)) % 2 == 0, "a", some["word"])
        more_a[day] = some.assign(word=word, fare=some["fare"] + 2.0 * (word == "a"))
    world.serve(more_a)
    assert drifted(look(world)) == []
    assert look(world).verdicts["drift"].measurements["context moved"] == pytest.approx(1 / 3, abs=0.03)
    text = (world.root / "gitml.yaml").read_text()
    (world.root / "gitml.yaml").write_text(text.replace("context: [word]", "context: []"))
    assert "fare" in drifted(look(world))
    (world.root / "gitml.yaml").write_text(text.replace("context: [word]", "context: [weekday]"))
    reason = look(world).verdicts["drift"].reason
    assert reason == "the reference was written with other context (feature_word) than weekday: train again"


@pytest.mark.slow
def test_the_command_says_it_in_a_sentence_and_ends_with_its_verdict(world: WatchedWorld) -> None:
    world.serve(changed(weeks(6), 0, fare=lambda some: some["fare"] + 1))
    ran = gitml(world.root, "monitor", "delay", "--at", "2025-10-13")
    assert ran.code == 1, ran.err
    lines = ran.out.splitlines()
    assert lines[0] == "delay in production: fare has drifted"
    assert any(line.startswith("fare") and "drifted" in line and "σ" in line for line in lines)
    assert "Promised: one false alarm in 20 years of such looks, over all columns watched (4)." in lines
    assert lines[-1] == "Look yourself: gitml monitor delay --in production --at 2025-10-13T00:00:00Z"
    told = json.loads(gitml(world.root, "monitor", "--at", "2025-10-13", "--json").out)
    assert told[0]["verdicts"]["drift"]["phase"] == "failed"
    assert told[0]["drift"][0]["column"] == "fare"


@pytest.mark.slow
def test_a_look_too_soon_says_that_rows_come_later(world: WatchedWorld) -> None:
    ran = gitml(world.root, "monitor", "delay", "--at", "2025-10-13")
    assert ran.code == 3, ran.err
    assert "0 rows; no server or job has reported yet: rows count about a minute after they came" in ran.out


@pytest.mark.slow
@pytest.mark.nightly
def test_the_report_is_a_file_with_the_looks_before_and_its_picture_beside_it(world: WatchedWorld) -> None:
    for week in range(6):
        live = changed(weeks(6), 28, fare=lambda some: some["fare"] + 1)
        some = {day: rows for day, rows in live.items() if day // 7 == week}
        world.serve(some, now=MONDAY + (week + 1) * WEEK - timedelta(hours=1), name=f"w{week}")
    words = ("monitor", "delay", "--at", "2025-10-13T01:00:00Z", "--report", "my look.md")
    ran = gitml(world.root, *words)
    assert ran.code == 1, ran.err
    text = (world.root / "my look.md").read_text()
    assert text.startswith("🔴 **`delay` in `production` needs attention**")
    assert "Since Mon 2025-09-29 (2 looks)" in text
    assert "The last 6 looks: 🟡🟡🟡🟡🔴🔴" in text
    assert "(delay-production.png)" in text
    assert (world.root / "delay-production.png").read_bytes().startswith(b"\x89PNG")
    assert gitml(world.root, *words).code == 1
    assert (world.root / "my look.md").read_text() == text


@pytest.mark.nightly
@pytest.mark.slow
def test_the_reference_is_written_by_a_command_that_a_stage_can_call(tmp_path: Path) -> None:
    world = build(tmp_path / "app", reference=False)
    made = rows(84, 50)
    made.to_parquet(world.root / "train.parquet")
    made.tail(900).to_csv(world.root / "scored.csv", index=False)
    words = ("--features", "train.parquet", "--outputs", "scored.csv", "--time", "when", "--until", "2025-08-24T24:00")
    ran = gitml(world.root, "reference", "delay", *words)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "reference.json: 3,850 rows of features, 900 rows of outputs",
        "none of its own periods of 168 h would alarm: each was left out in turn, 11 of features, 3 of outputs",
    ]
    first = (world.root / "reference.json").read_bytes()
    sample = pd.read_parquet(world.root / "rows.parquet")
    assert (len(sample), [*sample.columns]) == (3850, ["fare", "weather", "word", "gitml hour"])
    assert gitml(world.root, "reference", "delay", *words).code == 0
    assert (world.root / "reference.json").read_bytes() == first
    # With people in the rows nothing of a single one may be seen in a file that may lie in Git.
    text = (world.root / "gitml.yaml").read_text()
    (world.root / "gitml.yaml").write_text(text + "subjects: {data: {train.parquet: [word]}}\n")
    assert gitml(world.root, "reference", "delay", *words).code == 0
    told = (world.root / "reference.json").read_bytes()
    assert version_reference_bytes(recoded_reference(read_version_reference(told))) == told != first
    none = gitml(world.root, "reference", "delay", "--features", "gone.parquet")
    assert (none.code, "gone.parquet is not there" in none.err) == (2, True)


def test_counts_that_no_look_can_carry_are_announced_when_the_reference_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = build(tmp_path / "app", reference=False)
    rows(14, 50).to_parquet(world.root / "train.parquet")
    monkeypatch.setattr("gitml.evidence.looks.MOST_DETAILS", 100)
    with pytest.raises(SystemExit) as end:
        main(["-C", str(world.root), "reference", "delay", "--features", str(world.root / "train.parquet")])
    assert end.value.code == 0
    assert "none are signed: looks count the traffic of 32 windows again" in capsys.readouterr().err
