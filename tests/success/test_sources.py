"""Every kind of source gives the same days, and can do no more than give them."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest

from gitml.errors import GitmlError, InconclusiveError, UsageError
from gitml.landlock import version
from gitml.spec.kpis import KpiSql
from gitml.success.sqlfiles import sql_batches
from gitml.success.sqlhost import SqlOrder, closed_in, statement
from success.facts_kit import CSV, ROWS, TOTALS, WEEK, kpi_of, read

duckdb = pytest.importorskip("duckdb")
FACTS = "SELECT unit, time, value FROM facts"


def sql(query: str = FACTS, **more: object) -> dict[str, object]:
    return {"sql": {"query": query, "tables": {"facts": "f-*.csv"}, **more}}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    lines = CSV.splitlines(keepends=True)
    (tmp_path / "f-1.csv").write_text("".join(lines[:4]))
    (tmp_path / "f-2.csv").write_text("".join([lines[0], *lines[4:]]))
    return tmp_path


def test_a_query_over_files(shop: Path) -> None:
    found = read(shop, kpi_of(**sql()))
    assert found.total == TOTALS
    assert found.units == (1, 1, 2, 1)


def test_a_query_may_join_and_name_columns_and_give_times_with_zones(shop: Path) -> None:
    (shop / "rates.csv").write_text("unit,rate\nada,10\nbob,1\neve,1\n")
    query = (
        "SELECT f.unit, f.time::TIMESTAMPTZ AS time, f.value * r.rate AS value, f.time::VARCHAR || unit AS id "
        "FROM facts f JOIN rates r USING (unit);"
    )
    source = sql(query, tables={"facts": "f-*.csv", "rates": "rates.csv"})
    assert read(shop, kpi_of(**source)).total == (30.0, *TOTALS[1:])


HOSTILE = [
    "SELECT *, now()::TIMESTAMP AS time, 1 AS value FROM read_csv('/etc/passwd', columns={'unit': 'VARCHAR'})",
    "SELECT content AS unit, now()::TIMESTAMP AS time, 1 AS value FROM read_text('/proc/self/environ')",
    "SELECT file AS unit, now()::TIMESTAMP AS time, 1 AS value FROM glob('/etc/*')",
    "SELECT 'a' AS unit, now()::TIMESTAMP AS time, 1 AS value FROM 'http://127.0.0.1:9/x.csv'",
    "SELECT getenv('HOME') AS unit, now()::TIMESTAMP AS time, 1 AS value",
    "COPY (SELECT 1) TO '{root}/f-1.csv'",
    "COPY (SELECT 1) TO '{root}/stolen.csv'",
    "SELECT 1; COPY (SELECT 1) TO '{root}/stolen.csv'",
    "ATTACH '{root}/other.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA enable_external_access",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "CREATE SECRET (TYPE s3)",
    "EXPORT DATABASE '{root}/out'",
    "CALL pragma_version()",
    "SELECT * FROM query('SET threads = 9')",
    ") AS facts; COPY (SELECT 1) TO '{root}/stolen.csv'; SELECT * FROM (SELECT 1",
    "SELECT 1 AS unit",
    "SELECT * FROM unknown",
]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_query_reaches_nothing_but_its_files(shop: Path, query: str) -> None:
    """By DuckDB's own settings, without the process around it."""
    before = {path.name: path.read_bytes() for path in shop.iterdir()}
    asked = query.replace("{root}", str(shop))
    order = SqlOrder(
        query=asked,
        tables={"facts": [str(shop / "f-1.csv")]},
        since="2000-01-01",
        until="2100-01-01",
        folder=str(shop),
        seconds=5,
    )
    with closed_in(order) as connection, pytest.raises((duckdb.Error, ValueError)):
        connection.execute(statement(connection, order), {"since": order.since, "until": order.until}).fetchall()
    assert {path.name: path.read_bytes() for path in shop.iterdir()} == before


