"""Places where tests kill the process, to prove that nothing acknowledged is lost there."""

from __future__ import annotations

import os
import signal

# git: pushes and changes from inside. The REST parts add theirs here.
NAMES = (
    "push-spooled",
    "push-before-journal",
    "push-journaled",
    "push-hook-answered",
    "push-received",
    "push-before-commit",
    "push-committed",
    "push-before-answer",
    "update-before-journal",
    "update-journaled",
    "update-refs-moved",
    "update-before-commit",
    "update-committed",
)


def failpoint(name: str) -> None:
    """Die here, as if by kill -9, when GITML_FAILPOINT says so. Raises KeyError on a name not listed."""
    if name not in NAMES:
        raise KeyError(name)
    if os.environ.get("GITML_FAILPOINT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
