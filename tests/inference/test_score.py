"""`gitml score`: every row of a data set once, however often it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
import pytest
from threadpoolctl import threadpool_limits

from conftest import gitml, write
from gitml.engines.places import place_of
from gitml.engines.rejects import RejectedRows
from gitml.errors import IntegrityError, LockedError, OutsideError, RefError, UsageError
from gitml.inference import score as scoring
from gitml.inference.score import score
from gitml.inference.scorefiles import MANIFEST, Notes
from gitml.inference.scorework import ScoreWork
from gitml.models.fields import UNKNOWN
from gitml.registry import Record
from scorekit import APPLICATION, call, expected, found, register, rows
from serving_models import columns, fitted, saved
from serving_server import constant


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the command sees to: on a busy machine OpenMP's threads wait for each other by spinning."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    write(root, {"gitml.yaml": APPLICATION})
    artifact = root / "artifacts/delay/model.skops"
    artifact.parent.mkdir(parents=True)
    saved(fitted("boosting"), artifact)
    register(root, artifact, "2026-01-01T00:00:00Z")
    return root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three tables in three formats, with an id that the model does not take."""
    folder = tmp_path / "data"
    (folder / "day=1").mkdir(parents=True)
    for number, name in enumerate(["day=1/a.parquet", "b.csv", "c.arrow"]):
        table = rows(100, number)
        if name.endswith(".csv"):
            table.to_csv(folder / name, index=False)
        elif name.endswith(".arrow"):
            table.to_feather(folder / name)
        else:
            table.to_parquet(folder / name)
    (folder / "README.md").write_text("not a table")
    return folder


def test_every_format_is_scored_in_its_order_and_the_ids_are_passed_on(app: Path, data: Path) -> None:
    result = score(app, "delay", call(data))
    pd.testing.assert_frame_equal(found(data.parent / "scores"), expected(0, 1, 2))
    assert sorted(n.output for n in result.scored) == ["b.csv.parquet", "c.arrow.parquet", "day=1/a.parquet"]
    assert result.left_out == ("README.md",)
    assert result.unknown == {"carrier": sum(int((rows(100, s)["carrier"] == "ZZ").sum()) for s in range(3))}
    manifest = json.loads((data.parent / "scores" / MANIFEST).read_text())
    assert (manifest["model"], manifest["rows"], len(manifest["files"])) == ("delay", 300, 3)
    assert dataset.dataset(data.parent / "scores", format="parquet").count_rows() == 300, "readers skip the notes"


def test_called_again_only_new_and_changed_files_are_scored(app: Path, data: Path) -> None:
    score(app, "delay", call(data))
    again = score(app, "delay", call(data))
    assert (len(again.scored), len(again.before), again.rows) == (0, 3, 300)
    rows(100, 3).to_parquet(data / "d.parquet")
    rows(100, 4).to_csv(data / "b.csv", index=False)
    (data.parent / "scores/day=1/a.parquet").unlink()
    third = score(app, "delay", call(data))
    assert sorted(n.input for n in third.scored) == ["b.csv", "d.parquet", "day=1/a.parquet"]
    pd.testing.assert_frame_equal(found(data.parent / "scores"), expected(0, 2, 3, 4))


def stopped(app: Path, data: Path, monkeypatch: pytest.MonkeyPatch, after: int, step: str) -> None:
    """Score until ``step`` was called ``after`` times, and end there as a killed process does."""
    seen: list[object] = []
    real = getattr(Notes, step)

    def killed(self: Notes, *given: object) -> object:
        seen.append(given)
        if len(seen) > after:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Notes, step, killed)
        with pytest.raises(KeyboardInterrupt):
            score(app, "delay", call(data))


@pytest.mark.parametrize(("after", "step"), [(0, "add"), (1, "add"), (2, "add"), (0, "finish"), (2, "clear")])
def test_stopped_anywhere_and_called_again_it_gives_the_same_whole(
    app: Path, data: Path, monkeypatch: pytest.MonkeyPatch, after: int, step: str
) -> None:
    stopped(app, data, monkeypatch, after, step)
    assert not (data.parent / "scores" / MANIFEST).exists(), "what is not whole does not say that it is"
    again = score(app, "delay", call(data))
    assert len(again.before) == (after if step == "add" else 3 if step == "finish" else 0)
    pd.testing.assert_frame_equal(found(data.parent / "scores"), expected(0, 1, 2))


