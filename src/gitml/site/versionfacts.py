"""What the pages say of models and their versions: frozen records without behaviour."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gitml.registry.difference import DiffLine
from gitml.registry.resolve import Deployed


@dataclass(frozen=True)
class SiteVersion:
    """One version in a list. ``metrics`` are the finite numbers; ``has_page``: there is a ``VersionDetail`` of it."""

    version: str
    created: str
    origin: str
    metrics: Mapping[str, float]
    places: tuple[Deployed, ...] = ()
    has_page: bool = False
    readable: bool = True

    @property
    def digest8(self) -> str:
        return self.version.rpartition("-")[2]


@dataclass(frozen=True)
class SiteMetric:
    """A metric with its 95 % interval, that of the version before, and that of the champion it would replace."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    before: float | None = None
    champion: float | None = None
    better: str = ""


@dataclass(frozen=True)
class SiteStageRun:
    """A stage as it ran for a version. ``reads`` and ``gives`` are (path, digest, size)."""

    name: str
    command: str
    reads: tuple[tuple[str, str, int], ...]
    params: tuple[tuple[str, str], ...]
    gives: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class SiteColumn:
    """A column of a version's signature; ``about``: its categories, whether it may be missing."""

    name: str
    type: str
    side: str
    about: str = ""


@dataclass(frozen=True)
class SiteTable:
    """A data set that a version was made from. ``missing``: column → share of missing values, where there are some."""

    path: str
    digest: str
    rows: int | None
    size: int
    missing: Mapping[str, float] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteSlice:
    """Rows where ``column`` is ``value``, with their metrics."""

    column: str
    value: str
    rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class ChartFolder:
    """Where a version's charts are kept: ``dvc`` is DVC's digest of them, ``sha256`` what its record says of them."""

    path: str
    dvc: str
    sha256: str
    size: int


@dataclass(frozen=True)
class TrainingChart:
    """A chart that the training of a version drew, as SVG, with its size in pixels. ``told`` is all that its spec says,
    so that a role which may not see a name in it does not get the picture."""

    name: str
    title: str
    svg: bytes
    width: int
    height: int
    told: str

    @property
    def file(self) -> str:
        """In the site; equal pictures are one file."""
        return f"charts/{hashlib.sha256(self.svg).hexdigest()[:20]}.svg"


@dataclass(frozen=True)
class VersionDetail:
    """One version in full. ``before`` is the version before it, ``champion`` the one in the last environment.

    ``charts_note`` says why charts that it has are not among ``charts``.
    ``sizing``: what it takes of a machine, as the newest signed trial measured it, in words.
    """

    model: str
    version: str
    digest: str
    created: str
    origin: str
    source: str
    commit: str
    dirty: tuple[str, ...]
    artifact: str
    artifact_sha256: str
    artifact_size: int
    packages: str
    before: str = ""
    champion: str = ""
    champion_in: str = ""
    metrics: tuple[SiteMetric, ...] = ()
    stages: tuple[SiteStageRun, ...] = ()
    columns: tuple[SiteColumn, ...] = ()
    data: tuple[SiteTable, ...] = ()
    data_until: str = ""
    changes: Mapping[str, tuple[DiffLine, ...]] = field(default_factory=dict)
    slices: tuple[SiteSlice, ...] = ()
    chart_folder: ChartFolder | None = None
    charts: tuple[TrainingChart, ...] = ()
    charts_note: str = ""
    sizing: str = ""


@dataclass(frozen=True)
class SiteReview:
    """Who looked at a model, as it is signed: ``kind`` is `reviewed`, or `approved` for the approvals of a promotion.

    None of ``people`` made the version: the gate and `gitml review` count nobody else.
    """

    time: str
    kind: str
    version: str
    result: str
    people: tuple[str, ...]
    report: str = ""


@dataclass(frozen=True)
class SiteModel:
    """A model as gitml.yaml describes it. ``versions`` newest first; ``details`` of those that have a page;
    ``between``: what changed from one champion to the next.

    ``reviews`` are signed, newest first; ``reviewed`` is the day of the last one, ``review_due`` the day of the next,
    where gitml.yaml or policy.yaml asks for it. ``retire_by`` is a day.
    """

    name: str
    description: str = ""
    owner: str = ""
    purpose: str = ""
    tier: str = ""
    better: Mapping[str, str] = field(default_factory=dict)
    artifact: str = ""
    versions: tuple[SiteVersion, ...] = ()
    details: Mapping[str, VersionDetail] = field(default_factory=dict)
    between: Mapping[tuple[str, str], Mapping[str, tuple[DiffLine, ...]]] = field(default_factory=dict)
    users: str = ""
    limits: str = ""
    vendor: str = ""
    retire_by: str = ""
    reviews: tuple[SiteReview, ...] = ()
    must_be_reviewed: bool = False
    reviewed: str = ""
    review_due: str = ""
    is_overdue: bool = False
