"""The sandbox put together: the state folder with everything that follows a moved ref."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gitml_sandbox.forge import context, pull_follow
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.git import receive, refs


def open_forge(root: Path, *, base_url: str, clock: Callable[[], datetime] = context.utc_now) -> Sandbox:
    """Open the state folder for work on refs. Use this rather than ``context.open_sandbox``."""
    return context.open_sandbox(root, base_url=base_url, clock=clock, followers=(pull_follow.follow,))


def recover(sandbox: Sandbox) -> int:
    """After any end of the process before: wait for backends that outlived it, then make Git and database agree.

    Returns how many refs had moved without being recorded. Raises LockedError when an old backend does not end.
    """
    with receive.receiving(sandbox, exclusive=True):
        receive.ensure_hook(sandbox)
        return refs.settle_all(sandbox)
