"""The local engine, in this process and in several."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from engine_work import Make
from gitml.engines import LocalEngine, MapJob, Task
from gitml.errors import OutsideError, UsageError


def tasks(folder: Path, count: int = 5) -> list[Task]:
    (folder / "in").mkdir(exist_ok=True)
    made = []
    for number in range(count):
        source = folder / "in" / f"{number}.parquet"
        parquet.write_table(pa.table({"x": range(number * 3, number * 3 + 3)}), source)
        made.append(Task(source.name, str(source), str(folder / "out" / source.name), "parquet", "parquet"))
    return made


def numbers(folder: Path) -> list[int]:
    return sorted(n for file in (folder / "out").glob("*.parquet") for n in parquet.read_table(file)["x"].to_pylist())


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_task_is_done_once_and_its_rows_are_heard_of(tmp_path: Path, workers: int) -> None:
    heard: list[int] = []
    with LocalEngine(workers) as engine:
        done = list(engine.map(MapJob(Make(), batch_rows=2), iter(tasks(tmp_path)), heard.append))
    assert numbers(tmp_path) == [2 * n for n in range(15)]
    assert sorted((d.task.name, d.rows, d.facts["rows"]) for d in done) == [(f"{n}.parquet", 3, 3) for n in range(5)]
    assert sum(heard) == 15


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=[pytest.mark.slow, pytest.mark.nightly])])
def test_a_wrong_row_ends_it_with_the_file_and_leaves_whole_files_only(tmp_path: Path, workers: int) -> None:
    with pytest.raises(UsageError, match=r"2\.parquet: there is a 7") as caught, LocalEngine(workers) as engine:
        list(engine.map(MapJob(Make("raise")), iter(tasks(tmp_path)), lambda _: None))
    assert caught.value.hint == "no sevens"
    assert not (tmp_path / "out/2.parquet").exists()
    assert all(len(parquet.read_table(f)) == 3 for f in (tmp_path / "out").glob("*.parquet"))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_said_and_nothing_hangs(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="worker process was killed"), LocalEngine(2) as engine:
        list(engine.map(MapJob(Make("die")), iter(tasks(tmp_path)), lambda _: None))


ORPHANS = """
import sys, time
sys.path.insert(0, {folder!r})
import naps
if __name__ == "__main__":
    naps.run(sys.argv[1])
"""
NAPS = """
import os, time
import pyarrow as pa
from pathlib import Path
from gitml.engines import MapJob, LocalEngine, Task
class Nap:
    def schema(self, given):
        return given
    def __call__(self, batches, facts, reject):
        Path(os.environ["PIDS"], str(os.getpid())).touch()
        time.sleep(60)
        yield from batches
def make():
    return Nap()
def run(source):
    tasks = [Task(str(n), source, source + f".{n}.parquet", "parquet", "parquet") for n in range(2)]
    with LocalEngine(2) as engine:
        list(engine.map(MapJob(make), iter(tasks), lambda _: None))
"""


@pytest.mark.nightly
@pytest.mark.slow
def test_workers_end_with_the_process_that_asked(tmp_path: Path) -> None:
    (tmp_path / "naps.py").write_text(NAPS)
    (tmp_path / "main.py").write_text(ORPHANS.format(folder=str(tmp_path)))
    pids = tmp_path / "pids"
    pids.mkdir()
    source = tasks(tmp_path, 1)[0].source
    env = {**os.environ, "PIDS": str(pids), "PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "main.py"), source], env=env)
    _until(lambda: len(list(pids.iterdir())) == 2)
    parent.kill()
    parent.wait()
    _until(lambda: not [p for p in pids.iterdir() if Path(f"/proc/{p.name}").exists()])


def _until(true: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
