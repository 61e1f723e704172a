"""The other side of ``sqlfiles``: a process that reads the declared files, and nothing else, runs one SELECT.

DuckDB is closed in by its own settings, which the query cannot change; the process by limits and, where the kernel has
them, by Landlock and a network without connections. Either alone would do.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gitml.confined import limit, offline, without_children
from gitml.landlock import close_in
from gitml.process import needed_by_python

MOST_BYTES = 4 << 30
_MEMORY = 2 << 30
ANSWER = "facts.arrow"


class SqlOrder(BaseModel):
    """``tables``: files by the names that ``query`` has for them; ``since`` and ``until`` bound the column `time`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str
    tables: dict[str, list[str]]
    since: str
    until: str
    folder: str
    seconds: float


def main() -> None:
    """Write the facts to ``folder`` and say on stdout what went wrong, if anything."""
    order = SqlOrder.model_validate_json(sys.argv[2])
    said = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        _run(order)
        answer: dict[str, Any] = {}
    except MemoryError:
        answer = {"error": "the query takes too much memory"}
    except Exception as exc:  # a process's boundary: DuckDB says what it likes
        answer = {"error": (str(exc).splitlines() or [type(exc).__name__])[0][:2000]}
    said.write(json.dumps(answer))
    said.flush()


def _run(order: SqlOrder) -> None:
    import duckdb  # noqa: F401 — before the process may read no more of it
    import pyarrow as pa

    files = [path for paths in order.tables.values() for path in paths]
    offline()
    limit(2 * _MEMORY, 4 * order.seconds, MOST_BYTES)
    close_in([*needed_by_python(), *files], [order.folder, "/dev/null"], connects=False)
    without_children()
    with closed_in(order) as connection:
        found = connection.execute(statement(connection, order), {"since": order.since, "until": order.until})
        reader = found.to_arrow_reader(100_000)
        with pa.OSFile(str(Path(order.folder) / ANSWER), "wb") as stream, pa.ipc.new_file(stream, reader.schema) as out:
            for batch in reader:
                out.write_batch(batch)


def closed_in(order: SqlOrder) -> Any:
    """A connection that reads the order's tables and nothing else, which no statement can change."""
    import duckdb

    settings = {
        "memory_limit": f"{_MEMORY // 2}B",
        "threads": "2",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "max_temp_directory_size": "0B",
    }
    connection = duckdb.connect(":memory:", config=settings)
    connection.execute("SET TimeZone = 'UTC'")
    files = [path for paths in order.tables.values() for path in paths]
    connection.execute("SET allowed_paths = $paths", {"paths": files})
    connection.execute("SET enable_external_access = false")
    for name, paths in order.tables.items():
        reader = "read_csv" if paths[0].lower().endswith(".csv") else "read_parquet"
        listed = ", ".join(_quoted(path) for path in paths)
        connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM {reader}([{listed}])')  # noqa: S608
    connection.execute("SET lock_configuration = true")
    return connection


def _only_a_select(connection: Any, query: str) -> None:
    """A COPY to a declared file would be let through by the settings."""
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("it is not one SELECT")


def statement(connection: Any, order: SqlOrder) -> str:
    """What is asked. Raises ValueError for what is not one SELECT with the columns of facts."""
    _only_a_select(connection, order.query)
    query = order.query.strip().rstrip(";")
    names = [one[0] for one in connection.execute(f"DESCRIBE SELECT * FROM (\n{query}\n) AS facts").fetchall()]  # noqa: S608
    lacking = [name for name in ("unit", "time", "value") if name not in names]
    if lacking:
        raise ValueError(f"it has no column {lacking[0]}")
    more = "".join(f", {name}" for name in ("id", "arrived") if name in names)
    # The bare column, so that files whose times lie elsewhere are not even read.
    return (
        f"SELECT CAST(unit AS VARCHAR) AS unit, time, CAST(value AS DOUBLE) AS value{more} FROM (\n{query}\n) AS facts "  # noqa: S608
        "WHERE time >= CAST($since AS TIMESTAMP) AND time < CAST($until AS TIMESTAMP)"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