def test_its_process_reaches_nothing_either(shop: Path) -> None:
    """Whatever DuckDB would let through: the settings are those of a query that is in order."""
    with pytest.raises(UsageError, match="the query of the KPI shop cannot be run"):
        read(shop, kpi_of(**sql(HOSTILE[0].replace("{root}", str(shop)))))


def test_a_query_that_never_ends_is_ended(shop: Path) -> None:
    query = "SELECT 'a' AS unit, TIMESTAMP '2026-03-07' AS time, sum(a.range * b.range) AS value FROM range(10000000) a, range(10000000) b"  # noqa: E501
    spec = KpiSql.model_validate(sql(query)["sql"])
    with pytest.raises(InconclusiveError, match="was not done within 1 s"):
        list(sql_batches(shop, "shop", spec, WEEK, seconds=1))


def test_a_link_to_elsewhere_is_not_read(shop: Path) -> None:
    (shop / "f-3.csv").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="outside of the repository"):
        read(shop, kpi_of(**sql()))
    with pytest.raises(UsageError, match="outside of the repository"):
        read(shop, kpi_of(table="f-3.csv"))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match="is not here"):
        read(tmp_path, kpi_of(**sql()))


PRINTS = """\
import os, pathlib, sys
root = pathlib.Path(__file__).parent
print((root / "facts.csv").read_text(), end="")
"""


def command(shop: Path, text: str, **more: object) -> dict[str, object]:
    (shop / "facts.csv").write_text(CSV)
    (shop / "secret.txt").write_text("none of its business")
    (shop / "tell.py").write_text(text)
    return {"command": {"run": [sys.executable, "tell.py"], "reads": ["facts.csv"], **more}}


@pytest.mark.nightly
def test_a_command_that_prints(shop: Path) -> None:
    assert read(shop, kpi_of(**command(shop, PRINTS)), PATH="/usr/bin:/bin").total == TOTALS


