"""``gitml ci replay sign``: what jobs replayed is signed where no traffic is read and no model loaded.

What they handed over is a stranger's until it fits main: a version that main has, beside the champion that main has
there, by main's rules, from the time on that is replayed, at a moment of the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitml.cijobs.canarydue import slot
from gitml.cijobs.lookfile import read_replays
from gitml.cijobs.looksigning import SignedLooks, SigningWork, SignOrder, sign_handed, signed
from gitml.cijobs.replaydue import ProposedVersion, due_replay, needed_since, replayable
from gitml.control.looks import heard_canaries
from gitml.control.place import Place
from gitml.control.signing import bound, rules_of
from gitml.errors import IntegrityError
from gitml.evidence.canaries import KIND, CanaryDetails
from gitml.evidence.evaluations import Pair, ToldEvaluation
from gitml.evidence.looks import RESULTS
from gitml.evidence.statement import Statement
from gitml.evidence.trust import LEEWAY


def sign_replays(place: Place, order: SignOrder) -> SignedLooks:
    """Sign what was replayed, if nobody did meanwhile; called twice it signs nothing twice.

    Raises SpecError and IntegrityError for a hand-over that does not fit main, UsageError for a key that policy.yaml
    does not name for it.
    """
    return sign_handed(place, order, read_replays, _Work)


class _Work(SigningWork):
    def run(self, handed: tuple[tuple[Mapping[str, Any], CanaryDetails], ...]) -> SignedLooks:
        known = {one.one.pair: one for one in replayable(self.main, self.main.application(), self.main.policy())}
        mine = [known[d.evaluation.pair] for _, d in handed if d.evaluation.pair in known]
        policy = self.newest.policy()
        canaries = heard_canaries(self.place, rules_of(self.place, policy), needed_since(mine))
        statements, passed, seen = [], [], set[Pair]()
        for raw, details in handed:
            told = details.evaluation
            one = self._fits(known, told)
            if told.pair in seen or due_replay(one, canaries, told.at) != told.at:
                passed.append(f"{_said(told)} is signed already, or was not due")
                continue
            seen.add(told.pair)
            statements.append(self._statement(raw, told))
        return signed(self.place, self.newest, self.order, statements, passed)

    def _fits(self, known: Mapping[Pair, ProposedVersion], told: ToldEvaluation) -> ProposedVersion:
        one = known.get(told.pair)
        if told.mode != "replay" or one is None:
            raise IntegrityError(f"{_said(told)} is no replay of a version and champion that main has there")
        if told.at > self.place.clock() + LEEWAY:
            raise IntegrityError(f"{_said(told)} is of the future", "set the clocks of the runners")
        if told.rules != one.one.digest:
            raise IntegrityError(f"{_said(told)} was judged by other rules than main has")
        if told.since < one.since or slot(one.one.rules.every, told.at) != told.at:
            raise IntegrityError(f"{_said(told)} is of another time than is replayed")
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
    return f"the replay of {told.model}@{short} in {told.environment} at {told.at:%Y-%m-%d %H:%M} UTC"
