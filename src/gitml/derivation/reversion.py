"""Back to the old champion, which stayed as shadow: the new one was shown to be worse by more than the margin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitml.derivation.candidate import FRESH, CandidateOnMain, claimed, judged, tree_of
from gitml.derivation.claim import Claim, moment_of
from gitml.derivation.takeback import HOLDER
from gitml.errors import FailedError
from gitml.evidence.evaluations import ToldEvaluation
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.registry.desired import rolled_back
from gitml.spec import Deployment
from gitml.spec.deployment import Hold

NAME = "revert"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT VERSION`` of the old champion, the cause an evaluation of it as shadow."""
    one = claimed(git, claim, guard=True)
    return tree_of(git, claim, one, reverted(one, judged(one, causes), moment_of(claim)))


def reverted(one: CandidateOnMain, told: ToldEvaluation, now: datetime) -> Deployment:
    """A rollback, with its hold. Raises FailedError where the evaluation does not say that the champion is worse."""
    if told.rules != one.digest or not told.shows_that_the_champion_is_worse:
        raise FailedError("its evaluation does not say that the champion is worse by more than the margin")
    if not told.until <= now <= told.until + FRESH:
        raise FailedError("its evaluation is not of that time")
    champion = told.champion.version.rpartition("-")[2]
    reason = f"{champion} is worse than the version before it, as judged until {told.until:%Y-%m-%d %H:%M} UTC"
    return rolled_back(one.state, one.pin, Hold(by=HOLDER, reason=reason))
