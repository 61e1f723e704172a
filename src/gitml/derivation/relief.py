"""The old champion, which stayed as shadow, goes: its time as a guard is over, and the new one was not worse."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.derivation.candidate import CandidateOnMain, claimed, judged, tree_of
from gitml.derivation.claim import Claim
from gitml.errors import FailedError
from gitml.evidence.evaluations import ToldEvaluation
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.registry.desired import without_shadow
from gitml.spec import Deployment

NAME = "relieve"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT VERSION`` of the old champion, the cause its last evaluation as shadow."""
    one = claimed(git, claim, guard=True)
    return tree_of(git, claim, one, relieved(one, judged(one, causes)))


def is_over(one: CandidateOnMain, told: ToldEvaluation) -> bool:
    """Whether it guarded for as long as the rules say, counted from when main first had both under these rules."""
    guard = one.rules.guard
    return guard is not None and told.rules == one.digest and told.at >= told.since + guard


def relieved(one: CandidateOnMain, told: ToldEvaluation) -> Deployment:
    """Raises FailedError while it guards, and where the evaluation says that the champion is worse."""
    if not is_over(one, told):
        raise FailedError("its evaluation is not of the end of its time as a guard")
    if told.shows_that_the_champion_is_worse:
        raise FailedError("its evaluation says that the champion is worse")
    return without_shadow(one.state, one.pin)
