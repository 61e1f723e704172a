"""The commit that asks for a training: it has main's own tree, whatever the branch had before."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.derivation.claim import Claim
from gitml.errors import OutsideError
from gitml.evidence.statement import Statement
from gitml.git.commands import Git

NAME = "retrain"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    tree = git.repository.tree_of(claim.base)
    if tree is None:
        raise OutsideError(f"the clone lacks the commit {claim.base}", "git fetch origin")
    return tree
