"""A person taken out of the traffic: no byte of theirs is left, what is counted stays, nobody else's row changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import pytest

from gitml.models.fields import Field
from gitml.rollout.rowtable import Encoders, RowTable, table_of
from gitml.sketches.layout import Layout
from gitml.traffic.erasure import TrafficErased, TrafficErasure, erase_from_traffic
from gitml.traffic.events import BusinessEvent, EventStore
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from gitml.traffic.reader import Window, events, requests
from gitml.traffic.retention import expire
from gitml.traffic.windowsketch import sketch_of_window

START = datetime(2026, 11, 2, tzinfo=UTC)
NOW = START + timedelta(days=20)
ARMS = [Arm("m", "production", name, version, 50.0, "e1") for name, version in (("champion", "v1"), ("canary", "v2"))]


def serve(folder: Path, day: int) -> None:
    """Four requests of Olga, who is in the canary, and four of others; two of hers have the id of somebody else's."""
    when = (START + timedelta(days=day)).timestamp()
    log = PredictionLog(folder, limits=LogLimits(window=0.02), origin=LogOrigin(now=lambda: when + 7200, host="h"))
    for number in range(8):
        who, arm = ("olga", ARMS[1]) if number % 2 else (f"other-{number}", ARMS[0])
        caller = arm.name if number < 4 else ""
        features = {"x": np.array([1000.25 + number]), "word": [f"word-of-{who}"]}
        name = f"d{day}-{number // 2 if number < 4 else number}"
        log.put(Exchange(name, caller, who, arm, features, {"p": np.array([0.123])}, 0.004, when + 61 * number, when))
    log.close()


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    for day in (0, 1, 9):
        serve(tmp_path, day)
    labels = LabelStore(tmp_path)
    labels.add("m", [Label(f"d0-{number}", 0.987) for number in (5, 6)] + [Label("d0-0", 0.5, caller="canary")])
    labels.close()
    happened = EventStore(tmp_path)
    happened.add([BusinessEvent(who, START, "bought", 77.125, f"id-{who}") for who in ("olga", "bob")], "shop")
    happened.close()
    return tmp_path


def erase(folder: Path, until: datetime = START + timedelta(days=5)) -> TrafficErased:
    call = TrafficErasure(str(folder), ["m"], lambda value: value == "olga", ["unit"], until)
    return erase_from_traffic(call, NOW)


def rows(folder: Path) -> list[dict[str, object]]:
    return [row for batch in requests(folder, "m") for row in batch.to_pylist()]


def values(folder: Path) -> Iterator[str]:
    """Everything in any file, as text: bytes of Parquet are compressed."""
    for path in folder.rglob("*.parquet"):
        yield from (str(row) for row in parquet.read_table(path, partitioning=None).to_pylist())


def test_nothing_of_the_person_stays_and_counts_do(traffic: Path) -> None:
    before = rows(traffic)
    done = erase(traffic)
    assert (done.requests, done.labels, done.events, done.waiting) == ({"m": 8}, {"m": 2}, 1, ())
    after = rows(traffic)
    early = [text for text in values(traffic) if "2026, 11, 11" not in text]
    assert not [text for text in early if "olga" in text or "id-olga" in text]
    # Counts by arm and version; one unit is one unit; others are as they were; what came later is of no request.
    assert [(r["arm"], r["version"], r["row"]) for r in after] == [(r["arm"], r["version"], r["row"]) for r in before]
    emptied = [row for row in after if row["outcome"] == "erased"]
    assert len({row["unit"] for row in emptied}) == 1
    assert len({row["request_id"] for row in emptied}) == 8
    assert all(row["feature_x"] is row["feature_word"] is row["output_p"] is row["label"] is None for row in emptied)
    assert all(row["arrived"].second == row["arrived"].microsecond == 0 for row in emptied)  # type: ignore[attr-defined]
    others = [row for row in before if row["unit"] != "olga"]
    assert [row for row in after if str(row["unit"]).startswith("other")] == others
    assert len([row for row in after if row["unit"] == "olga"]) == 4
    happened = [row for batch in events(traffic) for row in batch.to_pylist()]
    assert [(e["unit"], e["value"]) for e in happened if e["unit"] == "bob"] == [("bob", 77.125)]
    assert sum(e["value"] is None for e in happened) == 1
    assert erase(traffic).files == 0


def test_killed_in_between_the_next_call_does_the_rest(traffic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gitml.engines.places import StoragePlace

    real, calls = StoragePlace.write, list[str]()

    def dies(place: StoragePlace, fill: object) -> None:
        calls.append(place.path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(place, fill)  # type: ignore[arg-type]

    monkeypatch.setattr(StoragePlace, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        erase(traffic)
    monkeypatch.undo()
    assert "labels" in calls[0]
    erase(traffic)
    assert not [text for text in values(traffic) if "olga" in text and "2026, 11, 11" not in text]
    assert 0.987 in [row["label"] for row in rows(traffic)]  # of somebody else


def test_sketches_of_these_days_are_counted_anew(traffic: Path) -> None:
    window = Window(START, START + timedelta(days=1), NOW)
    before = sketch_of_window(traffic, "m", window, Layout({}))
    assert [*(traffic / "sketches").rglob("*.json")]
    erase(traffic)
    assert not [*(traffic / "sketches").rglob("date=2026-11-02/*.json")]
    after = sketch_of_window(traffic, "m", window, Layout({}))
    assert sum(rows for rows, _ in before.routes.values()) == sum(rows for rows, _ in after.routes.values())
    assert after.routes["canary", "v2", "erased"] == (4, 4)


def test_what_a_server_still_gathers_is_told(traffic: Path) -> None:
    log = PredictionLog(traffic, limits=LogLimits(window=0.02), origin=LogOrigin(now=START.timestamp, host="h2"))
    x, p = {"x": np.zeros(1), "word": ["w"]}, {"p": np.zeros(1)}
    log.put(Exchange("late", "", "olga", ARMS[0], x, p, 0.1, START.timestamp(), START.timestamp()))
    for _ in range(400):
        if any(path.stat().st_size for path in (traffic / ".spool/predictions").glob("*.journal")):
            break
        log._over.wait(0.01)
    assert [text.partition(" ")[0] for text in erase(traffic).waiting] == ["journal"]
    log.close()
    assert erase(traffic).requests == {"m": 1}


def test_old_days_go_by_kind(traffic: Path) -> None:
    count = expire(str(traffic), {"requests": timedelta(days=15)}, NOW)
    assert count["requests"] > 0
    assert {row["arrived"].day for row in rows(traffic)} == {11}  # type: ignore[attr-defined]
    assert [*(traffic / "labels").rglob("*.parquet")]
    assert expire(str(traffic), {"requests": timedelta(days=15)}, NOW) == {"requests": 0}


def test_a_canary_that_is_under_way_keeps_its_arms_and_units(traffic: Path) -> None:
    def arms() -> list[tuple[str, int, int]]:
        """By arm: rows, and different units."""
        found = []
        for name in ("champion", "canary"):
            tables = [
                table_of(batch.filter(pc.equal(batch["arm"], name)), Field("p", "float"), Encoders.empty())
                for batch in requests(traffic, "m")
            ]
            whole = RowTable.joined(tables)
            found.append((name, len(whole), len(set(whole.unit.tolist()))))
        return found

    before = arms()
    # Until a day that is not over yet: all of hers go.
    assert erase(traffic, START + timedelta(days=12)).requests == {"m": 12}
    assert arms() == before
