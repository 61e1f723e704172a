"""The real alibi-detect, asked in a process of its own: a folder and rows go in, numbers come out.

What a folder of alibi-detect holds may be code. That process inherits no variable, no file and no key, may take so much
memory and time, and where the kernel allows that it has no network, reads nothing but its libraries and that folder,
and starts no process. What it answers is believed only in this form.
"""

from __future__ import annotations

import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import gitml.confined
from gitml.errors import InconclusiveError, OutsideError
from gitml.monitoring.alibi import runner
from gitml.process import READ_OF_MACHINES, ask_apart

_LONGEST_ANSWER = 200_000
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Numbers = Annotated[list[_Finite | None], Field(max_length=2_000)]


@dataclass(frozen=True)
class AlibiLimits:
    """``seconds`` for all of it, the import of the libraries too; ``memory`` in bytes."""

    seconds: float = 600.0
    memory: int = 8 << 30


class AlibiAnswer(BaseModel):
    """``kind``: a drift detector (``p_val``, ``distance`` and ``threshold`` as it has them: one, or one a column), an
    online one (``first``: the row at which it saw drift, ``distance`` its last statistic), or one for outliers
    (``distance``: their share). None stands for NaN. ``version`` is alibi-detect's."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: str = Field(max_length=40)
    detector: str = Field(max_length=80)
    kind: Literal["drift", "online", "outlier"]
    rows: int = Field(ge=0)
    is_drift: bool
    p_val: _Numbers
    distance: _Numbers
    threshold: _Numbers
    first: int | None = None
    permutations: int | None = None
    offline: bool = False


class _Refused(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    error: str = Field(max_length=2_000)
    offline: bool = False


def ask(python: Path, folder: Path, rows: NDArray[Any], limits: AlibiLimits = AlibiLimits()) -> AlibiAnswer:
    """Let the detector in ``folder`` judge ``rows``, numbers or texts, with the alibi-detect that ``python`` has.

    Raises InconclusiveError where it does not answer: whatever is wrong says nothing about the traffic.
    """
    # This process may have been told how to reach the traffic, and that one is the same user's.
    gitml.confined.unreadable()
    with tempfile.TemporaryDirectory(prefix="gitml-alibi-") as name:
        place = Path(name) / "rows.npy"
        np.save(place, rows, allow_pickle=False)
        about = Path(gitml.confined.__file__).parent, folder.absolute(), place, limits.memory, limits.seconds
        command = [str(python), "-IB", runner.__file__, *map(str, about), *READ_OF_MACHINES]
        # Numba chooses on import where it keeps what it compiles, and must write there when it may write nowhere else.
        kept = {"NUMBA_CACHE_DIR": name}
        try:
            said, code = ask_apart(command, cwd=Path(name), seconds=limits.seconds, most=_LONGEST_ANSWER, more=kept)
        except (OutsideError, OSError) as exc:
            raise InconclusiveError(f"alibi-detect did not judge {folder.name}: {exc}", _HINT) from exc
    return _believed(said, code, folder.name)


_HINT = "a smaller reference, or fewer permutations, take less time and memory"


def _believed(said: bytes, code: int, name: str) -> AlibiAnswer:
    try:
        return AlibiAnswer.model_validate_json(said)
    except ValidationError:
        pass
    try:
        refused = _Refused.model_validate_json(said).error
    except ValidationError:
        refused = f"it ended with {signal.Signals(-code).name}" if code < 0 else f"exit code {code}, without an answer"
    raise InconclusiveError(
        f"alibi-detect did not judge {name}: {refused}", "does it load and predict in Python, with the same columns?"
    )
