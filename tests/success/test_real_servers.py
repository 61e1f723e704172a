"""PostgreSQL and Prometheus themselves, where Debian's packages are installed: ``make test-kpi``."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gitml.errors import InconclusiveError, UsageError
from gitml.success.days import Days
from success.facts_kit import ROWS, TOTALS, kpi_of, read

pytestmark = [pytest.mark.kpi, pytest.mark.nightly, pytest.mark.slow]
QUERY = "SELECT customer AS unit, paid_at AS time, amount AS value FROM payments WHERE 'a:b%' <> '' AND amount::int > 0"


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server without its user."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not here; on Debian: apt-get install postgresql")
    # Not below pytest's folder, into which only its user may look: the server is never root's.
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        yield from _server(found[-1].parent, Path(name))


def _server(bin_: Path, folder: Path) -> Iterator[str]:
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    data, port = folder / "data", _port()

    def run(*words: str) -> None:
        subprocess.run(words, check=True, user=user, cwd=folder, capture_output=True, timeout=60)

    run(str(bin_ / "initdb"), "-D", str(data), "-U", "owner", "--auth=trust", "-E", "UTF8")
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off"
    run(str(bin_ / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"127.0.0.1:{port}/postgres"
    finally:
        run(str(bin_ / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def shop(postgres: str) -> str:
    """The same with a table of the owner's, and roles that read it, and that write it."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(f"postgresql://owner@{postgres}") as connection:
        connection.execute("CREATE TABLE payments (customer text, paid_at timestamp, amount double precision)")
        connection.cursor().executemany("INSERT INTO payments VALUES (%s, %s, %s)", ROWS)
        connection.execute("CREATE SEQUENCE numbers")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'hidden'")
        connection.execute("GRANT SELECT ON payments TO reader")
        connection.execute("GRANT USAGE ON SEQUENCE numbers TO reader")
        connection.execute("CREATE ROLE writer LOGIN")
        connection.execute("GRANT SELECT, INSERT ON payments TO writer")
    return postgres


def url(shop: str, role: str = "reader:hidden") -> dict[str, str]:
    return {"WAREHOUSE": f"postgresql+psycopg://{role}@{shop}"}


def of(query: str) -> dict[str, object]:
    return {"sql": {"query": query, "warehouse": "WAREHOUSE"}}


def test_totals_of_days(tmp_path: Path, shop: str) -> None:
    found = read(tmp_path, kpi_of(**of(QUERY)), **url(shop))
    assert found.total == TOTALS
    assert (found.facts, found.units) == ((2, 1, 2, 1), (1, 1, 2, 1))
    with_zone = QUERY.replace("paid_at AS time", "paid_at AT TIME ZONE 'UTC' AS time")
    assert read(tmp_path, kpi_of(**of(with_zone)), **url(shop)).total == TOTALS
    once = f"SELECT q.*, unit || time::text AS id FROM ({QUERY} UNION ALL {QUERY}) AS q;"
    assert read(tmp_path, kpi_of(**of(once)), **url(shop)).total == TOTALS


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM payments RETURNING customer AS unit, paid_at AS time, amount AS value",
        "SELECT 'a' AS unit, TIMESTAMP '2026-03-07' AS time, nextval('numbers') AS value FROM payments",
        "SELECT pg_read_file('/etc/passwd') AS unit, TIMESTAMP '2026-03-07' AS time, 1 AS value",
        "SELECT 'a' AS unit, TIMESTAMP '2026-03-07' AS time, lo_import('/etc/passwd')::int AS value",
        f"{QUERY}) AS facts; DROP TABLE payments; SELECT * FROM (SELECT 1",
        "COPY payments TO PROGRAM 'id'",
        "SELECT rolpassword AS unit, TIMESTAMP '2026-03-07' AS time, 1 AS value FROM pg_authid",
        "WITH x AS (DELETE FROM payments RETURNING *) SELECT customer AS unit, paid_at AS time, 1 AS value FROM x",
        "SELECT set_config('transaction_read_only', 'off', false) AS unit, TIMESTAMP '2026-03-07' AS time, 1 AS value",
        "SELECT 1 AS unit",
    ],
)
def test_it_is_only_read(tmp_path: Path, shop: str, query: str) -> None:
    with pytest.raises(UsageError, match="of the KPI shop"):
        read(tmp_path, kpi_of(**of(query)), **url(shop))
    assert read(tmp_path, kpi_of(**of(QUERY)), **url(shop)).total == TOTALS


@pytest.mark.parametrize("role", ["writer", "owner"])
def test_a_role_that_may_write_is_refused(tmp_path: Path, shop: str, role: str) -> None:
    with pytest.raises(UsageError, match="the role of WAREHOUSE may write"):
        read(tmp_path, kpi_of(**of(QUERY)), **url(shop, role))


def test_a_slow_query_is_ended(tmp_path: Path, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitml.success.warehouse.SECONDS", 1)
    slow = "SELECT 'a' AS unit, TIMESTAMP '2026-03-07' AS time, 1 AS value FROM payments WHERE pg_sleep(5) IS NOT NULL"
    with pytest.raises(InconclusiveError, match="statement timeout"):
        read(tmp_path, kpi_of(**of(slow)), **url(shop))


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    program = os.environ.get("PROMETHEUS") or shutil.which("prometheus")
    if not program:
        pytest.skip("Prometheus is not here; on Debian: apt-get install prometheus")
    (tmp_path / "prometheus.yml").write_text("scrape_configs: []\n")
    lines = ["# TYPE orders counter"]
    start = datetime(2026, 3, 5, tzinfo=UTC)
    for minute in range(0, 5 * 24 * 60, 5):
        moment = start + timedelta(minutes=minute)
        lines.append(f'orders_total{{shop="a"}} {minute * 2} {moment.timestamp():.0f}')
    (tmp_path / "past.txt").write_text("\n".join([*lines, "# EOF\n"]))
    data, port = tmp_path / "data", _port()
    tool = Path(program).with_name("promtool")
    command = [str(tool), "tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "past.txt"), str(data)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    address = f"127.0.0.1:{port}"
    words = (
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
        "--storage.tsdb.retention.time=10y",
    )
    server = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if httpx.get(f"http://{address}/-/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield f"http://{address}"
    finally:
        server.kill()
        server.wait()


def test_prometheus_itself(tmp_path: Path, prometheus: str) -> None:
    source = {"query": "sum(increase(orders_total[1h]))", "server": "PROM"}
    days = Days(datetime(2026, 3, 6).date(), datetime(2026, 3, 8).date(), "UTC")
    found = read(tmp_path, kpi_of(prometheus=source), days, PROM=prometheus)
    # Two orders a minute. Prometheus extrapolates to the ends of each hour.
    assert found.total == pytest.approx([2880.0] * 3, rel=0.01)
    wrong = kpi_of(prometheus={**source, "query": "sum("})
    with pytest.raises(UsageError, match="refuses the query"):
        read(tmp_path, wrong, days, PROM=prometheus)
