"""What became of a stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gitml.dvc.lockentries import Entry


class How(StrEnum):
    UP_TO_DATE = "up to date"
    RESTORED = "restored"
    RAN = "ran"
    NOT_FETCHED = "not fetched"


@dataclass(frozen=True)
class Ran:
    """What happened to one stage, and why it ran if it did."""

    stage: str
    how: How
    seconds: float
    entry: Entry
    why: str = ""