def test_a_half_file_and_a_torn_note_of_a_killed_process_are_done_again(app: Path, data: Path) -> None:
    score(app, "delay", call(data))
    scores = data.parent / "scores"
    for note in (scores / "_gitml/files").iterdir():
        note.write_text(note.read_text()[:20])
    (scores / ".b.csv.parquet.4711.tmp").write_bytes(b"half")
    assert len(score(app, "delay", call(data)).scored) == 3
    pd.testing.assert_frame_equal(found(scores), expected(0, 1, 2))
    assert not list(scores.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="distance"), "x.parquet: the model needs a column distance: there are carrier"),
        (lambda t: t.rename(columns={"distance": "distanze"}), "the model needs a column distance: is it distanze"),
        (lambda t: t.assign(distance=t["distance"].astype(str)), 'distance in row 0: expected a whole number, got "'),
        (lambda t: t.assign(distance=t["distance"] + 0.5), "distance in row 0: expected a whole number"),
        (
            lambda t: t.assign(distance=t["distance"].where(t.index != 77)),
            "distance in row 77: expected a whole number",
        ),
        (lambda t: t.assign(carrier=t["carrier"].where(t.index != 60)), "carrier in row 60: expected a word, got null"),
        (lambda t: t.assign(age=np.where(t.index == 99, np.inf, 1.0)), "age in row 99"),
        (lambda t: t.assign(p_late=1, **{"p_late.given": 2}), "two columns would be called p_late.given"),
    ],
)
def test_an_input_that_does_not_fit_the_signature_says_where_and_why(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., pd.DataFrame], message: str
) -> None:
    monkeypatch.setattr(scoring, "BATCH_ROWS", 32)
    change(rows(100, 0)).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError) as caught:
        score(app, "delay", call(tmp_path / "x.parquet"))
    assert message in caught.value.message
    assert not list((tmp_path / "scores").glob("*.parquet"))


def test_a_word_that_the_model_refuses_is_told_with_its_row_in_the_file() -> None:
    def strict(rows: np.ndarray) -> np.ndarray:
        if (rows[:, 0] == UNKNOWN).any():
            raise ValueError("Found unknown categories")
        return np.zeros(len(rows))

    table = columns(4).assign(carrier=["AA", "AA", "AA", "ZZ"])
    batches = pa.Table.from_pandas(table, preserve_index=False).to_batches(max_chunksize=2)
    work = ScoreWork(constant(0, score=strict), None)
    with pytest.raises(UsageError, match=r"^carrier in row 3: expected a word that the model knows"):
        list(work(iter(batches), {}, RejectedRows()))


def test_labels_called_like_the_answer_are_passed_on_beside_it(app: Path, tmp_path: Path) -> None:
    labelled = rows(20, 0).assign(p_late=np.arange(20) % 2)
    labelled.to_parquet(tmp_path / "x.parquet")
    score(app, "delay", call(tmp_path / "x.parquet"))
    found = pd.read_parquet(tmp_path / "scores/x.parquet")
    assert found["p_late.given"].tolist() == labelled["p_late"].tolist()
    assert found["p_late"].between(0, 1).all()
    score(app, "delay", call(tmp_path / "x.parquet", output=str(tmp_path / "named"), keep=("p_late",)))
    assert list(pd.read_parquet(tmp_path / "named/x.parquet")) == ["p_late.given", "p_late"]


