"""``gitml kpi`` as a person calls it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from conftest import gitml

SPEC = """\
application: shop
models: {prices: {artifact: model.onnx, metrics: metrics.json}}
"""
KPIS = """\
kpis:
  revenue: {table: sales.csv, unit: USD, description: What customers paid, zone: Europe/Berlin, empty: zero}
  visits: {table: visits.csv, value: count, environment: staging}
"""
WINDOW = ("--since", "2026-03-02", "--until", "2026-03-06", "--at", "2026-03-06")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "gitml.yaml").write_text(SPEC + KPIS)
    rows = ["a,2026-03-03 08:00:00,10", "b,2026-03-05 08:00:00,30", "b,2026-03-05 09:00:00,5"]
    (tmp_path / "sales.csv").write_text("\n".join(["unit,time,value", *rows, ""]))
    return tmp_path


def test_one_kpi_is_a_table_and_a_line(shop: Path) -> None:
    ran = gitml(shop, "kpi", "revenue", *WINDOW)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[:2] == ["What customers paid", "total of a day in Europe/Berlin; higher is better"]
    assert lines[2] == "▃▁█"
    assert [line.split() for line in lines[4:]] == [
        ["2026-03-03", "Tue", "10", "1", "1"],
        ["2026-03-04", "Wed", "0", "0", "0"],
        ["2026-03-05", "Thu", "35", "2", "1", *["facts", "may", "still", "come"]],
    ]


def test_what_cannot_be_read_says_so_beside_the_others(shop: Path) -> None:
    ran = gitml(shop, "kpi", *WINDOW)
    assert ran.code == 3
    assert "revenue" in ran.out
    assert "visits: the table visits.csv is not here (bring it with `dvc pull`, or write it first)" in ran.err
    told = json.loads(gitml(shop, "kpi", "--env", "staging", "--json", *WINDOW).out)
    assert [(one["name"], one["days"]) for one in told] == [("visits", [])]


def test_a_name_that_is_not_there(shop: Path) -> None:
    ran = gitml(shop, "kpi", "revenu")
    assert (ran.code, "did you mean 'revenue'?" in ran.err) == (2, True)
    (shop / "gitml.yaml").write_text(SPEC)
    ran = gitml(shop, "kpi")
    assert (ran.code, "gitml.yaml has no KPI" in ran.err) == (2, True)


def test_a_warehouse_is_asked_only_what_main_asks(shop: Path) -> None:
    pytest.importorskip("sqlalchemy")
    query = "SELECT 1 AS unit, '2026-03-03 08:00:00' AS time, 5 AS value"
    spec = SPEC + f'kpis: {{paid: {{sql: {{query: "{query}", warehouse: WAREHOUSE}}}}}}\n'
    (shop / "gitml.yaml").write_text(spec)

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=shop, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "gitml.yaml")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "KPIs")
    (shop / "empty.db").write_bytes(b"")
    env = {"WAREHOUSE": f"sqlite:///{shop / 'empty.db'}"}
    ran = gitml(shop, "kpi", "paid", *WINDOW, env=env)
    assert ran.code == 0, ran.err
    (shop / "gitml.yaml").write_text(spec.replace("5 AS value", "6 AS value"))
    ran = gitml(shop, "kpi", "paid", *WINDOW, env=env)
    assert (ran.code, "main does not have this query of the KPI paid" in ran.err) == (2, True)


def test_what_kpis_name_is_checked(shop: Path) -> None:
    (shop / "policy.yaml").write_text("environments: {production: {}}\n")
    text = SPEC + "kpis: {sold: {event: sold, environment: prodution, controls: [vists], models: [price]}}\n"
    (shop / "gitml.yaml").write_text(text + "costs: {runner_minute: {tpu: 1.0}, serving_month: {pricy: 3}}\n")
    said = gitml(shop, "check").err + gitml(shop, "check").out
    for words in (
        "kpis.sold.environment: policy.yaml has no environment 'prodution'",
        "kpis.sold.controls[0]: there is no KPI 'vists'",
        "kpis.sold.models[0]: there is no model 'price'",
        "costs.runner_minute.tpu: there is no hardware 'tpu'",
        "costs.serving_month.pricy: there is no model 'pricy'",
    ):
        assert words in said
