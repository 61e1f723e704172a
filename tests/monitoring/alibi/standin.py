"""A stand-in of a few lines for alibi-detect, and a Python that has it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

# What stands for a detector: `predict` is the text that a test gives.
STAND_IN = """\
import numpy as np
class Detector:
    meta = {"online": False, "detector_type": "drift"}
    x_ref = np.zeros((4, 2), dtype=np.float32)
    n_permutations = 99
    def predict(self, x):
        PREDICT
def load_detector(folder):
    return Detector()
"""
ANSWER = 'return {"data": {"is_drift": 1, "p_val": np.float32(.25), "distance": x.sum(), "threshold": .05}}'
Stand = Callable[..., Path]


def stand_in(folder: Path, predict: str = ANSWER, **lines: str) -> Path:
    """A program that is called as Python is, and imports the stand-in; `lines`: other values in its text."""
    package = folder / "packages/alibi_detect"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "0.11.4"\n')
    text = STAND_IN.replace("PREDICT", predict)
    for old, new in lines.items():
        text = text.replace(f"{old} = ", f"{old} = {new}  # ")
    (package / "saving.py").write_text(text)
    python = folder / "python"
    places = f"{package.parent}:{Path(np.__file__).parents[1]}"
    python.write_text(f'#!/bin/sh\nshift\nexec env PYTHONPATH={places} {sys.executable} -B "$@"\n')
    python.chmod(0o755)
    return python
