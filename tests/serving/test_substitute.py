"""What the champion answers in a canary's place is no one's traffic, and the failure is the canary's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitml import clock
from gitml.models.fields import Field
from gitml.rollout.evaluation import Contender
from gitml.rollout.judge import judge
from gitml.rollout.reading import read_rows
from gitml.rollout.rowtable import FAILED
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import PredictionLog
from gitml.traffic.reader import Window, requests
from rollout.split_world import DAY, part_of, traffic, trial
from serving.test_breaker import Sick
from serving_server import VERSIONS, Served

Start = Callable[..., Served]


def logged(sick: Sick, folder: Path) -> list[str]:
    """What the server told its log, in files of the real writer, and a label for each request; their ids."""
    log = PredictionLog(folder)
    for event in sick.server.log.events:
        log.put(event)
    log.close()
    ids = [*dict.fromkeys(event.request_id for event in sick.server.log.events)]
    labels = LabelStore(folder)
    labels.add("delay", [Label(one, 1.0) for one in ids])
    labels.close()
    return ids


def test_a_substitute_counts_for_neither_arm_and_the_failure_for_the_canary(start: Start, tmp_path: Path) -> None:
    sick = Sick(start)
    sick.server.deploy(sick.models, weight=50)
    sick.ill = False
    drawn = Counter(how for _, how in sick.asks(40))
    sick.ill = True
    after = Counter(event.arm.name for event in sick.server.log.events)
    assert after == drawn
    assert {code for code, _ in sick.asks(40)} == {200}
    ids = logged(sick, tmp_path)
    now = datetime.fromtimestamp(clock.timestamp(), UTC)
    told = trial(
        environment=sick.server.state.environment,
        candidate=Contender(VERSIONS[1], "1" * 64), champion=Contender(VERSIONS[0], "0" * 64),
        output=Field(sick.models[VERSIONS[0]].signature.outputs[0].name, "float64"),
        since=now - DAY, at=now + 2 * DAY, rules={"units": 5, "events": 1, "time": timedelta(0)},
    )  # fmt: skip

    joined = [row for batch in requests(tmp_path, "delay") for row in batch.to_pylist()]
    labelled = [row["request_id"] for row in joined if row["label"] is not None]
    assert sorted(labelled) == sorted(ids), "each label joins one row, that of the answer"
    assert not any(row["label"] is not None for row in joined if row["outcome"] == "failed")

    rows = read_rows(told, traffic(tmp_path), Window(told.since, told.at, told.at))
    assert rows.asked == drawn["canary"], "the second time each of its units was answered by the champion"
    assert len(rows.champion) == 2 * drawn["champion"]
    assert len(rows.candidate) == drawn["canary"] + 5, "no more were asked of it than stop it"
    assert int((rows.candidate.outcome == FAILED).sum()) == 5
    assert [int((table.told >= 0).sum()) for table in rows.arms] == [2 * drawn["champion"], drawn["canary"]]

    found = judge(told, traffic(tmp_path))
    errors, accuracy = part_of(found, "errors"), part_of(found, "accuracy")
    assert errors.candidate == pytest.approx(5 / (drawn["canary"] + 5))
    assert errors.champion == 0
    assert (accuracy.champion, accuracy.candidate) == (0, 1), "the canary answers 1, and the champion 0"
    assert found.notes[-1].startswith(f"{rows.asked:,} rows are left out: ")
    assert found.notes[-1].endswith("or the champion answered in a canary's place.")
