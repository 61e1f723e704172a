"""Answered requests and their labels become partitions that repeat to the byte, and are not written twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import pyarrow.parquet as parquet
import pytest

from conftest import gitml
from gitml.cli.trafficexport import _call
from gitml.errors import SpecError, UsageError
from gitml.inference.exportlineage import ExportSettings, lineage_path, read_lineage
from gitml.inference.trafficexport import ExportCall, ExportPlace, ExportResult, export_traffic
from gitml.spec import Application
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from monitoring.watched_world import DAY, MONDAY

ARM = Arm("delay", "production", "champion", "v1", 90.0, "e1")
SETTINGS = ExportSettings(
    model="delay", environment="production", arms=("champion", "canary"), label="late", labels_within=86_400
)
NAMES = ["fare", "late", "traffic_request_id", "traffic_row", "traffic_arrived", "traffic_environment"]
NAMES += ["traffic_arm", "traffic_version", "traffic_weight", "traffic_answer_p"]


def serve(folder: Path, day: int, *requests: Exchange, end: bool = True) -> None:
    """What a server writes on a day, and that it has told all of it."""
    arrived = MONDAY + day * DAY + timedelta(hours=12)
    with patch("gitml.clock.time.time", arrived.timestamp):
        log = PredictionLog(folder, limits=LogLimits(window=0.01), origin=LogOrigin("web", "production"))
        for request in requests:
            log.put(request._replace(arrived=arrived.timestamp(), answered=arrived.timestamp()))
        log.close()


def asked(name: str, rows: int = 2, *, arm: Arm = ARM, **more: Any) -> Exchange:
    values = {"fare": np.arange(float(rows))}, {"p": np.full(rows, 0.25)}
    return Exchange(name, "", "u", arm, *values, 0.1, 0.0, 0.0)._replace(**more)


def label(folder: Path, at: datetime, labels: Mapping[str, list[float]]) -> None:
    with patch("gitml.clock.time.time", at.timestamp):
        store = LabelStore(folder)
        for name, values in labels.items():
            store.add("delay", [Label(name, value, row) for row, value in enumerate(values)])
        store.close()


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    """Two days; of the first one row has no label, and a shadow and a refused request are among its rows."""
    folder = tmp_path / "traffic"
    shadow, canary = ARM._replace(name="shadow", version="v2"), ARM._replace(name="canary", version="v2", weight=10.0)
    refused = asked("r4", outcome="refused", answered=None, features={}, output={})
    serve(folder, 0, asked("r1"), asked("r1", arm=shadow), asked("r2"), asked("r3", 1, arm=canary), refused)
    label(folder, MONDAY + DAY, {"r1": [0.0, 1.0], "r2": [1.0], "r3": [1.0]})
    serve(folder, 1, asked("r5"))
    label(folder, MONDAY + 2 * DAY, {"r5": [0.0, 0.0]})
    return folder


def export(traffic: Path, *, at: float = 2.5, **more: Any) -> ExportResult:
    call = ExportCall(more.pop("settings", SETTINGS), at=MONDAY + at * DAY, **more)
    return export_traffic(ExportPlace(str(traffic), traffic.parent / "data/delay"), call)


def states(found: ExportResult) -> list[tuple[str, str]]:
    return [(day.day, day.state) for day in found.days]


def test_a_day_is_written_once_its_labels_have_come_and_then_never_again(traffic: Path) -> None:
    first = export(traffic)
    assert states(first) == [("2025-09-01", "written")], "the second day's labels come until 2025-09-04"
    path = first.target / "day=2025-09-01.parquet"
    table = parquet.read_table(path)
    assert table.schema.names == NAMES
    assert table["traffic_request_id"].to_pylist() == ["r1", "r1", "r2", "r3"], "each answer once, shadows never"
    assert table["late"].to_pylist() == [0.0, 1.0, 1.0, 1.0]
    day = json.loads(first.lineage.read_text())["days"]["2025-09-01"]
    assert day["versions"] == {"v1": {"rows": 3, "weights": [90.0]}, "v2": {"rows": 1, "weights": [10.0]}}
    assert (day["rows"], day["unlabelled"], day["unanswered"], day["other_arms"]) == (4, 1, 1, 2)
    before, told = path.read_bytes(), first.lineage.read_bytes()
    assert states(export(traffic, at=2.6)) == [("2025-09-01", "kept")]
    assert (path.read_bytes(), first.lineage.read_bytes()) == (before, told)
    assert states(export(traffic, at=3)) == [("2025-09-01", "kept"), ("2025-09-02", "written")]


def test_the_same_moment_gives_the_same_bytes_whatever_came_later(traffic: Path) -> None:
    first = export(traffic)
    path = first.target / "day=2025-09-01.parquet"
    raw, told = path.read_bytes(), first.lineage.read_bytes()
    label(traffic, MONDAY + 4 * DAY, {"r2": [1.0, 0.0], "r1": [1.0]})
    path.unlink()
    first.lineage.unlink()
    export(traffic)
    assert (path.read_bytes(), first.lineage.read_bytes()) == (raw, told)


def test_late_labels_come_in_by_a_revision_that_says_what_changed(traffic: Path) -> None:
    first = export(traffic)
    label(traffic, MONDAY + 4 * DAY, {"r2": [1.0, 0.0], "r1": [1.0]})
    window = {"since": MONDAY, "until": MONDAY + DAY}
    (kept,) = export(traffic, at=5, **window).days
    assert (kept.state, kept.rows) == ("kept", 4)
    (found,) = export(traffic, at=5, revise=True, **window).days
    assert (found.state, found.rows, found.why) == (
        "revised",
        5,
        "1 rows more, 0 fewer, 1 with another label or answer",
    )
    (again,) = export(traffic, at=6, revise=True, **window).days
    assert again.state == "unchanged"
    lineage = read_lineage(first.lineage)
    assert lineage is not None
    assert lineage.days["2025-09-01"].at == MONDAY + 5 * DAY


def test_a_partition_that_is_not_here_is_not_made_anew(traffic: Path) -> None:
    """A job of CI has the lineage from Git, and not all data from the remote."""
    first = export(traffic)
    (first.target / "day=2025-09-01.parquet").unlink()
    assert states(export(traffic)) == [("2025-09-01", "kept")]


def test_a_partition_that_somebody_rewrote_is_told(traffic: Path) -> None:
    first = export(traffic)
    path = first.target / "day=2025-09-01.parquet"
    raw = path.read_bytes()
    parquet.write_table(parquet.read_table(path).slice(0, 1), path)
    found = export(traffic)
    assert states(found) == [("2025-09-01", "altered")]
    assert found.left == found.days
    assert "--revise" in found.days[0].why
    assert states(export(traffic, revise=True)) == [("2025-09-01", "unchanged")]
    assert path.read_bytes() == raw
    assert states(export(traffic)) == [("2025-09-01", "kept")]
    path.write_bytes(b"torn")
    label(traffic, MONDAY + 4 * DAY, {"r2": [1.0, 0.0]})
    (found,) = export(traffic, at=5, revise=True, since=MONDAY, until=MONDAY + DAY).days
    assert (found.state, "not known" in found.why) == ("revised", True)


def test_a_killed_export_goes_on_where_it_was(traffic: Path) -> None:
    first = export(traffic, at=3)
    first.lineage.unlink()  # as if it had been killed before any lineage was written
    torn = first.target / "day=2025-09-02.parquet"
    torn.write_bytes(b"torn")
    assert states(export(traffic, at=3)) == [("2025-09-01", "written"), ("2025-09-02", "written")]
    assert parquet.read_table(torn).num_rows == 2


def test_a_day_that_a_host_did_not_tell_all_of_is_not_written(traffic: Path) -> None:
    noon = MONDAY + timedelta(hours=13)
    with patch("gitml.clock.time.time", noon.timestamp):
        log = PredictionLog(traffic, limits=LogLimits(window=0.01), origin=LogOrigin("lost", "production"))
        log.put(asked("r9", arrived=noon.timestamp(), answered=noon.timestamp()))
        log.flush()
        log._marks.tell(noon.timestamp())
        log.close()
    marks = next((traffic / "hosts").glob("date=*/lost.json"))
    marks.write_text(marks.read_text().replace("true", "false"))  # it never said that it ended
    (day,) = export(traffic).days
    assert day.state == "incomplete"
    assert "lost did not pass its end" in day.why
    assert not (traffic.parent / "data/delay").exists()
    (day,) = export(traffic, incomplete=True).days
    lineage = read_lineage(lineage_path(traffic.parent / "data/delay"))
    assert lineage is not None
    assert (day.state, lineage.days[day.day].missing) == ("written", ("lost",))


def test_private_columns_and_other_environments_are_left_out(traffic: Path) -> None:
    (day,) = export(traffic, private=("fare",)).days
    target = traffic.parent / "data/delay"
    assert "fare" not in parquet.read_schema(target / f"day={day.day}.parquet").names
    lineage = read_lineage(lineage_path(target))
    assert lineage is not None
    assert lineage.days[day.day].private == ("fare",)
    other = SETTINGS.model_copy(update={"environment": "staging"})
    with pytest.raises(UsageError, match="was exported with environment production, not staging"):
        export(traffic, settings=other)


def test_what_cannot_be_exported_is_said(traffic: Path) -> None:
    for name in ("fare", "traffic_arm"):
        with pytest.raises(UsageError, match=name):
            export(traffic, settings=SETTINGS.model_copy(update={"label": name}))
    with pytest.raises(UsageError, match="in the future"):
        export(traffic, at=100_000)
    path = export(traffic).lineage
    path.write_text("{}")
    with pytest.raises(SpecError, match="not the lineage"):
        export(traffic)


def test_the_command_says_what_it_wrote_and_what_it_waits_for(traffic: Path) -> None:
    root = traffic.parent
    text = "application: flights\nmodels:\n  delay: {artifact: m.onnx, metrics: metrics.json}\n"
    (root / "gitml.yaml").write_text(f"{text}traffic: {{at: {traffic}}}\n")
    words = ["traffic", "export", "delay", "--in", "production", "--label", "late", "--at", "2025-09-03T12:00"]
    done = gitml(root, *words, "--labels-within", "1d")
    assert (done.code, done.out) == (0, "2025-09-01  written  4 rows, 1 without a label left out\n"), done.err
    done = gitml(root, *words, "--labels-within", "1d", "--until", "2025-09-03", "--json")
    assert done.code == 3
    told = json.loads(done.out)
    assert told["days"][1]["why"] == "its labels come until 2025-09-04 00:00 UTC"


def test_words_of_the_command_that_cannot_be_are_refused_before_anything_is_read() -> None:
    app = Application.model_validate({"application": "a", "models": {"m": {"artifact": "m.onnx", "metrics": "m.json"}}})
    options = {"environment": "p", "label": "late", "arms": (), "labels_within": None, "since": None}
    with pytest.raises(UsageError, match="when labels of m have come is not known"):
        _call(app, "m", options)
    for wrong in ({"labels_within": "soon"}, {"labels_within": "1d", "since": "2025-09-01T10:00"}):
        with pytest.raises(click.BadParameter):
            _call(app, "m", options | wrong)
    with pytest.raises(UsageError, match="late is private"):
        _call(app.model_copy(update={"private": ("late",)}), "m", options)
