"""``gitml ci monitor publish``, of changes: what KPIs did stands on the pull request that brought the change.

One comment for each change, from the statement of the most days; a new one is an edit, because nothing is urgent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitml.cijobs.telling import Teller, tried
from gitml.evidence.impacts import SignedImpact, ToldChange
from gitml.reports.impact import impact_report
from gitml.verdict import Phase


@dataclass(frozen=True)
class ToldBusiness:
    """``comments``: pull request → posted, updated, unchanged or superseded. ``problem``: why it was not posted."""

    change: ToldChange
    days: int
    phase: Phase
    comments: dict[int, str]
    problem: str = ""


def tell_impacts(teller: Teller, signed: Sequence[SignedImpact]) -> tuple[ToldBusiness, ...]:
    """What fails for one keeps no other back."""
    newest = {one.change.name: one for one in signed}  # they stand in the order of their days
    return tuple(_told(teller, one) for one in newest.values())


def _told(teller: Teller, one: SignedImpact) -> ToldBusiness:
    change, problems = one.change, list[str]()
    key = f"{teller.application}/impact/{change.model}/{change.environment}/{change.commit[:12]}"
    page = impact_report(one.told, run=teller.job.run_url)
    text = teller.shown(page.text, page.pictures)
    comments = {
        pull: how
        for pull in _pulls(teller, change, problems)
        for how in tried(lambda pull=pull: teller.stick(pull, key, text), problems)  # type: ignore[misc]
    }
    return ToldBusiness(change, one.details.days, one.details.phase, comments, "; ".join(dict.fromkeys(problems)))


def _pulls(teller: Teller, change: ToldChange, problems: list[str]) -> Iterator[int]:
    """The one that the ledger names, if the forge says that it brought the commit: a statement is no way to others."""
    place = teller.place
    for pulls in tried(lambda: place.forge.pulls.of_commit(change.commit), problems):
        brought = [p.number for p in pulls if p.is_merged and p.base.branch == place.branch]
        yield from ([change.pull] if change.pull in brought else brought[:1])
        if not brought:
            place.say(f"no pull request brought {change.model} to {change.environment} by {change.commit[:12]}")