def test_a_call_that_failed_before_it_scored_binds_nothing(app: Path, tmp_path: Path) -> None:
    rows(20, 0).assign(p_late=1, **{"p_late.given": 2}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(UsageError) as caught:
        score(app, "delay", call(tmp_path / "x.parquet"))
    assert "--keep COLUMN" in caught.value.hint
    score(app, "delay", call(tmp_path / "x.parquet", keep=("p_late",)))
    assert list(pd.read_parquet(tmp_path / "scores/x.parquet")) == ["p_late.given", "p_late"]


def test_columns_to_keep_and_formats_to_write(app: Path, data: Path) -> None:
    one = data / "b.csv"
    score(app, "delay", call(one, output=str(data.parent / "all"), keep=("*",), output_format="csv"))
    assert list(pd.read_csv(data.parent / "all/b.csv")) == [*rows(1, 0), "p_late"]
    score(app, "delay", call(one, output=str(data.parent / "one"), keep=("age",), output_format="arrow"))
    assert list(pd.read_feather(data.parent / "one/b.csv.arrow")) == ["age", "p_late"]
    with pytest.raises(UsageError, match="--keep names a column flihgt: is it flight"):
        score(app, "delay", call(one, output=str(data.parent / "none"), keep=("flihgt",)))


def test_a_folder_of_other_scores_or_files_is_left_alone(app: Path, data: Path) -> None:
    score(app, "delay", call(data))
    with pytest.raises(UsageError, match="holds scores with output_format parquet, asked for is csv"):
        score(app, "delay", call(data, output_format="csv"))
    other = saved(fitted("dropped"), app / "artifacts/delay/model.skops")
    register(app, other, "2026-02-01T00:00:00Z")
    with pytest.raises(UsageError, match="holds scores with version"):
        score(app, "delay", call(data))
    with pytest.raises(UsageError, match="holds files already"):
        score(app, "delay", call(data, output=str(app)))
    for inside in (data, data / "scores"):
        with pytest.raises(UsageError, match="lies in --input"):
            score(app, "delay", call(data, output=str(inside)))


def test_two_at_once_into_one_folder_are_refused(app: Path, data: Path) -> None:
    with Notes(place_of(data.parent / "scores")).held(), pytest.raises(LockedError, match="another process scores"):
        score(app, "delay", call(data))


def test_references_environments_and_what_they_pin(app: Path, data: Path) -> None:
    record = score(app, "delay", call(data)).record
    pin = {"version": record.version, "digest": record.files[record.artifact].sha256}
    write(app, {"models/delay/production.yaml": json.dumps({"champion": pin})})
    assert len(score(app, "delay@production", call(data)).before) == 3
    assert len(score(app, f"delay@{record.digest[:6]}", call(data)).before) == 3
    write(app, {"models/delay/production.yaml": json.dumps({"champion": {**pin, "digest": "0" * 64}})})
    with pytest.raises(IntegrityError, match="of delay is pinned with the artifact 000000000000"):
        score(app, "delay@production", call(data))
    with pytest.raises(RefError):
        score(app, "delay@staging", call(data))


def test_an_artifact_that_is_not_the_recorded_one_is_never_loaded(app: Path, data: Path) -> None:
    (app / "artifacts/delay/model.skops").write_bytes(b"\x80\x05another")
    with pytest.raises(OutsideError, match=r"does not say how DVC names artifacts/delay/model\.skops"):
        score(app, "delay", call(data))
    assert not (data.parent / "scores").exists()


def test_an_input_that_changes_meanwhile_is_not_called_done(app: Path, data: Path) -> None:
    def touch(_: int) -> None:
        os.utime(data / "b.csv", (1, 1))

    with pytest.raises(OutsideError, match=r"b\.csv changed while it was scored"):
        score(app, "delay", call(data / "b.csv", tell=touch))
    assert len(score(app, "delay", call(data / "b.csv")).scored) == 1


def test_an_ensemble_is_scored_with_the_members_that_it_pins(app: Path, data: Path) -> None:
    declared = (
        "  both: {origin: external, artifact: artifacts/both/e.yaml, format: ensemble, metrics: artifacts/m.json}\n"
    )
    first = Record.model_validate_json(next(app.glob("models/delay/versions/*.json")).read_bytes())
    pin = {"model": "delay", "version": first.version, "digest": first.files[first.artifact].sha256}
    members = {"ensemble": "mean", "members": [{**pin, "name": "a"}, {**pin, "name": "b"}]}
    write(app, {"gitml.yaml": APPLICATION + declared, "artifacts/both/e.yaml": json.dumps(members)})
    register(app, app / "artifacts/both/e.yaml", "2026-03-01T00:00:00Z", "both")
    score(app, "both", call(data))
    pd.testing.assert_frame_equal(found(data.parent / "scores"), expected(0, 1, 2))
    other = {**members, "members": [{**pin, "name": "a", "digest": "0" * 64}, {**pin, "name": "b"}]}
    write(app, {"artifacts/both/e.yaml": json.dumps(other)})
    register(app, app / "artifacts/both/e.yaml", "2026-04-01T00:00:00Z", "both")
    with pytest.raises(IntegrityError, match="is pinned with the artifact"):
        score(app, "both", call(data, output=str(data.parent / "other")))


@pytest.mark.nightly
@pytest.mark.slow
def test_killed_and_called_again_with_workers_the_command_gives_every_row_once(app: Path, tmp_path: Path) -> None:
    data = tmp_path / "many"
    data.mkdir()
    for number in range(12):
        pd.concat([rows(100, number)] * 60).to_parquet(data / f"{number:02}.parquet")
    command = [sys.executable, "-m", "gitml", "score", "delay", "--input", str(data), "--output", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--workers", "2"], cwd=app, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and len(list((tmp_path / "out").glob("*.parquet"))) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(list((tmp_path / "out/_gitml/files").glob("*.json")))
    assert 1 <= before < 12
    done = gitml(app, *command[3:], "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert (len(said["before"]), said["rows"]) == (before, 12 * 6_000)
    table = dataset.dataset(tmp_path / "out", format="parquet").to_table()
    assert table.num_rows == 72_000
    assert all(c == 60 for c in pa.compute.value_counts(table["flight"]).field("counts").to_pylist())


MEMORY = """
import resource, sys
from pathlib import Path
from gitml.inference.score import ScoreCall, score
score(Path(sys.argv[1]), "delay", ScoreCall(sys.argv[2], sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.nightly
@pytest.mark.slow
def test_memory_does_not_grow_with_the_data_set(app: Path, tmp_path: Path) -> None:
    peaks = []
    some = pa.Table.from_pandas(pd.concat([rows(100, seed) for seed in range(80)]), preserve_index=False)
    for number, times in enumerate((2, 20)):
        path = tmp_path / f"{number}.parquet"
        with parquet.ParquetWriter(path, some.schema) as writer:
            for _ in range(times):
                writer.write_table(some)
        words = [sys.executable, "-c", MEMORY, str(app), str(path), str(tmp_path / f"out{number}")]
        peaks.append(int(subprocess.run(words, check=True, capture_output=True).stdout))
    assert peaks[1] < 1.2 * peaks[0], f"ten times the rows took {peaks[1] / peaks[0]:.2f} × the memory"
