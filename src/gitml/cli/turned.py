"""Where a call would sign and commit, for a clock that somebody turned."""

from __future__ import annotations

import os
from pathlib import Path

from gitml.clock import refuse_beyond_loopback
from gitml.errors import UsageError
from gitml.forges.table import settings_from
from gitml.process import run


def refuse_turned(directory: str) -> None:
    """Raises UsageError unless each remote of the clone and the forge that the environment names are on loopback."""
    refuse_beyond_loopback(*_forge(), *_remotes(Path(directory)))


def _remotes(folder: Path) -> tuple[str, ...]:
    """Where each remote is fetched from and pushed to, after what the user's configuration rewrites."""
    if not folder.is_dir():
        return ()
    said = run(["git", "remote", "--verbose"], cwd=folder, check=False).stdout.decode(errors="replace")
    return tuple(line.partition("\t")[2].rpartition(" (")[0] for line in said.splitlines())


def _forge() -> tuple[str, ...]:
    try:
        settings = settings_from(os.environ)
    except UsageError:  # the remote names it
        return tuple(filter(None, (os.environ.get(name) for name in ("GITHUB_API_URL", "GITHUB_SERVER_URL"))))
    return settings.api, settings.web
