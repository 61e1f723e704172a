"""``gitml ci monitor publish``, of selections: an alarm stands on the pull request that brought the version to blame.

A comment of its own for each time that ratios begin to lie elsewhere, because edits notify nobody; while they do, and
when they are back, it is edited. It follows from the signed counts, so a run that was killed is made up for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gitml.cijobs.biasdue import CountedModel
from gitml.cijobs.telling import Teller, tried
from gitml.evidence.biases import SignedBias
from gitml.reports.accountable import bias_alarm
from gitml.verdict import Phase


@dataclass(frozen=True)
class ToldBias:
    """``comments``: pull request → posted, updated, unchanged or superseded; none where nothing ever moved."""

    model: str
    environment: str
    phase: Phase
    comments: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


def tell_biases(teller: Teller, counted: Iterable[CountedModel], signed: Sequence[SignedBias]) -> tuple[ToldBias, ...]:
    """What fails for one keeps no other back."""
    return tuple(told for one in counted for told in _told(teller, one, signed))


def _told(teller: Teller, one: CountedModel, signed: Sequence[SignedBias]) -> Iterator[ToldBias]:
    mine = sorted((b for b in signed if b.details.monitor == one.name), key=lambda b: b.details.until)
    if not mine:
        return
    phase, environment = mine[-1].details.phase, one.monitor.environment
    moved = last_onset(mine)
    if moved is None:
        yield ToldBias(one.model, environment, phase)
        return
    first, last, over = moved
    key = f"{teller.application}/bias/{one.model}/{environment}/{first.details.id[:16]}"
    back = f"the window to {over.details.until:%Y-%m-%d}" if over else ""
    text = bias_alarm({**last.said.details}, back, run=teller.job.run_url)
    problems: list[str] = []
    pulls = (
        pull
        for found in tried(lambda: teller.brought(one.model, environment, first.details.version), problems)
        for pull in found
    )
    comments = {
        pull: how
        for pull in pulls
        for how in tried(lambda pull=pull: teller.stick(pull, key, text), problems)  # type: ignore[misc]
    }
    yield ToldBias(one.model, environment, phase, comments, "; ".join(dict.fromkeys(problems)))


def last_onset(counts: Sequence[SignedBias]) -> tuple[SignedBias, SignedBias, SignedBias | None] | None:
    """The newest time that ratios lay elsewhere: its first and last window, and the first after it in which they were
    back. A window that could not tell ends nothing."""
    first = last = over = None
    for one in counts:
        if one.details.phase is Phase.FAILED:
            first = one if first is None or over is not None else first
            last, over = one, None
        elif one.details.phase is Phase.SUCCESSFUL and first is not None and over is None:
            over = one
    return (first, last, over) if first is not None and last is not None else None
