"""``gitml ci replay publish``: what a replay says stands on the pull request that proposes the version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from gitml.cijobs.replaydue import ProposedVersion, needed_since, replayable
from gitml.cijobs.telling import Teller, tried
from gitml.control.looks import heard_canaries
from gitml.control.place import Place
from gitml.control.signing import rules_of
from gitml.evidence.canaries import Canaries, SignedCanary
from gitml.forges.base import PullRequest
from gitml.forges.job import ForgeJob
from gitml.promotion.promote import open_promotions
from gitml.reports.canary import canary_report
from gitml.verdict import Phase


@dataclass(frozen=True)
class ToldReplay:
    """``comments``: pull request → posted, updated, unchanged or superseded. ``problem``: what could not be posted."""

    model: str
    environment: str
    version: str
    phase: Phase
    comments: Mapping[int, str] = field(default_factory=dict)
    problem: str = ""


def publish_replays(place: Place, job: ForgeJob, env: Mapping[str, str]) -> tuple[ToldReplay, ...]:
    """Keep one comment for each proposed version up to date. Raises OutsideError when looks cannot be read."""
    main = place.newest(whole=True)
    policy, app = main.policy(), main.application()
    known = replayable(main, app, policy)
    canaries = heard_canaries(place, rules_of(place, policy), needed_since(known)) if known else Canaries()
    work = _Work(Teller(place, main, job, env), canaries)
    return tuple(told for one in known for told in work.told(one))


@dataclass(frozen=True)
class _Work:
    teller: Teller
    canaries: Canaries

    def told(self, proposed: ProposedVersion) -> Iterator[ToldReplay]:
        one, problems = proposed.one, list[str]()
        newest = next((c for c in reversed(self.canaries.of(one.pair)) if c.told.mode == "replay"), None)
        if newest is None:
            return
        comments = {
            pull.number: how
            for pull in self._proposing(proposed)
            for how in tried(partial(self._comment, pull.number, newest), problems)
        }
        if comments or problems:
            phase = newest.told.phase
            yield ToldReplay(one.model, one.environment, one.pin.version, phase, comments, "; ".join(problems))

    def _proposing(self, proposed: ProposedVersion) -> Iterator[PullRequest]:
        one = proposed.one
        for pull in open_promotions(self.teller.place, self.teller.main, one.model, one.environment):
            if pull.head.branch in proposed.branches:
                yield pull

    def _comment(self, number: int, newest: SignedCanary) -> str:
        told, said = newest.told, newest.said.statement
        key = f"{self.teller.application}/replay/{told.model}/{told.environment}/{told.candidate.version}"
        page = canary_report(newest.raw, run=said.binding.run if said else "")
        return self.teller.stick(number, key, self.teller.shown(page.text, page.pictures) + "\n")
