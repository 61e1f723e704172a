"""The one type in which everything that judges answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    SUCCESSFUL = "successful"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


EXIT_CODES = {Phase.SUCCESSFUL: 0, Phase.FAILED: 1, Phase.INCONCLUSIVE: 3, Phase.ERROR: 4}
# The worst phase of several wins; a failure outranks an error, because it is certain.
_RANK = (Phase.SUCCESSFUL, Phase.INCONCLUSIVE, Phase.ERROR, Phase.FAILED)


@dataclass(frozen=True)
class Verdict:
    """What was decided, why, and on which numbers.

    ``measurements`` maps a name to a number, a text or a list of them. NaN and infinities are refused: whoever
    measures one has nothing to judge on and says inconclusive.
    """

    phase: Phase
    reason: str
    measurements: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.measurements.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"measurement {name} is {value}: judge it inconclusive instead")

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.phase]


def worst(verdicts: Iterable[Verdict]) -> Phase:
    """The phase of all together. Nothing judged is inconclusive, never successful.

    >>> worst([Verdict(Phase.SUCCESSFUL, ""), Verdict(Phase.INCONCLUSIVE, "no data")])
    <Phase.INCONCLUSIVE: 'inconclusive'>
    >>> worst([])
    <Phase.INCONCLUSIVE: 'inconclusive'>
    """
    return max((v.phase for v in verdicts), key=_RANK.index, default=Phase.INCONCLUSIVE)
