"""What every script measures, and how it says so."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version


def measured(package: str, prepare: Callable[[str], object], compare: Callable[[object, str], list[str]]) -> None:
    """``prepare`` makes what would be stored from the reference; ``compare`` names the columns that drifted."""
    imported = _peak()
    kept = prepare(sys.argv[1])
    before = time.process_time()
    drifted = compare(kept, sys.argv[2])
    cpu = time.process_time() - before
    told = {"version": version(package), "cpu": cpu, "peak_mb": _peak() - imported, "drifted": sorted(drifted)}
    print(json.dumps(told))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
