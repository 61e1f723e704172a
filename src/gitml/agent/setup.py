"""All that an agent is told before its first round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gitml.agent import attempt as tries
from gitml.agent.news import Reporter
from gitml.agent.shop import Front
from gitml.agent.source import Mirror
from gitml.clock import now
from gitml.models.quarantine import Quarantine


@dataclass(frozen=True)
class Setup:
    """All that an agent is told.

    ``only``: fingerprints of keys that count; none: those of policy.yaml. ``remotes``: where artifacts lie, by names of
    this machine's DVC configuration or URLs; none: where main says.
    """

    environment: str
    repository: str
    mirror: Mirror
    folder: Path
    front: Front
    reporter: Reporter
    quarantine: Quarantine
    only: frozenset[str] = frozenset()
    remotes: tuple[str, ...] = ()
    observe: bool = False
    backoff: tries.Backoff = field(default_factory=tries.Backoff)
    note: Callable[[str], None] = lambda _: None
    clock: Callable[[], datetime] = now
    host: str = ""
