"""What workers of clusters keep from file to file, and what they tell."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from engine_work import Make
from gitml.engines import MapJob, Task, worker
from gitml.engines.worker import digest_of, raised, run_numbered
from gitml.errors import UsageError


def test_the_job_is_opened_once_in_a_process_and_an_error_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_HERE", {})
    opened: list[int] = []

    def run(number: int, values: range, fail: str = "raise") -> dict[str, object]:
        source = tmp_path / f"{number}.parquet"
        parquet.write_table(pa.table({"x": values}), source)
        task = Task(source.name, str(source), str(tmp_path / f"out/{number}.parquet"), "parquet", "parquet")
        job = pickle.dumps(MapJob(Make(fail)))
        return run_numbered(number, task, digest_of(job), lambda: opened.append(number) or job)

    assert [run(0, range(3)), run(1, range(2))] == [
        {"task": n, "rows": rows, "facts": {"rows": rows}, "rejected": 0} for n, rows in ((0, 3), (1, 2))
    ]
    told = run(2, range(9))
    assert opened == [0]
    error = raised(told["error"])  # type: ignore[arg-type]
    assert isinstance(error, UsageError)
    assert (error.message, error.hint) == ("2.parquet: there is a 7", "no sevens")
    assert run(3, range(9), fail="")["rows"] == 9, "another job"
    assert opened == [0, 3]
