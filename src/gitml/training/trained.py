"""What a training gave."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from gitml.pipelines.ran import Ran
from gitml.registry.record import Record

if TYPE_CHECKING:
    from gitml.training.compare import Comparison


class TrainOutcome(StrEnum):
    NEW = "new version"
    SAME = "nothing changed"
    REPRODUCED = "reproduced"


@dataclass(frozen=True)
class Trained:
    """What training gave for one model. ``put_back``: the outputs of which training gave other bytes than the record
    says, and which are now the recorded ones again. ``unusable``: why no server takes a new version, or ""."""

    model: str
    outcome: TrainOutcome
    record: Record
    path: Path
    stages: tuple[Ran, ...]
    comparison: Comparison | None
    same_metrics: bool = True
    put_back: tuple[str, ...] = ()
    unusable: str = ""
