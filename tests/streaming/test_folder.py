"""A folder that grows: each finished file once, whatever is killed, and whatever somebody puts there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
import pytest
from prometheus_client import CollectorRegistry

from gitml.engines.places import place_of
from gitml.errors import LockedError, UsageError
from gitml.inference.scorefiles import REJECTED, Notes
from gitml.inference.stream import StreamCall, stream
from gitml.inference.streamfolder import FolderBroker, FolderColumns
from gitml.serving.metrics import Metrics
from gitml.serving.router import route
from gitml.serving.state import ServerState
from gitml.streaming.run import StreamBounds, StreamGauges, StreamLoop
from gitml.streaming.scoring import MessageScoring
from gitml.traffic.predictionlog import LogStats
from scorekit import rows
from serving_server import Kept

INPUTS = frozenset(("carrier", "distance", "origin", "age"))


class Folder:
    """A loop over ``source`` that is taken step by step."""

    def __init__(self, state: ServerState, source: Path, target: Path, settle: float = 0.0, **columns: str) -> None:
        self.said: list[str] = []
        self.idle: list[float] = []
        self.log = Kept()
        found = FolderColumns(lambda: INPUTS, **columns)
        self.broker = FolderBroker(
            place_of(source),
            Notes(place_of(target)),
            found,
            say=self.said.append,
            settle=settle,
            pause=self.idle.append,
        )
        scoring = MessageScoring(Metrics(state, LogStats), narrow=True)
        gauges = StreamGauges(CollectorRegistry())
        bounds = StreamBounds(40, 0.0)
        self.loop = StreamLoop("delay", state, self.broker, scoring, self.log, gauges, bounds, lambda: None)

    def until_idle(self) -> Folder:
        while not self.idle:
            self.loop.step()
        return self


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "in/2026").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    return tmp_path / "in", tmp_path / "out"


def answers(target: Path) -> pd.DataFrame:
    return dataset.dataset(target, format="parquet").to_table().to_pandas()


def test_each_finished_file_is_answered_once_by_who_its_units_are_drawn_for_though_it_is_killed_half_way(
    state: ServerState, place: tuple[Path, Path]
) -> None:
    source, target = place
    rows(100, 0).to_parquet(source / "2026/été [0].parquet")
    wrong = rows(50, 1).astype({"distance": "Int64"})
    wrong.loc[[3, 47], "distance"] = None
    wrong.to_csv(source / "wrong.csv", index=False)
    (source / ".half.parquet").write_bytes(b"PAR1")
    (source / "notes.txt").write_text("no table")
    killed = Folder(state, source, target, key="flight", id="flight")
    killed.loop.step()
    killed.loop.step()
    assert not [p for p in target.rglob("*.parquet") if p.is_file()], "nothing of a file that is not read to its end"
    killed.broker.close()

    Folder(state, source, target, key="flight", id="flight").until_idle()
    told = answers(target).set_index("flight")
    table = pd.concat([rows(100, 0), rows(50, 1).drop([3, 47])]).set_index("flight")
    assert sorted(told.index) == sorted(table.index)
    served = state.served["delay"]
    for flight, one in told.iterrows():
        drawn = route(served.deployment, flight, model="delay", environment="production")
        assert (one["gitml_variant"], one["gitml_request_id"]) == (drawn, flight)
    variant = served.variants[told["gitml_version"].iloc[0]]
    mine = told[told["gitml_version"] == variant.version].index
    alone = variant.model.predict(table.loc[mine].where(table.loc[mine].notna(), None).to_dict("list"))
    assert told.loc[mine, "p_late"].tolist() == pytest.approx(alone.tolist(), abs=1e-12)
    assert list(told.columns) == ["gitml_request_id", "gitml_version", "gitml_variant", "p_late"]
    left_out = parquet.read_table(target / REJECTED / "wrong.csv.parquet").to_pydict()
    assert left_out["gitml_row"] == [3, 47]
    assert left_out["flight"] == ["1-0003", "1-0047"]
    assert all("distance" in reason for reason in left_out["gitml_reason"])

    again = Folder(state, source, target, key="flight", id="flight").until_idle()
    assert again.log.events == []
    rows(10, 2).to_parquet(source / "2026/later.parquet")
    again.idle.clear()
    assert len(again.until_idle().log.events) == 10


def test_what_is_no_table_changes_or_grows_stops_no_other(state: ServerState, place: tuple[Path, Path]) -> None:
    source, target = place
    (source / "torn.parquet").write_bytes(b"PAR1 and no more")
    rows(0, 3).to_parquet(source / "none.parquet")
    rows(10, 4).drop(columns="flight").to_parquet(source / "keyless.parquet")
    rows(10, 5).to_csv(source / "same.csv", index=False)
    rows(10, 5).to_parquet(source / "same.csv.parquet")
    growing = Folder(state, source, target, settle=60.0).until_idle()
    assert (growing.log.events, growing.loop.broker.lag()) == ([], 0), "nobody knows yet that they are finished"

    folder = Folder(state, source, target, key="flight").until_idle()
    assert [len(answers(target)), len(folder.log.events)] == [10, 10]
    reasons = dataset.dataset(target / REJECTED, format="parquet", ignore_prefixes=[]).to_table()["gitml_reason"]
    torn, keyless = sorted(str(reason) for reason in reasons)
    assert "torn.parquet cannot be read" in torn
    assert keyless.startswith("the file has no column flight")
    assert any("same.csv.parquet is left out" in words for words in folder.said)

    rows(100, 6).to_parquet(source / "changing.parquet")
    folder.loop.step()
    rows(60, 7).to_parquet(source / "changing.parquet")
    folder.idle.clear()
    folder.until_idle()
    assert any("changing.parquet changed" in words for words in folder.said)
    told = parquet.read_table(target / "changing.parquet")["flight"].to_pylist()
    assert told == list(rows(60, 7)["flight"]), "of the new file alone"
    (source / "going.parquet").write_bytes((source / "changing.parquet").read_bytes())
    folder.loop.step()
    (source / "going.parquet").unlink()
    folder.idle.clear()
    folder.until_idle()
    assert not (target / "going.parquet").exists()


def test_a_second_process_and_a_folder_of_something_else_are_refused(place: tuple[Path, Path]) -> None:
    notes = Notes(place_of(place[1]))
    with notes.held(), pytest.raises(LockedError), Notes(place_of(place[1])).held():
        pass
    (place[1] / "mine.csv").write_text("x\n1\n")
    with pytest.raises(UsageError, match="holds files already"):
        notes.bind({"format": "gitml stream 1"})


@pytest.mark.parametrize(
    "call",
    [
        {"source": "folder:/a", "target": "kafka://b:9092/t"},
        {"source": "folder:/a", "target": "folder:/b", "dead": "t"},
        {"source": "kafka://b:9092/a", "target": "kafka://b:9092/t", "key": "unit"},
        {"source": "kafka://b:9092/a", "target": "kafka://b:9092/t", "labels": "kafka://b:9092/known"},
    ],
)
def test_what_does_not_go_together_is_refused(call: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        stream(tmp_path, "delay@production", StreamCall(**call), threading.Event(), lambda _: None)
