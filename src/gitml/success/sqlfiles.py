"""A KPI by SQL over files: the query is asked of DuckDB in a process that can read nothing but these files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from gitml.confined import unreadable
from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.process import ask_apart, python_apart
from gitml.spec.kpis import KpiSql
from gitml.success.days import Days
from gitml.success.factfile import fact_files
from gitml.success.facttable import fitted, no_table
from gitml.success.sqlhost import ANSWER, SqlOrder

SECONDS = 120.0
# A day of a zone begins up to 14 hours away from UTC's, and a date is a day of the zone.
_AROUND = timedelta(days=1)


def sql_batches(root: Path, name: str, spec: KpiSql, days: Days, seconds: float = SECONDS) -> Iterator[pa.RecordBatch]:
    """Facts of a little more than ``days``.

    Raises UsageError for a query that cannot be run, InconclusiveError where a file is not there or it takes too long.
    """
    tables = {table: [str(p) for p in fact_files(root, path)] for table, path in spec.tables.items()}
    # This process may have been told how to reach the traffic, and that one is the same user's.
    unreadable()
    with tempfile.TemporaryDirectory(prefix="gitml-kpi-") as folder:
        order = SqlOrder(
            query=spec.query,
            tables=tables,
            since=f"{days.since - _AROUND:%Y-%m-%d %H:%M:%S}",
            until=f"{days.until + _AROUND:%Y-%m-%d %H:%M:%S}",
            folder=folder,
            seconds=seconds,
        )
        command = python_apart("gitml.success.sqlhost", order.model_dump_json())
        try:
            said, code = ask_apart(command, cwd=Path(folder), seconds=seconds, most=10_000)
        except OutsideError as exc:
            raise InconclusiveError(f"the query of the KPI {name} {exc.message.partition(' ')[2]}", _HINT) from exc
        _believe(said, code, name)
        try:
            with pa.OSFile(str(Path(folder) / ANSWER)) as stream, pa.ipc.open_file(stream) as table:
                for number in range(table.num_record_batches):
                    yield fitted(table.get_batch(number), days.zone)
        except (pa.ArrowException, ValueError, KeyError) as exc:
            raise no_table(f"the query of the KPI {name}", exc) from exc


_HINT = "add fewer rows up, or do it beforehand and name the result as `table`"


def _believe(said: bytes, code: int, name: str) -> None:
    try:
        answer = json.loads(said)
    except ValueError:
        raise InconclusiveError(f"the query of the KPI {name} ended its process (code {code})", _HINT) from None
    if error := answer.get("error"):
        if "No module named 'duckdb'" in error:
            raise UsageError("duckdb is not installed", "pip install 'gitml[kpi]'")
        raise UsageError(f"the query of the KPI {name} cannot be run: {error}", "see `kpis` in gitml.yaml")
