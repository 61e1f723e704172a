"""All that one report says: records without behaviour, with bounds that hold when they come from a stranger.

The bounds stand in the types. ``gitml.reports.exchange`` writes and reads them as JSON: what is too long is cut
when it is written, and refused when it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from gitml.reports.holdoutfacts import ReportedHoldOut
from gitml.reports.importancefacts import ReportedImportance
from gitml.reports.rowfacts import (
    STRICT,
    Asset,
    ComparisonRole,
    Count,
    Line,
    Log,
    Name,
    Row,
    Seconds,
    Url,
)


class Outcome(StrEnum):
    """What became of one model. The first three are those of ``gitml train``."""

    NEW = "new version"
    SAME = "nothing changed"
    REPRODUCED = "reproduced"
    FAILED = "failed"
    REFUSED = "refused"


class ReportedHow(StrEnum):
    """What happened to one stage. The first three are those of ``gitml train``."""

    UP_TO_DATE = "up to date"
    RESTORED = "restored"
    RAN = "ran"
    FAILED = "failed"
    NOT_REACHED = "not reached"


@dataclass(frozen=True)
class ReportedStage:
    """``why`` says why it ran or failed; ``log_tail`` holds the last lines, redacted, of one that failed."""

    __pydantic_config__ = STRICT
    name: Name
    how: ReportedHow
    seconds: Seconds = 0.0
    why: Line = ""
    log_tail: Log = ""
    job: Name = ""


@dataclass(frozen=True)
class ReportedMetric:
    """A metric of this version with its 95 % interval; ``better`` is the direction that gitml.yaml gives it."""

    __pydantic_config__ = STRICT
    name: Name
    value: float | None
    low: float | None = None
    high: float | None = None
    better: Literal["higher", "lower"] | None = None


@dataclass(frozen=True)
class ReportedComparison:
    """With the version on the base branch, with an environment's champion, or with the version before.

    ``name`` is the branch or the environment. ``version`` is empty when there is none to compare with; ``why`` says
    so ("main has no version of delay"), or that both are the same.
    """

    __pydantic_config__ = STRICT
    role: ComparisonRole
    name: Name
    version: Name = ""
    rows: Annotated[tuple[Row, ...], Field(max_length=200)] = ()
    why: Line = ""


@dataclass(frozen=True)
class SliceMetric:
    """One metric on one group of rows; ``old`` is the same of the base branch's version."""

    __pydantic_config__ = STRICT
    name: Name
    value: float | None
    low: float | None = None
    high: float | None = None
    old: float | None = None


@dataclass(frozen=True)
class ReportedSlice:
    """The rows where ``column`` is ``value``. No metrics means that there are too few rows to judge."""

    __pydantic_config__ = STRICT
    column: Name
    value: Name
    rows: Count
    metrics: Annotated[tuple[SliceMetric, ...], Field(max_length=50)] = ()


@dataclass(frozen=True)
class ReportedChange:
    """Something that differs: ``old`` or ``new`` is None where one side lacks it."""

    __pydantic_config__ = STRICT
    name: Name
    old: Line | None
    new: Line | None


@dataclass(frozen=True)
class ReportedShift:
    """A share of rows (0 to 1) before and after: of missing values in a column, of a label; None: not known."""

    __pydantic_config__ = STRICT
    name: Name
    old: Annotated[float, Field(ge=0, le=1)] | None
    new: Annotated[float, Field(ge=0, le=1)] | None


@dataclass(frozen=True)
class ReportedBin:
    """The share of rows (0 to 1) with values in a range, with one value, or with none, before and after."""

    __pydantic_config__ = STRICT
    label: Name
    old: Annotated[float, Field(ge=0, le=1)]
    new: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class ColumnShift:
    """How far a column's distribution moved: the Jensen-Shannon distance, 0 the same, 1 nothing in common.

    ``chance``: what two samples of the same data of this size exceed once in a thousand times. The means are of
    numbers; ``bins`` are coarser than those that the distance is over.
    """

    __pydantic_config__ = STRICT
    name: Name
    distance: Annotated[float, Field(ge=0, le=1)]
    chance: Annotated[float, Field(ge=0, le=1)]
    old_mean: float | None = None
    new_mean: float | None = None
    bins: Annotated[tuple[ReportedBin, ...], Field(max_length=20)] = ()


