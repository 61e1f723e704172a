"""``gitml size``: what a version takes of this machine, and so how many processes, cores and GB a task needs.

Everything that is said follows from what was measured here; how far that was off is measured too, and said.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from joblib import cpu_count

from gitml.engines import ENGINES
from gitml.inference.clone import loader
from gitml.inference.serve import wanted_of
from gitml.inference.sizebatch import ScoringCost, measured_scoring, sample_table
from gitml.inference.sizerest import ServingCost, measured_serving
from gitml.models.model import Predictor
from gitml.models.modelcost import seconds_per_row
from gitml.registry import Record
from gitml.spec.kpis import Costs
from gitml.stats.queueing import load_for, waiting_p99

_MONTH = 730.0  # hours
# A file that is scored again after a failure should cost minutes.
_FILE_SECONDS = 600.0
_CALLERS_ROWS = 64


@dataclass(frozen=True)
class SizeAsked:
    """What is wanted of the version: ``rate`` requests a second with 99 of 100 answered within ``p99`` seconds; or
    ``rows`` scored ``within`` a time. ``seconds`` of load are spent on a server."""

    rate: float | None = None
    p99: float | None = None
    rows: int | None = None
    within: timedelta | None = None
    seconds: float = 8.0


@dataclass(frozen=True)
class ServingPlan:
    """Processes that keep up with the rate, each with a core of its own at ``load``. ``p99``: forecast, in seconds.

    ``memory`` is that of all, in MB; ``month`` what that costs at declared prices, None without. ``error``: how far two
    measurements of the CPU time differ, as a part. No ``processes``: not even a request alone is in time.
    """

    processes: int
    load: float
    p99: float
    memory: float
    month: float | None
    error: float


@dataclass(frozen=True)
class ScoringPlan:
    """Processes with a core each that score all rows in time, from at least so many ``files``, ``batch`` rows a call.

    ``engine``: `local` where this machine has the cores, else an engine that has machines; '' where none is there.
    """

    processes: int
    files: int
    batch: int
    engine: str
    seconds: float
    memory: float
    cost: float | None
    error: float


@dataclass(frozen=True)
class Sizing:
    """All that was measured of ``record`` on ``machine``, and what follows for what was asked."""

    record: Record
    machine: Mapping[str, Any]
    currency: str
    gpu: str
    serving: ServingCost
    scoring: ScoringCost
    serving_plan: ServingPlan | None
    scoring_plan: ScoringPlan | None


def size(root: Path, reference: str, asked: SizeAsked) -> Sizing:
    """Measure the champion that ``reference`` names. Raises as ``gitml serve``, FailedError where it does not answer
    its own samples."""
    plan = wanted_of(root, reference)
    ready = loader(root, plan.application.models)
    model, columns = ready.checked(plan.record).model, ready.samples(plan.record)
    bodies = _bodies(model, columns)
    scoring = measured_scoring(model, columns)
    serving = measured_serving(root, f"{plan.record.model}@{plan.record.version}", bodies, asked.seconds)
    costs = plan.application.costs
    return Sizing(
        plan.record,
        {"cores": int(cpu_count()), "processor": platform.machine(), "system": platform.system()},
        costs.currency if costs else "",
        _gpu(model, scoring.batch),
        serving,
        scoring,
        serving_plan(serving, asked.rate, asked.p99, costs) if asked.rate else None,
        scoring_plan(scoring, asked.rows, asked.within, costs) if asked.rows else None,
    )


def serving_plan(cost: ServingCost, rate: float, p99: float | None, costs: Costs | None) -> ServingPlan:
    """``rate`` requests a second; ``p99`` in seconds, None where only the load must be borne."""
    error = abs(cost.cpu_again / cost.cpu - 1)
    load = load_for(cost.cpu, math.inf if p99 is None else p99 - cost.alone)
    if p99 is not None and cost.alone > p99:
        return ServingPlan(0, 0.0, cost.alone, 0.0, None, error)
    processes = max(1, math.ceil(rate * cost.cpu / load))
    busy = rate * cost.cpu / processes
    memory = processes * cost.memory
    forecast = cost.alone + waiting_p99(busy, cost.cpu)
    return ServingPlan(processes, busy, forecast, memory, _priced(costs, processes, memory, _MONTH), error)


def scoring_plan(cost: ScoringCost, rows: int, within: timedelta | None, costs: Costs | None) -> ScoringPlan:
    """``within``: None for one process, however long it takes."""
    work = cost.row * rows
    allowed = within.total_seconds() - cost.fixed if within else work
    processes = max(1, math.ceil(work / max(allowed, 1e-9))) if work else 1
    each = work / processes + cost.fixed
    files = processes * max(1, math.ceil(each / _FILE_SECONDS))
    others = [name for name in ENGINES if name != "local"]
    engine = "local" if processes <= cpu_count() else next(iter(others), "")
    memory, hours = processes * cost.memory, each / 3600
    error = abs(cost.forecast / cost.took - 1)
    price = _priced(costs, processes, memory, hours)
    return ScoringPlan(processes, files, cost.batch, engine, each, memory, price, error)


def _priced(costs: Costs | None, cores: int, memory: float, hours: float) -> float | None:
    """Of ``cores`` and ``memory`` MB for so long; None where no core has a price."""
    if costs is None or costs.core_hour is None:
        return None
    return hours * (cores * costs.core_hour + memory / 1000 * (costs.gigabyte_hour or 0.0))


def _gpu(model: Predictor, batch: int) -> str:
    """Whether a GPU pays, for calls of ``batch`` rows; measured where there is one."""
    if model.format != "safetensors":
        return f"no: {model.format} is computed on cores"
    if model.device is None or model.on_cores is None:
        return "unknown: no GPU was found here, so this network was measured on cores alone"
    there, here = (seconds_per_row(model, batch, score) for score in (None, model.on_cores))
    told = f"{model.device.name} answers {batch:,} rows at once {here / there:.2g} × as fast as a core"
    return f"yes: {told}" if there < here else f"no: {told}"


def _bodies(model: Predictor, columns: Mapping[str, list[Any]] | None) -> list[bytes]:
    """A request of one row for each of some samples."""
    rows = sample_table(model, columns).slice(0, _CALLERS_ROWS).to_pylist()
    return [orjson.dumps({"rows": [row]}) for row in rows]
