"""A proposal of the bot: made by deriving its tree, and believed by deriving it once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitml.derivation.claim import Claim
from gitml.derivation.table import PROPOSALS, ProposalKind
from gitml.errors import GitmlError
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_tree
from gitml.git.merges import parents


def commit_of(
    git: Git,
    claim: Claim,
    causes: Sequence[Statement],
    words: str,
    who: Who,
    *,
    onto: str | None = None,
    kinds: Mapping[str, ProposalKind] = PROPOSALS,
) -> str:
    """The commit of a proposal, on no branch yet. ``onto``: the head of a branch that it moves on."""
    tree = kinds[claim.kind].derive(git, claim, causes)
    message = "\n".join([words.strip(), "", *claim.trailers(), ""])
    return commit_tree(git, tree, [*([onto] if onto else []), claim.base], message, who)


def why_not(
    git: Git,
    commit: str,
    claim: Claim,
    causes: Mapping[str, Statement],
    main: str,
    kinds: Mapping[str, ProposalKind] = PROPOSALS,
) -> str:
    """Why ``commit`` is not what follows from its claim, or "". ``causes`` are believed statements by their names.

    ``main`` is a commit of main. The base must be of main's own line, the last parent of the commit and not in the
    history of another one: a base that main has gone past takes back what came since.
    """
    if claim.kind not in kinds:
        return f"claims to be a {claim.kind!r}, which this gitml does not derive"
    if lacking := [name for name in claim.causes if name not in causes]:
        return f"names {lacking[0]} as its cause, which is not on the ledger, or is not believed"
    if wrong := _wrong_base(git, commit, claim.base, main):
        return wrong
    try:
        tree = kinds[claim.kind].derive(git, claim, [causes[name] for name in claim.causes])
    except GitmlError as exc:
        return f"claims to be a {claim.kind}, which does not follow: {exc.message.splitlines()[0]}"
    if tree != git.repository.tree_of(commit):
        return f"is not what follows from its claim: {claim.kind} of {claim.base[:12]} gives other files"
    return ""


def has_main_s_tree(git: Git, commit: str, main: str) -> bool:
    """Whether a merge leaves nothing but main as it was then: nothing is left of what its branch had before."""
    above = parents(git, commit)
    if len(above) != 2 or _wrong_base(git, commit, above[-1], main):
        return False
    return git.repository.tree_of(commit) == git.repository.tree_of(above[-1])


def _wrong_base(git: Git, commit: str, base: str, main: str) -> str:
    above = parents(git, commit)
    if not above or len(above) > 2 or above[-1] != base:
        return f"names {base[:12]} as its base, which is not the last of its parents"
    if base not in git.text("rev-list", "--first-parent", main).split():
        return f"names {base[:12]} as its base, which is not a commit of the default branch"
    if any(git.is_ancestor(base, other) for other in above[:-1]):
        return f"has {base[:12]} as its base, which its branch had gone past"
    return ""