@dataclass(frozen=True)
class Table:
    """One data set that changed: rows, columns that came and went, shares of missing values and labels.

    ``shifted`` are the columns that moved beyond chance, farthest first; ``steady`` counts the others that were
    compared, ``unknown`` those that were not. ``unprofiled`` says why no column could be compared.
    """

    __pydantic_config__ = STRICT
    path: Name
    old_rows: Count | None = None
    new_rows: Count | None = None
    added: Annotated[tuple[Name, ...], Field(max_length=500)] = ()
    removed: Annotated[tuple[Name, ...], Field(max_length=500)] = ()
    missing: Annotated[tuple[ReportedShift, ...], Field(max_length=500)] = ()
    labels: Annotated[tuple[ReportedShift, ...], Field(max_length=100)] = ()
    shifted: Annotated[tuple[ColumnShift, ...], Field(max_length=100)] = ()
    steady: Count = 0
    unknown: Count = 0
    unprofiled: Line = ""
    old_digest: Name = ""
    new_digest: Name = ""


@dataclass(frozen=True)
class Chart:
    """``image`` is the PNG's path on the branch of pictures (empty: none drawn); ``spec`` the Vega-Lite file's."""

    __pydantic_config__ = STRICT
    name: Name
    title: Line = ""
    image: Asset = ""
    spec: Name = ""
    width: Annotated[int, Field(ge=0, le=10_000)] = 0


@dataclass(frozen=True)
class ReportedModel:
    """One model. ``reason`` says in a sentence why it failed, was refused, or was not trained.

    ``reproduce`` is one shell command that gives the same on a laptop. ``left_out``: how many changes of params, code,
    packages and signature there are beyond those listed.
    """

    __pydantic_config__ = STRICT
    name: Name
    outcome: Outcome
    reason: Line = ""
    version: Name = ""
    origin: Name = ""
    seconds: Seconds = 0.0
    stages: Annotated[tuple[ReportedStage, ...], Field(max_length=200)] = ()
    metrics: Annotated[tuple[ReportedMetric, ...], Field(max_length=200)] = ()
    comparisons: Annotated[tuple[ReportedComparison, ...], Field(max_length=20)] = ()
    slices: Annotated[tuple[ReportedSlice, ...], Field(max_length=1000)] = ()
    holdout: ReportedHoldOut | None = None
    importance: ReportedImportance | None = None
    importance_before: ReportedImportance | None = None
    data: Annotated[tuple[Table, ...], Field(max_length=100)] = ()
    params: Annotated[tuple[ReportedChange, ...], Field(max_length=500)] = ()
    code: Annotated[tuple[ReportedChange, ...], Field(max_length=500)] = ()
    packages: Annotated[tuple[ReportedChange, ...], Field(max_length=500)] = ()
    signature: Annotated[tuple[ReportedChange, ...], Field(max_length=500)] = ()
    left_out: Count = 0
    charts: Annotated[tuple[Chart, ...], Field(max_length=30)] = ()
    reproduce: Line = ""
    notes: Annotated[tuple[Line, ...], Field(max_length=50)] = ()


@dataclass(frozen=True)
class ReportedCommit:
    """A commit of the change that is reported on."""

    __pydantic_config__ = STRICT
    sha: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    subject: Line
    author: Name


@dataclass(frozen=True)
class Report:
    """The report of one push. ``problem`` is what kept the run as a whole from judging (no runner, no lock …).

    ``committed`` is the bot's commit with the new version on top of ``commit``; empty when there is none.
    """

    __pydantic_config__ = STRICT
    application: Name
    repository: Name = ""
    branch: Name = ""
    base: Name = ""
    commit: Annotated[str, Field(pattern=r"^([0-9a-f]{40}([0-9a-f]{24})?)?$")] = ""
    committed: Annotated[str, Field(pattern=r"^([0-9a-f]{40}([0-9a-f]{24})?)?$")] = ""
    run_url: Url = ""
    seconds: Seconds = 0.0
    models: Annotated[tuple[ReportedModel, ...], Field(max_length=50)] = ()
    commits: Annotated[tuple[ReportedCommit, ...], Field(max_length=250)] = ()
    problem: Line = ""
    notes: Annotated[tuple[Line, ...], Field(max_length=50)] = ()
    format: Literal["gitml report 1"] = "gitml report 1"
