"""Changes of what serves, that may move a KPI: introductions of a version, canaries, rollbacks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gitml.jsontext import picked

ChangeKind = Literal["promotion", "rollback", "canary"]


@dataclass(frozen=True)
class ServedChange:
    """``moment``: when an agent said that it serves so, else when main was changed. ``version``: what came, with the
    one that answered ``before``, '' for none. ``commit`` of main brought it, by the pull request ``pull``."""

    moment: datetime
    model: str
    environment: str
    kind: ChangeKind
    version: str
    before: str
    commit: str
    pull: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} of {self.model}@{self.version.rpartition('-')[2]} on {self.moment:%Y-%m-%d}"

    def to_dict(self) -> dict[str, Any]:
        names = ("moment", "model", "environment", "kind", "version", "before", "commit", "pull")
        return picked(self, *names)
