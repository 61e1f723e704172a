"""The benchmark on shifted images, in short: no method alarms where nothing changed, ours see as much as any other."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_benchmark", ROOT / "benchmarks/digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.nightly
def test_methods_notice_shifts_and_nothing_else(digits: ModuleType) -> None:
    seeds = range(2_000, 2_003)
    quiet = digits.table(digits.NOTHING, seeds)["nothing"]
    assert max(hits for name, hits in quiet.items() if name.startswith("gitml")) <= 0.25
    found = digits.table(digits.KEPT, seeds)
    mean = {name: float(np.mean([of[name] for of in found.values()])) for name in quiet}
    best = max(hits for name, hits in mean.items() if not name.startswith("gitml"))
    assert mean["gitml: all of it"] >= best
    assert digits.first_of_forty(40) >= 0.95
    assert digits.of_one(8, 3.0) is None
    assert not digits.of_one(1_000_000, 0.01).drifted
