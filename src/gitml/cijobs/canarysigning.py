"""``gitml ci monitor sign``, of candidates: what was judged is signed where no traffic is read and no model loaded.

What the job before handed over is a stranger's until it fits main: the candidate and the champion that main has there,
the rules of its test, its weight, a moment of the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitml.cijobs.canarydue import WatchedCandidate, candidates_of, due_moment, needed_since, slot
from gitml.cijobs.lookfile import read_evaluations
from gitml.cijobs.looksigning import SignedLooks, SigningWork, SignOrder, sign_handed, signed
from gitml.control.looks import heard_canaries
from gitml.control.place import Place
from gitml.control.signing import bound, rules_of
from gitml.errors import IntegrityError
from gitml.evidence.canaries import KIND, CanaryDetails
from gitml.evidence.evaluations import Pair, ToldEvaluation
from gitml.evidence.looks import RESULTS
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY


def sign_evaluations(place: Place, order: SignOrder) -> SignedLooks:
    """Sign what the job before judged, if nobody did meanwhile; called twice it signs nothing twice.

    Raises SpecError and IntegrityError for a hand-over that does not fit main, UsageError for a key that policy.yaml
    does not name for it.
    """
    return sign_handed(place, order, read_evaluations, _Work)


class _Work(SigningWork):
    def run(self, handed: tuple[tuple[Mapping[str, Any], CanaryDetails], ...]) -> SignedLooks:
        policy, now = self.newest.policy(), self.place.clock()
        watched = candidates_of(self.main, self.main.application(), self.main.policy())
        canaries = heard_canaries(self.place, rules_of(self.place, policy), needed_since(watched))
        by_pair = {one.one.pair: one for one in watched}
        statements, passed = [], []
        seen: set[Pair] = set()
        for raw, details in handed:
            told = details.evaluation
            if told.at > now + LEEWAY:
                raise IntegrityError(f"{_said(told)} is of the future", "set the clocks of the runners")
            one = self._fits(by_pair, told)
            if due_moment(one, canaries, told.at) != told.at or told.pair in seen:
                passed.append(f"{_said(told)} is signed already, or was not due")
                continue
            seen.add(told.pair)
            statements.append(self._statement(raw, told))
        return signed(self.place, self.newest, self.order, statements, passed)

    def _fits(self, watched: Mapping[Pair, WatchedCandidate], told: ToldEvaluation) -> WatchedCandidate:
        one = watched.get(told.pair)
        if one is None:
            raise IntegrityError(f"{_said(told)} is of a candidate or champion that main does not have there")
        if told.rules != one.one.digest:
            raise IntegrityError(f"{_said(told)} was judged by other rules than main has")
        if told.mode not in one.modes or told.step.weight != one.one.weight:
            raise IntegrityError(f"{_said(told)} is of another part or weight than main gives it")
        if slot(one.one.rules.every, told.at) != told.at:
            raise IntegrityError(f"{_said(told)} is of no moment of the schedule")
        if told.since < one.since:
            raise IntegrityError(f"{_said(told)} counts what was before both were there under these rules")
        return one

    def _statement(self, raw: Mapping[str, Any], told: ToldEvaluation) -> Statement:
        arm = told.candidate
        about = bound(
            self.place, KIND, self.order.run, model=told.model, environment=told.environment, version=arm.version,
            artifact=arm.artifact, head=self.main.commit, result=RESULTS[told.phase],
        )  # fmt: skip
        return Statement(about, raw)


def _said(told: ToldEvaluation) -> str:
    short = told.candidate.version.rpartition("-")[2]
    return f"the evaluation of {told.model}@{short} in {told.environment} at {told.at:%Y-%m-%d %H:%M} UTC"
