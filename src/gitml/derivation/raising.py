"""More traffic for a candidate: a shadow becomes canary, a canary gets the next of the policy's steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitml.derivation.candidate import FRESH, CandidateOnMain, claimed, judged, tree_of
from gitml.derivation.claim import Claim, moment_of
from gitml.errors import FailedError
from gitml.evidence.evaluations import ToldEvaluation
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.registry.desired import with_canary
from gitml.spec import Deployment

NAME = "raise"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT VERSION``, the cause an evaluation that says that the step is ready."""
    one, moment = claimed(git, claim), moment_of(claim)
    return tree_of(git, claim, one, raised(one, judged(one, causes), moment))


def raised(one: CandidateOnMain, told: ToldEvaluation, now: datetime) -> Deployment:
    """Raises FailedError where nothing is to be raised, or not because of this evaluation."""
    weight, state = one.next_weight, one.state
    if weight is None:
        raise FailedError(f"{one.pin.version} has the last of the policy's steps")
    if one.part == "shadow" and state.canary:
        raise FailedError(f"{state.canary.version} is the canary there")
    if told.rules != one.digest:
        raise FailedError("names an evaluation under other rules")
    if not told.may_go_on or (one.part == "canary" and (told.step.weight, told.step.next) != (one.weight, weight)):
        raise FailedError(f"its evaluation does not say that {weight:g} % is ready")
    if not told.until <= now <= told.until + FRESH:
        raise FailedError("its evaluation is not of that time")
    if one.is_held(now):
        raise FailedError(f"{one.environment} is held")
    return with_canary(state, one.pin, weight, now)
