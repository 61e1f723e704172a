"""Windows, moments, first answers, events, and what hosts say of themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gitml.engines.places import place_of
from gitml.inference.traffic import summary
from gitml.traffic import intake
from gitml.traffic.events import EventStore
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.housekeeping import keep_house
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.marks import HostMarks, completeness
from gitml.traffic.predictionlog import LogLimits, PredictionLog
from gitml.traffic.reader import Window, events, requests

NOON = 1_764_072_000.0  # 2025-11-25 12:00 UTC
ARM = Arm("delay", "production", "champion", "v1", 100.0, "e1")


def exchange(name: str, *, when: float = NOON, value: float = 0.5, **changes: object) -> Exchange:
    whole = Exchange(name, "", None, ARM, {"x": np.array([1])}, {"p": np.array([value])}, 0.1, when, when)
    return whole._replace(**changes)


def write(folder: Path, *exchanges: Exchange) -> None:
    log = PredictionLog(folder, limits=LogLimits(window=0.01))
    for each in exchanges:
        log.put(each)
    log.close()


def rows(folder: Path, window: Window | None = None) -> list[dict[str, object]]:
    return [row for batch in requests(folder, "delay", window) for row in batch.to_pylist()]


def test_the_first_answer_of_a_caller_row_and_arm_counts(tmp_path: Path) -> None:
    shadow = ARM._replace(name="shadow", version="v2")
    failed = {"features": {}, "output": {}, "outcome": "timed out", "reason": "slow"}
    write(tmp_path, exchange("a", when=NOON + 60, value=0.9), exchange("b", when=NOON - 5, **failed))
    write(
        tmp_path,
        exchange("a", value=0.1),
        exchange("a", value=0.2, caller="shop"),
        exchange("a", value=0.3, arm=shadow),
        exchange("b"),
        exchange("a", when=NOON + 86_400, value=0.8),
        exchange("a", when=NOON + 4 * 86_400, value=0.4),
    )
    found = rows(tmp_path)
    answers = [(r["caller"], r["arm"], r["output_p"]) for r in found if r["request_id"] == "a"]
    assert sorted(answers, key=lambda a: a[2]) == [
        (None, "champion", 0.1), ("shop", "champion", 0.2), (None, "shadow", 0.3), (None, "champion", 0.4),
    ]  # fmt: skip
    assert {r["outcome"] for r in found if r["request_id"] == "b"} == {"timed out", "ok"}, "a failure is no answer"


def test_a_caller_labels_its_own_requests_and_a_labeller_those_it_names(tmp_path: Path) -> None:
    write(tmp_path, exchange("a", caller="shop"), exchange("a", caller="desk"), exchange("b", caller="desk"))
    store = LabelStore(tmp_path)
    body = {"labels": [{"request_id": "a", "label": 1}]}
    assert intake.receive_labels(store, "delay", json.dumps(body).encode(), "shop", "shop")[0] == 200
    body = {"labels": [{"request_id": "a", "label": 0, "caller": "desk"}]}
    assert intake.receive_labels(store, "delay", json.dumps(body).encode(), "shop", "shop")[0] == 422
    store.add("delay", [Label("b", 1.0)], "warehouse")
    store.close()
    found = {(r["request_id"], r["caller"]): (r["label"], r["label_source"]) for r in rows(tmp_path)}
    assert found == {("a", "shop"): (1.0, "shop"), ("a", "desk"): (None, None), ("b", "desk"): (1.0, "warehouse")}


def test_a_moment_cuts_off_labels_that_had_not_arrived_and_repeats(tmp_path: Path) -> None:
    write(tmp_path, exchange("a"))
    with_label = LabelStore(tmp_path)
    with_label.add("delay", [Label("a", 1.0)])
    with_label.close()
    now = datetime.now(UTC)
    assert rows(tmp_path, Window(at=now)) == [], "a file counts a minute after it was begun"
    (later,) = rows(tmp_path, Window(at=now + timedelta(minutes=2)))
    assert later["label"] == 1.0
    assert rows(tmp_path)[0]["label_arrived"] <= now


def event(**changes: object) -> dict[str, object]:
    return {"unit": "N1", "time": "2025-11-25T12:00:00Z", "name": "missed", **changes}


def test_business_events_count_by_their_time_and_once_for_an_id(tmp_path: Path) -> None:
    store = EventStore(tmp_path)
    sent = [event(value=2), event(value=2), event(id="x"), event(time="2025-11-26T00:00:00", id="y")]
    for source in ("shop", "shop", "desk"):
        body = json.dumps({"events": sent}).encode()
        assert intake.receive_events(store, body, source) == (200, {"kept": 4})
    day = datetime(2025, 11, 25, tzinfo=UTC)
    found = [r for b in events(tmp_path, Window(day, day + timedelta(days=1))) for r in b.to_pylist()]
    assert sorted((r["value"], r["id"], r["source"]) for r in found if r["id"]) == [
        (1.0, "x", "desk"),
        (1.0, "x", "shop"),
    ]
    assert sum(r["value"] for r in found if not r["id"]) == 12.0
    store.close()
    assert [r for b in events(tmp_path, Window(day, day + timedelta(days=1))) for r in b.to_pylist()] == found
    assert (tmp_path / "events/date=2025-11-26").is_dir()


@pytest.mark.parametrize(
    "wrong",
    [{"unit": ""}, {"time": "soon"}, {"time": "2999-01-01T00:00:00Z"}, {"value": "much"}, {"value": True} | {"name": 3},
     {"extra": 1}, {"id": 7}, {"time": None}],
)  # fmt: skip
def test_whatever_is_no_event_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    store = EventStore(tmp_path)
    status, said = intake.receive_events(store, json.dumps({"events": [event(), event(**wrong)]}).encode())
    store.close()
    assert (status, said["problems"][0]["number"]) == (422, 1)
    assert not (tmp_path / "events").exists()


def marks(folder: Path, host: str, *said: tuple[float, float, bool]) -> None:
    """At the first minute all rows before the second one are there."""
    moment = [0.0]
    found = HostMarks(place_of(folder), folder / f".spool-{host}", host, "production", now=lambda: moment[0])
    for at, complete, ended in said:
        moment[0] = NOON + 60 * at
        found.tell(NOON + 60 * complete, ended=ended)
    found.close()


def test_what_hosts_said_becomes_one_file_a_day_and_says_the_same(tmp_path: Path) -> None:
    marks(tmp_path, "a", (-10, -11, False), (65, 64, False))
    marks(tmp_path, "slow", (-10, -11, False), (200, 199, False))
    marks(tmp_path, "next-day", (1440, 1439, False))
    before = [state(tmp_path, at) for at in (61, 70, 125, 210)]
    day = tmp_path / "hosts/date=2025-11-25"
    half = {path.name: path.read_bytes() for path in day.iterdir()}
    keep_house(place_of(tmp_path), NOON + 86_400, None)
    assert set(half) == {path.name for path in day.iterdir()}, "a host may still write to yesterday's"
    keep_house(place_of(tmp_path), NOON + 2 * 86_400, None)
    assert len([*day.iterdir()]) == 1
    assert [state(tmp_path, at) for at in (61, 70, 125, 210)] == before
    (day / "slow.json").write_bytes(half["slow.json"])  # killed before the second was deleted
    assert [state(tmp_path, at) for at in (61, 70, 125, 210)] == before
    for _ in range(2):
        keep_house(place_of(tmp_path), NOON + 2 * 86_400, None)
    assert len([*day.iterdir()]) == 1
    assert [state(tmp_path, at) for at in (61, 70, 125, 210)] == before


def test_days_that_are_too_old_lose_what_hosts_said_and_sketches(tmp_path: Path) -> None:
    marks(tmp_path, "a", (0, 0, False), (1440, 1440, False))
    for day in ("25", "26"):
        kept = tmp_path / f"sketches/model=delay/date=2025-11-{day}/x.json"
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"{}")
    keep_house(place_of(tmp_path), NOON + 86_400, timedelta(days=0.4))
    left = sorted(path.parent.name for path in tmp_path.rglob("*.json"))
    assert left == ["date=2025-11-26", "date=2025-11-26"]


def state(folder: Path, at: float) -> tuple[str, tuple[str, ...]]:
    noon = datetime.fromtimestamp(NOON, UTC)
    found = completeness(folder, noon, noon + timedelta(hours=1), at=noon + timedelta(minutes=at))
    return found.state, found.missing


def test_a_window_is_complete_when_every_host_has_passed_its_end(tmp_path: Path) -> None:
    marks(tmp_path, "a", (-10, -11, False), (50, 49, False), (65, 64, False), (100, 99, False))
    marks(tmp_path, "stopped", (-10, -11, False), (30, 30, True))
    marks(tmp_path, "gone-before", (-300, -301, False))
    marks(tmp_path, "came-later", (90, 89, False))
    marks(tmp_path, "slow", (-10, -11, False), (20, 19, False), (200, 199, False))
    assert state(tmp_path, 61) == ("waiting", ("a", "slow"))
    assert state(tmp_path, 70) == ("waiting", ("slow",))
    assert state(tmp_path, 125) == ("incomplete", ("slow",))
    assert state(tmp_path, 210) == ("complete", ())
    assert state(tmp_path, 125) == ("incomplete", ("slow",)), "what was known then can be told later"
    assert state(tmp_path / "nothing", 61) == ("waiting", ())
    assert state(tmp_path / "nothing", 200) == ("incomplete", ())


def test_a_server_tells_how_far_it_is_and_its_end(tmp_path: Path) -> None:
    write(tmp_path, exchange("a"))
    now = datetime.now(UTC)
    found = completeness(tmp_path, now - timedelta(hours=1), now, at=now + timedelta(minutes=2))
    assert (found.state, len(found.hosts), found.dropped) == ("complete", 1, 0)


def test_a_window_is_summed_up_by_arm_version_and_outcome(tmp_path: Path) -> None:
    failed = {"features": {}, "output": {}, "outcome": "failed", "reason": "model"}
    write(tmp_path, exchange("a"), exchange("b"), exchange("c", **failed), exchange("late", when=NOON + 7200))
    store = LabelStore(tmp_path)
    store.add("delay", [Label("a", 1.0)])
    store.close()
    noon, soon = datetime.fromtimestamp(NOON, UTC), datetime.now(UTC) + timedelta(minutes=2)
    found = summary(str(tmp_path), "delay", Window(noon, noon + timedelta(hours=1), soon), "production")
    assert found.rows == {("champion", "v1", "failed"): (1, 0), ("champion", "v1", "ok"): (2, 1)}
    assert found.completeness.state == "incomplete", "the only host began long after the window"
