"""Whose sites are asked for, what each may show, and where each goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitml.errors import UsageError
from gitml.spec import load_policy
from gitml.spec.policy import POLICY
from gitml.spec.validate import nearest
from gitml.spec.views import SiteView


def view_of(root: Path, role: str) -> SiteView:
    """What the role sees; everything where policy.yaml says nothing of it, or no role is meant.

    Raises UsageError for a role that policy.yaml does not have: nobody would notice a slip in its name.
    """
    if not role:
        return SiteView()
    if not (root / POLICY).is_file():
        raise UsageError(f"there is no {POLICY}, so there is no role {role}", "leave --role out to show everything")
    policy = load_policy(root)
    if role not in policy.roles:
        hint = nearest(role, policy.roles) or f"roles: {', '.join(policy.roles) or 'none'}"
        raise UsageError(f"policy.yaml has no role {role}", hint)
    return policy.views.get(role, SiteView())


def orders(root: Path, roles: Sequence[str], out: Path) -> list[tuple[str, SiteView, Path]]:
    """One site goes to ``out`` itself, each of several to a folder there that is called like its role."""
    asked = list(dict.fromkeys(roles)) or [""]
    return [(role, view_of(root, role), out / role if len(asked) > 1 else out) for role in asked]
