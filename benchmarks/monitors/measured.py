"""What every script measures, and how it says so."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path


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
    """Of this process in MB; that of getrusage begins with the memory of whoever started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return float(status["VmHWM"].split()[0]) / 1024
