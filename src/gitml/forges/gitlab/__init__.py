"""GitLab, gitlab.com's and others: the members of ``gitml.forges.table.Adapter``.

It speaks GitLab's REST API 4, with what the tier Free has. What only Premium has is used where it is there.
https://docs.gitlab.com/api/rest/
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gitml.forges.gitlab.address import pull_ref, recognises, settings
from gitml.forges.gitlab.job import job, run_page
from gitml.forges.settings import Settings
from gitml.retries import Patience

if TYPE_CHECKING:
    from gitml.forges.governed import GovernedForge

__all__ = ["connect", "job", "pull_ref", "recognises", "run_page", "settings"]


def connect(
    settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = lambda _: None
) -> AbstractContextManager[GovernedForge]:
    """A connection. Raises UsageError without a token; ``note`` hears of calls that are repeated."""
    # The client of the API, and httpx: most jobs only ask which push they are about.
    from gitml.forges.gitlab import repository

    return repository.connect(settings, patience=patience, note=note)
