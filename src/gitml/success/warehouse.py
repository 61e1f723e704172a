"""A KPI by SQL in a warehouse: totals of days come back, and no row of it.

The query becomes a part of ours: one statement, in a transaction that only reads, with a limit on its time. PostgreSQL
and SQLite can be held to that; of others gitml does not know it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gitml.errors import InconclusiveError, UsageError
from gitml.success.daily import LARGEST, DailyFacts
from gitml.success.days import Days

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

SECONDS = 120
_MAY_WRITE = """\
SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR EXISTS (
  SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND left(n.nspname, 3) <> 'pg_' AND n.nspname <> 'information_schema'
  AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
FROM pg_roles WHERE rolname = current_user"""
_NAMES = ("unit", "time", "value")
# What a query may do in SQLite; the numbers are of its authorizer.
_SQLITE_READS = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_TRANSACTION,
}


@dataclass(frozen=True)
class WarehouseQuery:
    """``secret``: the environment variable that holds the URL."""

    name: str
    query: str
    secret: str


def warehouse_days(asked: WarehouseQuery, days: Days, env: Mapping[str, str], at: datetime | None = None) -> DailyFacts:
    """Raises UsageError for a URL, role or query that will not do, InconclusiveError where it does not answer."""
    from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

    url = env.get(asked.secret, "")
    if not url:
        raise InconclusiveError(f"the KPI {asked.name} needs the environment variable {asked.secret}", "set it")
    try:
        with _reading(url, asked) as connection:
            return _Asking(connection, asked, days, at).facts()
    except DBAPIError as exc:
        if _is_out_of_reach(exc):
            raise InconclusiveError(f"the warehouse of the KPI {asked.name} does not answer: {_said(exc)}") from exc
        raise UsageError(f"the query of the KPI {asked.name} cannot be run: {_said(exc)}") from exc
    except (ArgumentError, ModuleNotFoundError) as exc:
        raise UsageError(f"{asked.secret} is no URL of a warehouse that can be read here", _HINT) from exc
    except SQLAlchemyError as exc:
        raise UsageError(f"the query of the KPI {asked.name} cannot be run: {type(exc).__name__}") from exc


_HINT = "such as postgresql+psycopg://reader:…@host/db, with pip install 'gitml[kpi]'"


def _is_out_of_reach(exc: Any) -> bool:
    """SQLite calls a wrong statement an operational error too, and has numbers for the rest."""
    from sqlalchemy.exc import OperationalError

    number = getattr(exc.orig, "sqlite_errorcode", None)
    if number is None:
        return isinstance(exc, OperationalError)
    return number & 0xFF not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_AUTH)


def _said(exc: Any) -> str:
    """The driver's own first line: the rest repeats our statement."""
    return (str(exc.orig).splitlines() or [type(exc.orig).__name__])[0][:300]


@contextmanager
def _reading(url: str, asked: WarehouseQuery) -> Iterator[Connection]:
    from sqlalchemy import make_url

    place = make_url(url)
    kind = place.get_backend_name()
    if kind not in ("postgresql", "sqlite"):
        raise UsageError(
            f"gitml does not know how to hold {kind} to reading",
            "only PostgreSQL and SQLite are asked directly; for others write a `command` that prints totals",
        )
    engine = _sqlite(place.database or "", asked) if kind == "sqlite" else _postgres(place)
    try:
        with engine.connect() as connection:
            if kind == "postgresql":
                _refuse_writers(connection, asked)
            else:
                _only_read(connection)
            yield connection
            connection.rollback()
    finally:
        engine.dispose()


def _postgres(place: Any) -> Engine:
    from sqlalchemy import create_engine

    settings = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS}s -c TimeZone=UTC"
    arguments = {"options": settings, "connect_timeout": 15}
    return create_engine(place, connect_args=arguments, isolation_level="REPEATABLE READ", hide_parameters=True)


def _refuse_writers(connection: Connection, asked: WarehouseQuery) -> None:
    """A transaction that only reads is a promise of the server; a role that can only read is the owner's."""
    from sqlalchemy import text

    writes = connection.execute(text(_MAY_WRITE)).scalar()
    if writes is not False:
        raise UsageError(
            f"the role of {asked.secret} may write in the warehouse",
            "make one that only reads: CREATE ROLE reader LOGIN; GRANT SELECT ON … TO reader",
        )


