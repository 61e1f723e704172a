"""Environments of their own for the real alibi-detect, which needs older packages than anything else here.

Each is pinned by a file in ``constraints/``, and built by pip when a detector needs it for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from gitml.errors import InconclusiveError
from gitml.files import shipped
from gitml.pipelines.venv import StageEnvironment, Watch, find_python, recorded_environment

PYTHON = "3.11"
# By backend, and whether it is a later one than 0.11.4.
_LOCKS: Mapping[tuple[str, bool], str] = {
    ("", False): "alibi.txt",
    ("sklearn", False): "alibi.txt",
    ("pytorch", False): "alibi-torch.txt",
    ("tensorflow", False): "alibi-tensorflow.txt",
    ("", True): "alibi-bsl.txt",
    ("sklearn", True): "alibi-bsl.txt",
    ("pytorch", True): "alibi-bsl-torch.txt",
}


def alibi_environment(backend: str, *, bsl: bool = False, watch: Watch = lambda *_: nullcontext()) -> StageEnvironment:
    """That of detectors with this ``backend`` ('' for those without one). Raises InconclusiveError without Python 3.11,
    for a backend that is not pinned, and where packages cannot be installed."""
    lock = _LOCKS.get((backend, bsl))
    if lock is None:
        which = "newer than 0.11.4" if bsl else "0.11.4"
        raise InconclusiveError(
            f"there is no environment for the backend {backend} with alibi-detect {which}",
            "save the detector with the backend pytorch",
        )
    try:
        find_python(PYTHON)
    except InconclusiveError as exc:
        raise InconclusiveError(
            f"alibi-detect needs Python {PYTHON}, and there is no python{PYTHON} here",
            f"install Python {PYTHON} and put it on PATH",
        ) from exc
    return recorded_environment(shipped("constraints"), lock, PYTHON, watch)