def test_a_command_inherits_nothing(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITML_LOOKS_KEY", "key")
    told = "import os\nprint('unit,time,value')\nfor n in os.environ: print(n + ',2026-03-07 12:00:00,1')\n"
    kpi = kpi_of(value="any", **command(shop, told, secrets=["TOKEN"]))
    with pytest.raises(InconclusiveError, match="needs the environment variable TOKEN"):
        read(shop, kpi)
    with_token = read(shop, kpi, TOKEN="t")
    without = read(shop, kpi_of(value="any", **command(shop, told)))
    assert with_token.units[1] == without.units[1] + 1


@pytest.mark.skipif(not version(), reason="this kernel has no Landlock")
def test_a_command_is_closed_in(shop: Path) -> None:
    """It tries all of these, and prints its table only if none went through."""
    acts = (
        "open(root / 'secret.txt').read()",
        "open(root / 'facts.csv', 'w').write('x')",
        "open('/etc/hostname').read()",
        "__import__('urllib.request').request.urlopen('http://127.0.0.1:9', timeout=5)",
        "__import__('socket').create_connection(('127.0.0.1', 9), timeout=5)",
    )
    tries = "".join(f"try:\n    {act}\n    sys.exit(7)\nexcept PermissionError:\n    pass\n" for act in acts[:3])
    tries += "".join(f"try:\n    {act}\n    sys.exit(8)\nexcept OSError:\n    pass\n" for act in acts[3:])
    source = command(shop, f"import pathlib, sys\nroot = pathlib.Path(__file__).parent\n{tries}" + PRINTS)
    assert read(shop, kpi_of(**source)).total == TOTALS
    assert (shop / "facts.csv").read_text() == CSV


def test_a_command_that_is_slow_or_prints_no_table(shop: Path) -> None:
    with pytest.raises(InconclusiveError, match="was not done within 1 s"):
        read(shop, kpi_of(**command(shop, "import time; time.sleep(60)", timeout="1s")))
    with pytest.raises(UsageError, match="what the command of the KPI shop prints is no table"):
        read(shop, kpi_of(**command(shop, "print('hello')")))
    with pytest.raises(InconclusiveError, match="failed with"):
        read(shop, kpi_of(command={"run": ["no-such-program"]}))


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    pytest.importorskip("sqlalchemy")
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE payments (customer TEXT, paid_at TEXT, amount REAL)")
        connection.executemany("INSERT INTO payments VALUES (?, ?, ?)", ROWS)
    connection.close()
    return f"sqlite:///{tmp_path / 'shop.db'}"


QUERY = "SELECT customer AS unit, paid_at AS time, amount AS value FROM payments WHERE 'a:b%' <> ''"


def of_warehouse(query: str = QUERY, **more: object) -> dict[str, object]:
    return {"sql": {"query": query, "warehouse": "WAREHOUSE"}, **more}


def test_totals_of_days_leave_a_warehouse(tmp_path: Path, warehouse: str) -> None:
    found = read(tmp_path, kpi_of(**of_warehouse()), WAREHOUSE=warehouse)
    assert found.total == TOTALS
    assert (found.facts, found.units) == ((2, 1, 2, 1), (1, 1, 2, 1))


def test_times_of_other_forms_are_the_same_times(tmp_path: Path, warehouse: str) -> None:
    iso = QUERY.replace("paid_at AS time", "replace(paid_at, ' ', 'T') || 'Z' AS time")
    assert read(tmp_path, kpi_of(**of_warehouse(iso)), WAREHOUSE=warehouse).total == TOTALS


def test_ids_count_once_and_values_that_are_none_are_told(tmp_path: Path, warehouse: str) -> None:
    twice = f"{QUERY} UNION ALL {QUERY}"
    once = f"SELECT unit, time, value, unit || time AS id FROM ({twice})"
    assert read(tmp_path, kpi_of(**of_warehouse(twice)), WAREHOUSE=warehouse).total[0] == 6.0
    assert read(tmp_path, kpi_of(**of_warehouse(once)), WAREHOUSE=warehouse).total == TOTALS
    none = QUERY.replace("amount AS value", "NULL AS value")
    assert read(tmp_path, kpi_of(**of_warehouse(none)), WAREHOUSE=warehouse).unfit == (2, 1, 2, 1)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM payments",
        "SELECT 1 AS unit",
        "SELECT * FROM nowhere",
        "ATTACH DATABASE '/etc/passwd' AS x",
        "SELECT load_extension('x') AS unit, 1 AS time, 1 AS value",
        f"{QUERY}) AS facts; DELETE FROM payments; SELECT * FROM (SELECT 1",
        "PRAGMA writable_schema = on",
    ],
)
def test_a_warehouse_is_only_read(tmp_path: Path, warehouse: str, query: str) -> None:
    with pytest.raises(UsageError, match="of the KPI shop"):
        read(tmp_path, kpi_of(**of_warehouse(query)), WAREHOUSE=warehouse)
    assert read(tmp_path, kpi_of(**of_warehouse()), WAREHOUSE=warehouse).total == TOTALS


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("", InconclusiveError, "needs the environment variable WAREHOUSE"),
        ("sqlite:////nowhere/shop.db", InconclusiveError, "not here"),
        ("mysql://ada:secret@db/shop", UsageError, "does not know how to hold mysql"),
        ("no url", UsageError, "no URL of a warehouse"),
        ("postgresql+psycopg://ada:secret@127.0.0.1:9/shop", InconclusiveError, "does not answer"),
    ],
)
def test_a_warehouse_that_is_not_there_says_so_and_no_password(
    tmp_path: Path, url: str, error: type[GitmlError], said: str
) -> None:
    pytest.importorskip("sqlalchemy")
    with pytest.raises(error, match=said) as caught:
        read(tmp_path, kpi_of(**of_warehouse()), **({"WAREHOUSE": url} if url else {}))
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
