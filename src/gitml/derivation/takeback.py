"""A candidate that failed goes, and its version is held, so that nothing brings it back by itself."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.derivation.candidate import CandidateOnMain, claimed, judged, tree_of
from gitml.derivation.claim import Claim
from gitml.errors import FailedError
from gitml.evidence.canaries import ToldEvaluation
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.registry.desired import taken_back
from gitml.spec import Deployment
from gitml.spec.deployment import VersionHold
from gitml.verdict import Phase

NAME = "take-back"
HOLDER = "gitml-bot"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT VERSION``, the cause an evaluation that failed, under whatever rules."""
    one = claimed(git, claim)
    return tree_of(git, claim, one, stopped(one, judged(one, causes)))


def stopped(one: CandidateOnMain, told: ToldEvaluation) -> Deployment:
    """Raises FailedError for an evaluation that did not fail."""
    if told.phase is not Phase.FAILED:
        raise FailedError("names an evaluation that did not fail")
    champion = told.champion.version.rpartition("-")[2]
    reason = f"it failed beside {champion}, as judged until {told.until:%Y-%m-%d %H:%M} UTC"
    return taken_back(one.state, VersionHold(version=one.pin.version, by=HOLDER, reason=reason))
