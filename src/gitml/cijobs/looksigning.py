"""``gitml ci monitor sign``: what was looked at is signed, with a key for that alone, where no model is loaded.

What the job before handed over is a stranger's until it fits main: the version that main had there, a window of the
schedule, the looks that were signed before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gitml.cijobs.handover import place_of
from gitml.cijobs.lookdue import MonitorOnMain, due_windows, monitors_before, monitors_of, needed_looks
from gitml.cijobs.lookfile import read_looks
from gitml.control.looks import heard_looks, sign_looks
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import Signer, bound, rules_of
from gitml.errors import IntegrityError, UsageError
from gitml.evidence.keys import SigningKey
from gitml.evidence.looks import KIND, RESULTS, LookDetails, most_spent, spent_after
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY
from gitml.verdict import Verdict, worst

Handed = TypeVar("Handed", contravariant=True)
_EARLIER = timedelta(days=7)


@dataclass(frozen=True)
class SignOrder:
    """``key`` signs; without one it is only said what would be signed. ``run`` and ``commit`` are of this job."""

    key: SigningKey | None
    run: str = ""
    commit: str = ""


@dataclass(frozen=True)
class SignedLooks:
    """``events`` are names; ``passed_over`` says of each look that was not signed why."""

    events: tuple[str, ...] = ()
    due: int = 0
    passed_over: tuple[str, ...] = ()


def together(one: SignedLooks, other: SignedLooks) -> SignedLooks:
    """What both did."""
    passed = (*one.passed_over, *other.passed_over)
    return SignedLooks((*one.events, *other.events), one.due + other.due, passed)


def from_main(place: Place, commit: str, newest: Mainline) -> Mainline:
    """Main as it was at the commit of the hand-over. Raises IntegrityError for a commit that main does not have."""
    if place.git.text("merge-base", commit, newest.commit).strip() != commit:
        raise IntegrityError(f"{commit[:12]} is not on the default branch", "traffic is judged from main alone")
    return Mainline(place.git, commit)


def signed(
    place: Place, newest: Mainline, order: SignOrder, statements: Sequence[Statement], passed: Sequence[str]
) -> SignedLooks:
    """Sign ``statements``; without a key only say how many would be. ``passed``: why others were passed over."""
    if order.key is None or not statements:
        return SignedLooks((), len(statements), tuple(passed))
    try:
        events = sign_looks(Signer(place, newest.policy(), order.key), statements)
    except ValueError as exc:
        raise UsageError(f"what was seen cannot be a statement: {exc}") from exc
    return SignedLooks(events, len(statements), tuple(passed))


@dataclass(frozen=True)
class SigningWork:
    """``newest``: main as it is now, whose policy.yaml says what a key may sign; ``main``: as the job before
    read it."""

    place: Place
    order: SignOrder
    newest: Mainline
    main: Mainline


class _Runs(Protocol[Handed]):
    def run(self, handed: tuple[Handed, ...], /) -> SignedLooks: ...


def sign_handed(
    place: Place,
    order: SignOrder,
    read: Callable[[Path, str, str], tuple[Handed, ...]],
    work: Callable[[Place, SignOrder, Mainline, Mainline], _Runs[Handed]],
) -> SignedLooks:
    """Let ``work`` sign what the job before handed over, if it handed over anything."""
    newest = place.newest(whole=True)
    commit = order.commit or newest.commit
    handed = read(place_of(place.root), order.run, commit)
    if not handed:
        return SignedLooks()
    return work(place, order, newest, from_main(place, commit, newest)).run(handed)


def sign(place: Place, order: SignOrder) -> SignedLooks:
    """Sign what the job before looked at, if nobody did meanwhile; called twice it signs nothing twice.

    Raises SpecError and IntegrityError for a hand-over that does not fit main, UsageError for a key that policy.yaml
    does not name.
    """
    return sign_handed(place, order, read_looks, _Work)


class _Work(SigningWork):
    def run(self, handed: tuple[tuple[Mapping[str, Any], LookDetails], ...]) -> SignedLooks:
        policy, now = self.newest.policy(), self.place.clock()
        # The job before was a little earlier; but a moment that it made up leads to no other century.
        watched = self._watched(max(now - _EARLIER, min(details.look.at for _, details in handed)))
        rules = rules_of(self.place, policy)
        looks = needed_looks(lambda since: heard_looks(self.place, rules, since), watched, now)
        seen = {one.name: [look.details for look in looks.of(*one.name)] for one in watched}
        statements, passed = [], []
        for raw, details in handed:
            terms = self._fits(watched, details)
            one = terms[0]
            if details.look.at > now + LEEWAY:
                raise IntegrityError(f"{_said(details)} was looked at in the future", "set the clocks of the runners")
            span = (details.look.since, details.look.until)
            if not any(span in due_windows(term, looks, now) for term in terms):
                passed.append(f"{_said(details)} is signed already, or was not due")
                continue
            spent = spent_after(
                most_spent(seen[one.name], details.look.until.year), details.look.until, one.spec.looks_a_year
            )
            if details.spent != spent:
                passed.append(f"{_said(details)} was looked at before others were signed: the next run looks again")
                continue
            seen[one.name].append(details)
            statements.append(self._statement(raw, details))
        return signed(self.place, self.newest, self.order, statements, passed)

    def _watched(self, at: datetime) -> tuple[MonitorOnMain, ...]:
        app = self.main.application()
        return (*monitors_of(self.main, app), *monitors_before(self.main, app, at))

    def _fits(self, watched: Sequence[MonitorOnMain], details: LookDetails) -> list[MonitorOnMain]:
        """The times in which main had the version there."""
        look = details.look
        terms = [one for one in watched if (*one.name, one.version) == (look.model, look.environment, look.version)]
        if not terms:
            raise IntegrityError(f"{_said(details)} is of a version that main does not have there")
        one = terms[0]
        if one.spec.last_window(look.until) != (look.since, look.until):
            raise IntegrityError(f"{_said(details)} is of no window of the schedule")
        phases = [Verdict(verdict.phase, "") for verdict in look.verdicts.values()]
        if set(look.verdicts) != set(one.spec.watch) or look.phase != worst(phases):
            raise IntegrityError(f"{_said(details)} has other verdicts than are watched")
        return terms

    def _statement(self, raw: Mapping[str, Any], details: LookDetails) -> Statement:
        look = details.look
        record = self.main.original_record(look.model, look.version)
        about = bound(
            self.place, KIND, self.order.run, model=look.model, environment=look.environment, version=look.version,
            artifact=record.files[record.artifact].sha256, head=self.main.commit, result=RESULTS[look.phase],
        )  # fmt: skip
        return Statement(about, raw)


def _said(details: LookDetails) -> str:
    look = details.look
    return f"the look at {look.model} in {look.environment} until {look.until:%Y-%m-%d %H:%M} UTC"
