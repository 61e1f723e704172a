"""The kinds of proposals that the bot makes by itself, one file each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from gitml.derivation import promotion, raising, relief, retrain, reversion, succession, takeback
from gitml.derivation.claim import Claim
from gitml.evidence.statement import Statement
from gitml.git.commands import Git


class ProposalKind(Protocol):
    """A module of this room. ``NAME`` stands in the commit."""

    NAME: str

    def derive(self, git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
        """The tree that follows, and nothing else: no clock, no forge, no work tree.

        ``causes`` are the believed statements that the claim names, in its order. Raises GitmlError where nothing
        follows from them.
        """
        ...


PROPOSALS: Mapping[str, ProposalKind] = {
    promotion.NAME: promotion,
    retrain.NAME: retrain,
    raising.NAME: raising,
    succession.NAME: succession,
    takeback.NAME: takeback,
    reversion.NAME: reversion,
    relief.NAME: relief,
}
