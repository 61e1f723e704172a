"""Run by the Python of an environment with alibi-detect, never by gitml's: nothing of gitml is imported here.

    python -IB runner.py GITML FOLDER ROWS MEMORY SECONDS READS…

GITML is the folder of ``gitml/confined.py`` and ``landlock.py``, FOLDER what ``save_detector`` wrote, ROWS an array of
numbers or texts, READS what libraries of numbers read of a machine. The libraries come first; then this process gives
up what it does not need, and only then is the folder loaded, which may run code. It reads FOLDER and its own libraries,
writes where ROWS lies, and starts nothing. One line of JSON is printed, by a descriptor that nothing of the folder's
code knows of by name.
"""

from __future__ import annotations

import json
import math
import os
import random
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Pairs = Iterator[tuple[str, Any]]

_LONGEST = 100_000


def main(words: Sequence[str]) -> None:
    said = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.filterwarnings("ignore")
    gitml, folder, rows = map(Path, words[:3])
    given_up, closed = (runpy.run_path(str(gitml / name)) for name in ("confined.py", "landlock.py"))
    offline = given_up["offline"]()

    def confine() -> None:
        # Semaphores are files, and so is what numba compiled.
        given_up["limit"](int(words[3]), float(words[4]), files=1 << 26)
        places = [place for place in sys.path if place.startswith("/")]
        reads = [*words[5:], sys.prefix, sys.base_prefix, *places, str(folder)]
        closed["close_in"](reads, [str(rows.parent), "/dev/null"], connects=False)
        given_up["without_children"]()

    try:
        answer = dict(_answer(folder, rows, confine))
    except Exception as exc:  # a process's boundary: a stranger's detector raises what it likes
        answer = {"error": f"{type(exc).__name__}: {exc}"[:2000]}
    said.write(json.dumps({**answer, "offline": offline}, allow_nan=False)[:_LONGEST] + "\n")
    said.flush()


def _answer(folder: Path, rows: Path, confine: Callable[[], None]) -> Pairs:
    import numpy as np
    from alibi_detect import __version__  # type: ignore[import-not-found]
    from alibi_detect.saving import load_detector  # type: ignore[import-not-found]

    x = np.load(rows, allow_pickle=False)
    random.seed(0)
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)
    confine()
    detector = load_detector(folder)
    meta = detector.meta
    inner = getattr(detector, "_detector", detector)
    x_ref = getattr(inner, "x_ref", None)
    x = _like(x, x_ref, preprocessed=getattr(inner, "preprocess_fn", None) is not None)
    yield "version", __version__
    yield "detector", type(detector).__name__
    yield "rows", len(x)
    yield "permutations", _permutations(inner)
    if meta.get("detector_type") == "outlier":
        yield from _outliers(detector.predict(x)["data"])
    elif meta.get("online"):
        yield from _online(detector, x)
    else:
        yield from _drift(detector.predict(x)["data"])


def _like(x: Any, x_ref: Any, *, preprocessed: bool) -> Any:
    """As the reference has them: its type, and where it is no table its shape."""
    import numpy as np

    if x.dtype.kind not in "biuf" or x_ref is None:
        return x
    first = np.asarray(x_ref[:1])
    if first.dtype.kind != "f":
        return x
    x = x.astype(first.dtype)
    return x if preprocessed else x.reshape((len(x), *first.shape[1:]))


def _permutations(detector: Any) -> int | None:
    found = getattr(detector, "n_permutations", None)
    return int(found) if isinstance(found, int) else None


def _drift(data: Any) -> Pairs:
    yield "kind", "drift"
    yield "is_drift", bool(_numbers(data["is_drift"])[0])
    for key in ("p_val", "distance", "threshold"):
        yield key, _numbers(data.get(key))


def _online(detector: Any, x: Any) -> Pairs:
    """One row after the other, from the saved state on: whether any was drift, and where the statistic ended."""
    first: int | None = None
    data: dict[str, Any] = {}
    for place, row in enumerate(x):
        data = detector.predict(row)["data"]
        if first is None and any(_numbers(data["is_drift"])):
            first = place
    yield "kind", "online"
    yield "is_drift", first is not None
    yield "first", first
    yield "p_val", []
    yield "distance", _numbers(data.get("test_stat"))
    yield "threshold", _numbers(data.get("threshold"))


def _outliers(data: Any) -> Pairs:
    import numpy as np

    yield "kind", "outlier"
    yield "is_drift", False
    yield "p_val", []
    yield "distance", [float(np.mean(np.asarray(data["is_outlier"], dtype=float)))]
    yield "threshold", []


def _numbers(value: Any) -> list[float | None]:
    """Floats of whatever it is: a number, an array, a tensor; None for what is none."""
    import numpy as np

    if value is None:
        return []
    flat = np.asarray(value.tolist() if hasattr(value, "tolist") else value, dtype=float).reshape(-1)[:2000]
    return [None if math.isnan(number) or math.isinf(number) else number for number in flat.tolist()]


if __name__ == "__main__":
    main(sys.argv[1:])
