"""A KPI by PromQL: samples of Prometheus' HTTP API, asked day by day so that they fit days of 23 and 25 hours.

https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.http import Http, Request, connected
from gitml.retries import Patience
from gitml.spec.kpis import KpiPrometheus
from gitml.success.daily import DailyFacts, daily_facts
from gitml.success.days import Days
from gitml.success.facttable import COLUMNS

_MOST_SERIES = 10_000
_SECOND = timedelta(seconds=1)


class _Series(BaseModel):
    model_config = ConfigDict(frozen=True)

    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Matrix(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)

    kind: str = Field(alias="resultType")
    result: list[_Series] = Field(max_length=_MOST_SERIES)


def prometheus_days(name: str, spec: KpiPrometheus, days: Days, env: Mapping[str, str]) -> DailyFacts:
    """A sample tells of the step that ends with it. A day that lacks a sample is broken; a NaN is none.

    Raises UsageError for a query or address that is none, InconclusiveError where the server does not answer.
    """
    address = env.get(spec.server, "")
    if not address:
        raise InconclusiveError(f"the KPI {name} needs the environment variable {spec.server}", "set it")
    token = env.get(f"{spec.server}_TOKEN", "")
    batches, broken = [], {}
    with connected(address, token, patience=Patience(tries=3, total=60.0)) as server:
        for number, (since, until) in enumerate(zip(days.edges, days.edges[1:], strict=False)):
            batch, there = _samples(_asked(server, name, spec, since, until), spec.step)
            batches.append(batch)
            wanted = (until - since) // spec.step
            if 0 < there < wanted:
                broken[number] = f"{wanted - there} of its {wanted} samples are not there"
    found = daily_facts(batches, days)
    return DailyFacts(found.facts, found.total, found.units, found.unfit, broken, found.notes)


def _asked(server: Http, name: str, spec: KpiPrometheus, since: datetime, until: datetime) -> _Matrix:
    ends = since + spec.step, until
    query = {
        "query": spec.query,
        "start": f"{ends[0].timestamp():.0f}",
        "end": f"{ends[1].timestamp():.0f}",
        "step": f"{spec.step / _SECOND:.0f}",
    }
    try:
        answer = server.send(Request("GET", "api/v1/query_range", query)).value
    except OutsideError as exc:
        status = getattr(exc, "status", 0)
        if status in (400, 422):
            raise UsageError(
                f"Prometheus refuses the query of the KPI {name}", "try it on the server's own page"
            ) from exc
        raise InconclusiveError(f"the KPI {name} is out of reach: {exc.message}", exc.hint) from exc
    return _matrix(answer, name)


def _matrix(answer: Any, name: str) -> _Matrix:
    if not isinstance(answer, dict) or answer.get("status") != "success":
        raise InconclusiveError(f"the server of the KPI {name} does not answer as Prometheus does", "see its address")
    try:
        found = _Matrix.model_validate(answer.get("data"))
    except ValidationError as exc:
        raise InconclusiveError(f"the server of the KPI {name} gives no series that can be read") from exc
    if found.kind != "matrix":
        raise UsageError(
            f"the query of the KPI {name} gives a {found.kind}", "it is to give numbers: a vector or scalar"
        )
    return found


def _samples(found: _Matrix, step: timedelta) -> tuple[pa.RecordBatch, int]:
    """As facts, and how many different moments have one."""
    units, times, values = [], [], []
    for series in found.result:
        labels = ",".join(f"{key}={value}" for key, value in sorted(series.metric.items()))
        for moment, text in series.values:
            value = float(text)
            if not math.isnan(value):
                units.append(labels)
                times.append(round((moment - step / _SECOND) * 1e6))
                values.append(value)
    arrays = [
        pa.array(units, pa.string()),
        pa.array(times, pa.int64()).cast(COLUMNS["time"]),
        pa.array(values, pa.float64()),
    ]
    return pa.record_batch(arrays, names=[*COLUMNS]), len(set(times))
