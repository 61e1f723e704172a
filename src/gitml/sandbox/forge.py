"""The sandbox put together: the state folder with everything that follows a moved ref."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gitml.sandbox import context, receive, refs
from gitml.sandbox.context import Sandbox


def open_forge(root: Path, *, base_url: str, clock: Callable[[], datetime] = context.utc_now) -> Sandbox:
    """Open the state folder for work on refs. Use this rather than ``context.open_sandbox``."""
    return context.open_sandbox(root, base_url=base_url, clock=clock, followers=_followers())


def recover(sandbox: Sandbox) -> int:
    """After any end of the process before: wait for backends that outlived it, then make Git and database agree.

    Returns how many refs had moved without being recorded. Raises LockedError when an old backend does not end.
    """
    with receive.receiving(sandbox, exclusive=True):
        receive.write_hook(sandbox)
        return refs.settle_all(sandbox)


def _followers() -> tuple[Callable[..., None], ...]:
    if importlib.util.find_spec("gitml.sandbox.pulls") is None:
        return ()
    pulls = importlib.import_module("gitml.sandbox.pulls")
    return (pulls.head_moved,) if hasattr(pulls, "head_moved") else ()
