"""Points of `gitml doctor` that only one forge needs, and what a forge cannot ask at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gitml.errors import SpecError
from gitml.forges.base import Branch
from gitml.forges.governed import ForgeCheck, GovernedForge
from gitml.project.doctorpoint import Mark, Point
from gitml.project.render import schedules

_MARKS = {True: Mark.OK, False: Mark.MISSING, None: Mark.UNKNOWN}
_WORDS = {
    "checks": "that certain statuses are there",
    "approvals": "approvals",
    "code_owners": "a review of code owners",
    "dismiss_stale": "that a push dismisses approvals",
    "last_push": "an approval by somebody else than the last who pushed",
}


def own_points(root: Path, forge: GovernedForge) -> Iterator[Point]:
    """What only this forge needs."""
    yield from (_point(check) for check in forge.guards.own(wanted_schedules(root)))


def wanted_schedules(root: Path) -> dict[str, str]:
    """None where no pipeline can be rendered: the point `workflows` says why."""
    try:
        return schedules(root)
    except SpecError:
        return {}


def _point(check: ForgeCheck) -> Point:
    mark = _MARKS[check.is_ok]
    return Point(check.name, mark, check.said, "" if mark is Mark.OK else check.todo)


def beyond(forge: GovernedForge, main: Branch) -> Iterator[Point]:
    """What the forge cannot ask: gitml's gate asks it, and agents believe nothing else."""
    there = forge.guards.protection(main.name)
    if there is None or not there.unable:
        return
    said = "; ".join(f"{_WORDS.get(name, name)} ({why})" for name, why in there.unable.items())
    yield Point("beyond the forge", Mark.OK, f"it cannot ask for: {said}. The gate does, and agents believe it alone")
