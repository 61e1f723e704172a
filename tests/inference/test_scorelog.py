"""What `gitml score` tells the traffic: every row once, however often it is scored, killed and scored again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import gitml, write
from gitml import clock
from gitml.errors import UsageError
from gitml.inference.score import score
from gitml.inference.scorelog import ScoreLog
from gitml.traffic import batches
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.marks import completeness
from gitml.traffic.reader import requests
from inference.test_score import APPLICATION, app, call, data, expected, one_thread

__all__ = ["app", "data", "one_thread"]

PRODUCTION = "champion: {{version: {version}, digest: {digest}}}\n"


def told(log: Path) -> list[dict[str, object]]:
    return [row for batch in requests(log, "delay") for row in batch.to_pylist()]


def test_rows_are_told_once_with_features_and_answers(
    app: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(app, {"gitml.yaml": APPLICATION + "private: [carrier]\n"})
    log = ScoreLog(str(tmp_path / "log"))
    score(app, "delay", call(data, log=log))
    first = told(tmp_path / "log")
    assert len(first) == 300
    assert sorted(r["output_p_late"] for r in first) == pytest.approx(sorted(expected(0, 1, 2)["p_late"]))
    assert {(r["arm"], r["environment"], r["outcome"], r["rows"]) for r in first} == {("asked", "trial", "ok", 100)}
    assert len({(r["request_id"], r["row"]) for r in first}) == 300
    assert "feature_distance" in first[0]
    assert not [name for name in first[0] if "carrier" in name or "flight" in name]
    score(app, "delay", call(data, log=log))
    monkeypatch.setenv(clock.VARIABLE, str(tmp_path / "clock"))
    (tmp_path / "clock").write_text("200d")
    score(app, "delay", call(data, output=str(tmp_path / "again"), log=log))
    assert told(tmp_path / "log") == first, "a rerun is the same batch, also much later and into another folder"
    (data / "b.csv").write_text((data / "b.csv").read_text().replace("\r\n", "\n") + "\n")
    score(app, "delay", call(data, output=str(tmp_path / "changed"), log=log))
    assert len(told(tmp_path / "log")) == 400, "a changed file is another batch"


def test_a_batch_that_was_killed_before_it_was_told_is_told_when_it_goes_on(
    app: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ScoreLog(str(tmp_path / "log"))
    real, left = batches._write, iter(range(3))

    def dies(*args: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(batches, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            score(app, "delay", call(data, log=log))
    assert len(told(tmp_path / "log")) == 200, "the second file is published, its note is not written"
    score(app, "delay", call(data, log=log))
    assert len(told(tmp_path / "log")) == 300
    now = datetime.now(UTC)
    found = completeness(tmp_path / "log", now - timedelta(minutes=9), now, at=now + timedelta(minutes=2))
    assert found.state == "complete"


def test_an_environment_s_batch_has_ids_that_labels_join(app: Path, data: Path, tmp_path: Path) -> None:
    (record,) = (app / "models/delay/versions").iterdir()
    version = record.name.removesuffix(".yaml").removesuffix(".json")
    digest = next(line.split()[-1] for line in record.read_text().splitlines() if "sha256" in line).strip("\"',{}")
    write(app, {"models/delay/production.yaml": PRODUCTION.format(version=version, digest=digest)})
    log = ScoreLog(str(tmp_path / "log"), id_column="flight")
    score(app, "delay@production", call(data, log=log))
    labels = LabelStore(tmp_path / "log")
    labels.add("delay", [Label("2-0007", 1.0)])
    labels.close()
    rows = told(tmp_path / "log")
    assert {(r["arm"], r["environment"], r["weight"]) for r in rows} == {("champion", "production", 100.0)}
    assert [r["request_id"] for r in rows if r["label"] == 1.0] == ["2-0007"]
    with pytest.raises(UsageError, match="no column id"):
        score(app, "delay", call(data, output=str(tmp_path / "o"), log=ScoreLog(str(tmp_path / "log"), id_column="id")))
    write(app, {"gitml.yaml": APPLICATION + "private: [flight]\n"})
    with pytest.raises(UsageError, match="flight is private"):
        score(app, "delay", call(data, output=str(tmp_path / "p"), log=log))


@pytest.mark.nightly
def test_the_command_tells_where_gitml_yaml_says(app: Path, data: Path, tmp_path: Path) -> None:
    write(app, {"gitml.yaml": APPLICATION + f"traffic: {{at: {tmp_path / 'log'}}}\n"})
    words = ["score", "delay", "--input", str(data / "b.csv"), "--output", str(tmp_path / "scores")]
    assert gitml(app, *words).code == 0
    assert not (tmp_path / "log").exists(), "nothing is told unless it is asked for"
    assert gitml(app, *words, "--log").code == 0
    assert len(told(tmp_path / "log")) == 100
    assert gitml(app, *words, "--id", "flight").code == 2
