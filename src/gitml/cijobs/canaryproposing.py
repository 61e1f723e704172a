"""``gitml ci monitor publish``, of candidates: what follows from signed evaluations, as pull requests and comments.

One draft for each candidate would make it champion; its comment is the newest evaluation. It becomes ready when the
candidate passes. A step that is ready is proposed, and that a candidate goes which failed, or whose test expired. All
follows from main, the signed evaluations and what is open, so a run that was killed is made up for by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial

from gitml.cijobs import retrain
from gitml.cijobs.canarydue import WatchedCandidate
from gitml.cijobs.telling import Teller, tried
from gitml.control.change import OVERTAKEN, close_overtaken
from gitml.control.looks import copy_to_ledger
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, heard
from gitml.derivation.candidate import CandidateOnMain
from gitml.derivation.raising import NAME as RAISE
from gitml.derivation.raising import raised
from gitml.derivation.relief import NAME as RELIEVE
from gitml.derivation.relief import is_over, relieved
from gitml.derivation.reversion import NAME as REVERT
from gitml.derivation.reversion import reverted
from gitml.derivation.succession import NAME as CHAMPION
from gitml.derivation.succession import succeeded
from gitml.derivation.takeback import NAME as TAKE_BACK
from gitml.derivation.takeback import REPORT, broken, has_expired, reason_of, stopped
from gitml.errors import FailedError, GitmlError, InconclusiveError
from gitml.evidence.canaries import Canaries, SignedCanary
from gitml.forges.base import PullRequest
from gitml.policy.freezes import frozen, moment
from gitml.promotion.candidate import (
    KINDS,
    AgentStop,
    CandidateWish,
    OpenProposal,
    open_proposals,
    propose_candidate,
    refused_by_people,
)
from gitml.promotion.merge import MergeOrder, merge
from gitml.reports.canary import canary_report
from gitml.reports.promotion import short
from gitml.verdict import Phase

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class ToldCandidate:
    """What was done about one candidate. ``pulls``: number → opened, updated, unchanged, ready or
    merged. ``waits``: why
    something that is due was not opened. ``problem``: what could not be done."""

    model: str
    environment: str
    version: str
    phase: Phase | None
    pulls: Mapping[int, str] = field(default_factory=dict)
    comments: Mapping[int, str] = field(default_factory=dict)
    closed: tuple[int, ...] = ()
    waits: str = ""
    problem: str = ""


def tell_candidates(
    teller: Teller, watched: Sequence[WatchedCandidate], canaries: Canaries
) -> tuple[ToldCandidate, ...]:
    """Each candidate on main; one that fails does not keep the others back. Raises OutsideError where the forge does
    not say what is open."""
    models = tuple(teller.main.application().models)
    is_open = open_proposals(teller.place, teller.main, models)
    work = _Work(teller, canaries, is_open, teller.place.clock().replace(microsecond=0))
    told = [work.tell(one) for one in watched]
    return (*told, *work.gone([one.one for one in watched]))


@dataclass(frozen=True)
class _Work:
    teller: Teller
    canaries: Canaries
    open: tuple[OpenProposal, ...]
    now: datetime

    @property
    def place(self) -> Place:
        return self.teller.place

    @property
    def main(self) -> Mainline:
        return self.teller.main

    def tell(self, watched: WatchedCandidate) -> ToldCandidate:
        one, problems = watched.one, list[str]()
        failed = self.canaries.failed(one.pair)
        newest = failed or self.canaries.newest(one.pair, one.digest)
        waits: list[str] = []
        wishes = tuple(self._wishes(one, newest))
        pulls = dict(put for wish in wishes for put in tried(partial(self._put, wish, waits), problems))
        if "merged" in pulls.values():
            # Main is another one now: the next run goes on from there.
            return self._told(one, newest, pulls, waits, problems)
        comments = {n: how for n in pulls if newest for how in tried(partial(self._comment, n, newest), problems)}
        closed = tuple(n for done in tried(partial(self._close_idle, one, newest), problems) for n in done)
        return replace(self._told(one, newest, pulls, waits, problems), comments=comments, closed=closed)

    def _told(
        self,
        one: CandidateOnMain,
        newest: SignedCanary | None,
        pulls: Mapping[int, str],
        waits: Sequence[str],
        problems: Sequence[str],
    ) -> ToldCandidate:
        phase = newest.told.phase if newest else None
        said = "; ".join(dict.fromkeys(waits)), "; ".join(dict.fromkeys(problems))
        return ToldCandidate(one.model, one.environment, one.pin.version, phase, pulls, {}, (), *said)

    def _wishes(self, one: CandidateOnMain, newest: SignedCanary | None) -> Iterator[CandidateWish]:
        """A take-back alone where it failed; else the draft, and the next step where it is ready, or the end where its
        test is over. Of a guard: the way back, where the champion is worse."""
        if one.is_guard:
            if newest and newest.told.shows_that_the_champion_is_worse:
                yield CandidateWish(REVERT, one, reverted(one, newest.told, self.now), newest)
            elif newest and is_over(one, newest.told):
                yield CandidateWish(RELIEVE, one, relieved(one, newest.told), newest)
            return
        if newest and newest.told.phase is Phase.FAILED:
            yield CandidateWish(TAKE_BACK, one, stopped(one, newest.told), newest)
            return
        if stop := self._stopped_by_an_agent(one):
            yield stop
            return
        if one.is_held(self.now):
            return
        yield CandidateWish(CHAMPION, one, succeeded(one, self.now), draft=not passes(one, newest))
        if newest and has_expired(one, newest.told):
            yield CandidateWish(TAKE_BACK, one, stopped(one, newest.told), newest)
        if newest and _is_to_be_raised(one, newest, self.now):
            yield CandidateWish(RAISE, one, raised(one, newest.told, self.now), newest)

    def _stopped_by_an_agent(self, one: CandidateOnMain) -> CandidateWish | None:
        """No request tells more of a canary that agents stopped: it goes, by what the first of them signed."""
        for said in self.heard.believed if one.part == "canary" else ():
            report = said.statement
            if not said or report is None or (report.binding.kind, report.binding.version) != (REPORT, one.pin.version):
                continue
            try:
                wanted = broken(self.main.git, self.main.commit, one, report)
            except FailedError:
                continue
            return CandidateWish(TAKE_BACK, one, wanted, stop=AgentStop(said.name, reason_of(report)))
        return None

    @cached_property
    def heard(self) -> BelievedEvents:
        """What stands on the ledger."""
        return heard(self.place, self.main.policy())

    def _put(self, wish: CandidateWish, waits: list[str]) -> tuple[int, str] | None:
        if why := self._why_not(wish):
            waits.append(why)
            return None
        if wish.cause:
            copy_to_ledger(self.place, [wish.cause.said])
        done = propose_candidate(self.place, self.main, wish, self.now)
        return done.pull.number, "merged" if self._merged(wish, done.pull) else done.how

    def _merged(self, wish: CandidateWish, pull: PullRequest) -> bool:
        """Where policy lets the bot merge: as anybody may, at exactly the head whose gate is open and signed."""
        if not wish.one.rules.merge or wish.draft or pull.is_draft:
            return False
        try:
            merge(self.place, MergeOrder(pull.number, pull.head.commit, wait=20))
        except (InconclusiveError, FailedError) as exc:
            self.place.say(f"#{pull.number} is not merged: {exc.message.splitlines()[0]}")
            return False
        workflow = retrain.workflow_of(self.main.application(), self.main.git.prefix, "main")
        if not workflow:
            return True
        try:
            # What a job's token merges starts no workflow.
            self.place.forge.runs.start(workflow, self.place.branch)
        except GitmlError as exc:
            self.place.say(f"{workflow} waits for somebody to run it: {exc.message.splitlines()[0]}")
        return True

    def _is_open(self, wish: CandidateWish) -> bool:
        return any(p.pull.head.branch == wish.branch(self.main) for p in self.open)

    def _why_not(self, wish: CandidateWish) -> str:
        """Why nothing new is opened. What is open is kept up to date; a candidate that failed goes at any time."""
        if self._is_open(wish):
            return ""
        if closed := refused_by_people(self.place, wish.branch(self.main)):
            return f"#{closed.number} proposed that, and was closed"
        if wish.kind in (TAKE_BACK, REVERT, RELIEVE):
            return ""
        for freeze in frozen(self.main.policy().freezes, wish.one.environment, self.now):
            return f"frozen until {moment(freeze.until)}: {freeze.reason}"
        most, there = wish.one.rules.propose_per_week, self._lately(wish.one.model)
        return f"{there} proposals of {wish.one.model} in a week, at most {most} are allowed" if there >= most else ""

    def _lately(self, model: str) -> int:
        """Pull requests of the bot about candidates of the model in the last seven days, as the gate signed them; and
        those that are open, which it may not have seen yet."""
        found = self.heard.all("derived", result="passed")
        told = (s.details for s in found if s.binding.moment > self.now - _WEEK)
        mine = {
            (str(d.get("kind")), str(d.get("subject")), str(d.get("base")) if d.get("kind") == RAISE else "")
            for d in told
            if d.get("kind") in KINDS and str(d.get("subject")).startswith(f"{model} ")
        }
        signed = {(kind, subject) for kind, subject, _ in mine}
        fresh = [p for p in self.open if p.model == model and p.moment > self.now - _WEEK]
        waiting = [p for p in fresh if (p.kind, p.subject) not in signed]
        return len(mine) + len(waiting)

    def _comment(self, number: int, newest: SignedCanary) -> str:
        told = newest.told
        key = f"{self.teller.application}/canary/{told.model}/{told.environment}/{told.candidate.version}"
        said = newest.said.statement
        page = canary_report(newest.raw, run=said.binding.run if said else "")
        return self.teller.stick(number, key, self.teller.shown(page.text, page.pictures) + "\n")

    def _close_idle(self, one: CandidateOnMain, newest: SignedCanary | None) -> tuple[int, ...]:
        """Steps that are taken, or not to be taken any more."""
        mine = [
            p for p in self.open if (p.model, p.environment, p.version) == (one.model, one.environment, one.pin.version)
        ]
        wanted = f"-{one.next_weight:g}" if one.next_weight is not None else "-"
        why = ""
        if newest and newest.told.phase is Phase.FAILED:
            why = f"{OVERTAKEN} {short(one.pin.version)} failed beside the champion."
        elif passes(one, newest):
            why = f"{OVERTAKEN} {short(one.pin.version)} passed: it may become champion."
        elif newest and has_expired(one, newest.told):
            why = f"{OVERTAKEN} The test of {short(one.pin.version)} expired undecided."
        idle = [p for p in mine if p.kind == RAISE and (why or not p.pull.head.branch.endswith(wanted))]
        said = why or f"{OVERTAKEN} {one.weight:g} % is what it has."
        return close_overtaken(self.place, {p.pull.number: p.pull for p in idle}, said)

    def gone(self, there: Sequence[CandidateOnMain]) -> Iterator[ToldCandidate]:
        """Proposals of candidates that main has no more, or not as candidates."""
        known = {(one.model, one.environment, one.pin.version) for one in there}
        for p in self.open:
            if (p.model, p.environment, p.version) in known:
                continue
            problems: list[str] = []
            why = f"{OVERTAKEN} {short(p.version)} is no candidate in {p.environment} any more."
            call = partial(close_overtaken, self.place, {p.pull.number: p.pull}, why)
            closed = tuple(n for done in tried(call, problems) for n in done)
            yield ToldCandidate(p.model, p.environment, p.version, None, closed=closed, problem="; ".join(problems))


def passes(one: CandidateOnMain, newest: SignedCanary | None) -> bool:
    """Whether it may become champion: a pass in a mode that policy lets decide."""
    return newest is not None and newest.told.phase is Phase.SUCCESSFUL and newest.told.mode in one.rules.modes


def _is_to_be_raised(one: CandidateOnMain, newest: SignedCanary, now: datetime) -> bool:
    told = newest.told
    if passes(one, newest) or one.next_weight is None or not told.may_go_on:
        return False
    if one.part == "shadow":
        return one.state.canary is None
    return (told.step.weight, told.step.next) == (one.weight, one.next_weight)
