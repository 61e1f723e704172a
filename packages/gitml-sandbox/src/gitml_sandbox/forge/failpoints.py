"""Places where tests kill the process, to prove that nothing acknowledged is lost there."""

from __future__ import annotations

import os
import signal

# In the order in which a push, a change from inside, the record of both, and a new repository pass them.
NAMES = (
    "push-spooled",
    "push-before-journal",
    "push-journaled",
    "push-refused",
    "push-hook-answered",
    "push-received",
    "push-recorded",
    "push-before-answer",
    "update-before-journal",
    "update-journaled",
    "update-refs-moved",
    "update-recorded",
    "settle-before-record",
    "settle-before-commit",
    "settle-recorded",
    "repo-before-commit",
    "repo-created",
    "repo-rows-deleted",
    "merge-before-delete",
    "rest-before-commit",
    "rest-committed",
)


def failpoint(name: str) -> None:
    """Die here, as if by kill -9, when GITML_FAILPOINT says so. Raises KeyError on a name not listed."""
    if name not in NAMES:
        raise KeyError(name)
    if os.environ.get("GITML_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