def _sqlite(database: str, asked: WarehouseQuery) -> Engine:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    if not Path(database).is_file():
        raise InconclusiveError(f"{asked.secret} names a SQLite file that is not here")

    def opened() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(database)}?mode=ro", uri=True, timeout=15)

    return create_engine("sqlite://", creator=opened, poolclass=StaticPool, hide_parameters=True)


def _only_read(connection: Connection) -> None:
    """Once SQLAlchemy has set up the connection, for which it asks more."""
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + SECONDS
    driver.set_progress_handler(lambda: time.monotonic() > until, 10_000)

    def may(action: int, _first: str | None, second: str | None, *_: object) -> int:
        loads = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
        return sqlite3.SQLITE_OK if action in _SQLITE_READS and not loads else sqlite3.SQLITE_DENY

    driver.set_authorizer(may)


@dataclass(frozen=True)
class _Asking:
    connection: Connection
    asked: WarehouseQuery
    days: Days
    at: datetime | None

    @property
    def is_sqlite(self) -> bool:
        return self.connection.dialect.name == "sqlite"

    @property
    def facts_of_query(self) -> str:
        # A colon would name a parameter of ours.
        query = self.asked.query.strip().rstrip(";").replace(":", "\\:")
        return f"(\n{query}\n) AS facts"

    def facts(self) -> DailyFacts:
        names = self._names()
        lacking = [name for name in _NAMES if name not in names]
        if lacking:
            raise UsageError(f"the query of the KPI {self.asked.name} has no column {lacking[0]}")
        rows = self._rows(self._once(names))
        return _told(rows, len(self.days))

    def _names(self) -> Sequence[str]:
        from sqlalchemy import text

        return [*self.connection.execute(text(f"SELECT * FROM {self.facts_of_query} WHERE 1 = 0")).keys()]  # noqa: S608

    def _moment(self, name: str) -> str:
        # SQLite has no times: texts in one form compare as times do.
        return f"strftime('%Y-%m-%d %H:%M:%f', {name})".replace(":", "\\:") if self.is_sqlite else name

    def _bound(self, moment: datetime) -> Any:
        return f"{moment:%Y-%m-%d %H:%M:%S}.000" if self.is_sqlite else moment

    def _once(self, names: Sequence[str]) -> str:
        """The facts of the window that were known, each id once."""
        when = self._moment("time")
        known = f" AND {self._moment('arrived')} <= :at" if self.at and "arrived" in names else ""
        # The bare column, so that an index or a partition is found.
        inside = f"SELECT facts.*, {when} AS gitml_time FROM {self.facts_of_query} WHERE {when} >= :e0 AND {when} < :last{known}"  # noqa: E501, S608
        if "id" not in names:
            return f"({inside}) AS known"
        first = "arrived" if "arrived" in names else "time"
        ranked = f"SELECT inside.*, row_number() OVER (PARTITION BY id ORDER BY {first}) AS gitml_again FROM ({inside}) AS inside"  # noqa: E501, S608
        return f"(SELECT * FROM ({ranked}) AS ranked WHERE gitml_again = 1 OR id IS NULL) AS known"  # noqa: S608

    def _rows(self, facts: str) -> Sequence[Any]:
        from sqlalchemy import text

        ends = " ".join(f"WHEN gitml_time < :e{n + 1} THEN {n}" for n in range(len(self.days)))
        fit = f"value BETWEEN -{LARGEST:.0e} AND {LARGEST:.0e}"
        inner = f"SELECT CASE {ends} END AS day, unit, value FROM {facts}"  # noqa: S608
        statement = (
            "SELECT day, count(*), sum(CASE WHEN "  # noqa: S608
            f"{fit} THEN value END), count(DISTINCT unit), count(CASE WHEN {fit} THEN 1 END) "
            f"FROM ({inner}) AS days GROUP BY day"
        )
        bounds = {f"e{n}": self._bound(edge) for n, edge in enumerate(self.days.edges)}
        more = {"last": self._bound(self.days.until), "at": self._bound(self.at) if self.at else None}
        return self.connection.execute(text(statement), {**bounds, **more}).all()


def _told(rows: Sequence[Any], count: int) -> DailyFacts:
    by_day = {int(day): rest for day, *rest in rows if day is not None}
    facts, total, units, fit = ([by_day.get(n, [0, 0, 0, 0])[i] or 0 for n in range(count)] for i in range(4))
    return DailyFacts(
        tuple(map(int, facts)),
        tuple(map(float, total)),
        tuple(map(int, units)),
        tuple(int(all_) - int(fine) for all_, fine in zip(facts, fit, strict=True)),
    )
