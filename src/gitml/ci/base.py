"""What workflows are rendered from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from gitml.spec.application import Application

if TYPE_CHECKING:  # it brings all gates, and jobs need only the names of workflows
    from gitml.spec.policy import Policy


class CiJob(Protocol):
    """Stages that one runner executes; see ``gitml.pipelines.jobs``."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def packages(self) -> tuple[str, ...]: ...
    @property
    def timeout(self) -> timedelta: ...


@dataclass(frozen=True)
class CiSource:
    """One application and its place in the repository.

    ``folder`` is the folder of gitml.yaml, ``''`` at the top. ``gitml`` is what pip installs it from: ``gitml==1.2``,
    ``gitml @ URL``, or ``.`` where the repository is gitml's own. ``hashed`` says that a lock file has hashes, and pip
    then takes nothing without one beside it. ``policy`` is None where nobody has to approve anything.
    """

    application: Application
    jobs: Sequence[CiJob]
    folder: str
    gitml: str
    hashed: bool
    policy: Policy | None = None

    def in_repository(self, path: str) -> str:
        """``path``, which is relative to gitml.yaml, from the top of the repository."""
        return f"{self.folder}/{path}" if self.folder else path

    def requirement(self, extra: str = "") -> str:
        """What pip is told to install for gitml with an extra.

        >>> CiSource(None, (), "", "gitml==1.2", False).requirement("report")
        'gitml[report]==1.2'
        """
        name = "." if self.gitml == "." else "gitml"
        return f"{name}[{extra}]{self.gitml.removeprefix(name)}" if extra else self.gitml
