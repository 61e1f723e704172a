"""What a loaded model takes of the machine that it answers on: numbers for evidence, plans and pages."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import psutil

from gitml.models.cores import return_freed_memory
from gitml.models.model import Answers, Predictor
from gitml.models.signature import Rows

_CALLS = 3
_SIZES = (1, 32, 1024)


def seconds_per_row(model: Predictor, size: int, score: Callable[[Rows], Answers] | None = None) -> float:
    """The median over some calls of ``size`` rows each. ``score``: time this instead, such as ``model.on_cores``."""
    rows, answer = model.some(size), score or model.answers
    answer(rows)
    took = []
    for _ in range(_CALLS if size > 32 else 20 * _CALLS):
        began = time.perf_counter()
        answer(rows)
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2] / size


def sizing(model: Predictor, seconds: float) -> dict[str, Any]:
    """As evidence holds it. ``load_s``: how long it took to load, ``seconds``; ``memory_mb``: of this process, its
    libraries included; ``row_ms``: of one row, by the rows of a call, and the same on cores where a GPU answers."""
    return_freed_memory()
    told: dict[str, Any] = {
        "load_s": round(seconds, 3),
        "memory_mb": round(psutil.Process().memory_info().rss / 1e6),
        "row_ms": {str(size): _milliseconds(model, size, None) for size in _SIZES},
        "cores": os.cpu_count() or 1,
        "processor": platform.machine(),
    }
    if model.device and model.on_cores:
        on_cores = {str(size): _milliseconds(model, size, model.on_cores) for size in _SIZES}
        told |= {**model.device.told, "row_ms_on_cores": on_cores}
    return told


def _milliseconds(model: Predictor, size: int, score: Callable[[Rows], Answers] | None) -> float:
    return float(f"{1000 * seconds_per_row(model, size, score):.3g}")
