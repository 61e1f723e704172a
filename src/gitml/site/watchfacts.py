"""What the pages say of live traffic and of candidates on it: frozen records without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitml.verdict import Phase


@dataclass(frozen=True)
class SiteDrift:
    """How far a column is from the reference, with the bounds of its effect and the floor that nobody minds."""

    column: str
    estimate: float | None
    low: float | None
    high: float | None
    floor: float | None
    drifted: bool
    muted: str = ""
    moved: str = ""


@dataclass(frozen=True)
class SiteBreach:
    """A rule of the data contract that a window broke."""

    column: str
    rule: str
    expected: str
    seen: str
    since: str


@dataclass(frozen=True)
class SiteScore:
    """A metric of live traffic: measured on labels, or estimated; ``evaluated`` is what the evaluation gave."""

    metric: str
    since: str
    value: float
    low: float | None
    high: float | None
    kind: str
    evaluated: float | None = None


@dataclass(frozen=True)
class SiteLook:
    """What a monitor saw in one window, as it was signed."""

    model: str
    environment: str
    version: str
    since: str
    until: str
    phase: Phase
    rows: int
    verdicts: Mapping[str, tuple[Phase, str]]
    drift: tuple[SiteDrift, ...] = ()
    quality: tuple[SiteBreach, ...] = ()
    scores: tuple[SiteScore, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class SiteTrial:
    """A candidate beside the champion: the newest evaluation. ``points``: moment, difference, low, high."""

    model: str
    environment: str
    mode: str
    candidate: str
    champion: str
    since: str
    at: str
    phase: Phase
    reason: str
    weight: float
    parts: tuple[tuple[str, Phase, str], ...]
    points: tuple[tuple[str, float | None, float | None, float | None], ...] = ()


@dataclass(frozen=True)
class SiteImpact:
    """What a KPI did after a change, as it was signed: an association. ``effect`` is of the mean of a day.

    ``a_month``: the same in ``currency`` and month, with its interval; empty where nobody said what it is worth.
    """

    model: str
    environment: str
    commit: str
    version: str
    kpi: str
    unit: str
    days: int
    phase: Phase
    reason: str
    before: float | None
    effect: float | None
    low: float | None
    high: float | None
    a_month: tuple[float, ...] = ()
    currency: str = ""
