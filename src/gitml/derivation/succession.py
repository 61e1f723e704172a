"""A candidate becomes champion. It may be proposed at any time: its gate ``canary`` is shut until it passes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gitml.derivation.candidate import CandidateOnMain, claimed, plain_pin, tree_of
from gitml.derivation.claim import Claim, moment_of
from gitml.errors import FailedError
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.registry.desired import with_champion, with_shadow, without_shadow
from gitml.spec import Deployment

NAME = "champion"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT VERSION``; it names no cause."""
    if causes:
        raise FailedError("names a cause, and needs none")
    one = claimed(git, claim)
    return tree_of(git, claim, one, succeeded(one, moment_of(claim)))


def succeeded(one: CandidateOnMain, now: datetime) -> Deployment:
    """With a guard the old champion stays as shadow, and one that guarded it before goes. Raises FailedError while the
    environment is held."""
    if one.is_held(now):
        raise FailedError(f"{one.environment} is held")
    new = with_champion(one.state, one.pin, now)
    for guard in (pin for pin in one.state.shadow if pin.version < one.state.champion.version):
        new = without_shadow(new, guard)
    return with_shadow(new, plain_pin(one.state.champion), now) if one.rules.guard else new
