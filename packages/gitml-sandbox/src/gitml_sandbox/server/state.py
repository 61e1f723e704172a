"""The sandbox put together: the state folder with its tables and everything that follows a moved ref."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gitml_sandbox.actions import tables as actions_tables
from gitml_sandbox.changes import pull_follow, refs
from gitml_sandbox.clock import utc_now
from gitml_sandbox.forge import (
    checks,
    comments,
    context,
    deployments,
    emails,
    environments,
    events,
    issues,
    protections,
    pulls,
    repos,
    reviews,
    secrets,
    statuses,
    tokens,
    users,
)
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.githttp import receive
from gitml_sandbox.web import sessions

# Every module that owns tables, in the order of their foreign keys.
_TABLES = (
    *(users, emails, repos, tokens, protections, refs, events, issues, pulls, reviews, comments, statuses, checks),
    *(deployments, environments, secrets, actions_tables, sessions),
)


def schema() -> str:
    """The DDL of all tables."""
    return "\n".join(module.SCHEMA for module in _TABLES)


def open_forge(root: Path, *, base_url: str, clock: Callable[[], datetime] = utc_now) -> Sandbox:
    """Open the state folder, with everything that follows a moved ref."""
    return context.open_sandbox(root, ddl=schema(), base_url=base_url, clock=clock, followers=(pull_follow.follow,))


def recover(sandbox: Sandbox) -> int:
    """After any end of the process before: wait for backends that outlived it, then make Git and database agree.

    Returns how many refs had moved without being recorded. Raises LockedError when an old backend does not end.
    """
    with receive.receiving(sandbox, exclusive=True):
        receive.ensure_hook(sandbox)
        return refs.settle_all(sandbox)
