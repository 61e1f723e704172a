"""What the pages say to the business and to risk: frozen records without behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitml.verdict import Phase


@dataclass(frozen=True)
class SiteCausal:
    """What a split of the traffic found of a KPI by unit, before the change: by lot, so this is a cause."""

    kpi: str
    phase: Phase
    reason: str
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SiteReturn:
    """What a change brought against what it took, ``days`` after it, in ``currency``. ``once``: ``training`` and
    ``review``, which older statements do not tell apart; ``monthly``: serving. ``gain``: of a month, with its interval,
    empty where no KPI that is money clearly changed. ``pays_back``: months; ``unknown``: what no price is there for."""

    model: str
    environment: str
    commit: str
    version: str
    days: int
    currency: str
    once: float
    training: float | None
    review: float | None
    monthly: float
    gain: tuple[float, ...]
    pays_back: float | None
    unknown: tuple[str, ...] = ()

    @property
    def net(self) -> float | None:
        """What a month leaves after serving; None where nothing clearly changed."""
        return self.gain[0] - self.monthly if self.gain else None


@dataclass(frozen=True)
class SiteRetraining:
    """A training that something asked for. ``cause``: as gitml.yaml has it; ``why``: in words. ``until``: of a no."""

    model: str
    cause: str
    why: str
    state: Literal["open", "merged", "declined"]
    time: str
    by: str
    pull: int | None = None
    commit: str = ""
    until: str = ""


@dataclass(frozen=True)
class BiasLine:
    """A category of one table, with 95 % bounds. Counts and bounds are None where they are too few to be shown."""

    table: str
    category: str
    people: int | None
    selected: int | None
    rate: tuple[float | None, float | None, float | None]
    ratio: tuple[float | None, float | None, float | None]
    note: str


@dataclass(frozen=True)
class SiteBias:
    """One model that gitml.yaml has counted by category. ``lines`` are there where somebody handed them in; ``data``:
    which answers they count. ``audited``, ``auditor``, ``report``: the last independent audit, empty without one."""

    model: str
    source: str
    audited: str = ""
    auditor: str = ""
    report: str = ""
    kind: str = ""
    data: str = ""
    people: int = 0
    lines: tuple[BiasLine, ...] = ()
