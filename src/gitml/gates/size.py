"""Gate ``size``: how large the artifact is."""

from __future__ import annotations

from gitml.fields import Size
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts
from gitml.gates.verdicts import failed, number, passed, unclear
from gitml.verdict import Verdict

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))

KEY = Size
MEANING = "The artifact is not larger."
ADVICE = Advice(
    SCIENTIST,
    "make the model smaller",
    "train again: the record does not say the size",
)


def judge(facts: Facts, wanted: int) -> Verdict:
    """The artifact is not larger than this.

        size: 50MB

    Units are powers of 1000: B, kB, MB, GB, TB. The size is the one of the record, whose digest the artifact has.
    """
    found = number(facts.candidate.size)
    if found is None or found <= 0:
        return unclear("the record does not say how large the artifact is")
    if found > wanted:
        return failed(f"it has {human(found)}, at most {human(wanted)} are allowed", {"bytes": facts.candidate.size})
    return passed(f"it has {human(found)}", {"bytes": facts.candidate.size})


def needs(wanted: int) -> tuple[Need, ...]:
    return ()


def human(count: float) -> str:
    """
    >>> human(1485276), human(50_000_000), human(12)
    ('1.49 MB', '50 MB', '12 B')
    """
    for size, unit in _UNITS:
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"
