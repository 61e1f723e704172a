"""``monitors`` of gitml.yaml: what is watched while models serve, and how much has to change before anyone is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gitml.clock import LOOPBACK
from gitml.fields import (
    Count,
    Duration,
    EnvironmentName,
    FileSection,
    Flag,
    Login,
    Name,
    Number,
    SecretName,
    TeamName,
    Text,
    Until,
    WrongValueError,
    shown,
)
from gitml.spec.detectors import MonitorDetector, MonitorDetectors

Cluster = Literal["day", "hour", "unit"]
ChangeMethod = Literal["page-hinkley", "adwin"]
Part = Literal["quality", "drift", "harm"]
# Those that predictions and labels tell.
_LabelMetric = Literal["auc", "log_loss", "brier", "accuracy", "mae", "mse", "rmse", "r2", "macro_f1"]
_RANKING = re.compile(r"(?i)(n?dcg|map|mrr|hits?)([@_ -].*)?|(recall|precision)@.*")
PARTS: tuple[Part, ...] = ("quality", "drift", "harm")


def check_label_metric(name: object) -> object:
    """Metrics of a ranking compare the rows of one query, and nothing says which requests are of one query."""
    if isinstance(name, str) and _RANKING.fullmatch(name):
        told = ", ".join(get_args(_LabelMetric))
        hint = f"one of {told}; or count what people do with the ranking as a KPI (`kpis`)"
        raise WrongValueError(f"{shown(name)} cannot be told from the labels of single rows", hint)
    return name


LabelMetric = Annotated[_LabelMetric, BeforeValidator(check_label_metric)]
Share = Annotated[Number, Field(ge=0, le=1)]
Column = Annotated[str, Field(min_length=1, max_length=200)]
_SHORTEST, _LONGEST = timedelta(hours=1), timedelta(weeks=4)
# A Monday: windows of a week begin on Mondays, windows of a day at midnight.
_FIRST = datetime(1970, 1, 5, tzinfo=UTC)
_YEAR = timedelta(days=366)


def check_window(value: timedelta) -> timedelta:
    if not _SHORTEST <= value <= _LONGEST or value.total_seconds() % 3600:
        raise WrongValueError("a window has whole hours, from 1h to 4w", "such as 1d or 1w")
    return value


Window = Annotated[Duration, AfterValidator(check_window)]


def check_address(text: str) -> str:
    """An address that takes a POST. Without encryption only on this machine, and without a user."""
    try:
        parts = urlsplit(text)
        is_one = bool(parts.hostname) and parts.port != 0 and not parts.username and not parts.fragment
    except ValueError:
        is_one = False
    if not is_one or not text.isascii() or not text.isprintable() or " " in text:
        raise WrongValueError(f"{shown(text)} is no address", "such as https://hooks.example.org/gitml")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise WrongValueError(f"{shown(text)} is to be called without encryption", "write https://")
    return text


Address = Annotated[str, Field(max_length=500), AfterValidator(check_address)]


class MonitorFloors(FileSection):
    """Effects that nobody minds. A column has drifted when it is certain that its effect is larger."""

    numbers: Share = Field(
        0.05,
        description="Kolmogorov-Smirnov distance of a column of numbers: 0.05 is a shift by about an eighth of σ.",
    )
    categories: Share = Field(
        0.05, description="Total variation of a column of categories: 0.05 means that 5 of 100 rows have another one."
    )
    missing: Share = Field(0.02, description="Difference of the share of missing values.")
    columns: Mapping[Column, Share] = Field(
        default_factory=dict, description="Another floor for the values of single columns, by name."
    )


class MonitorQuality(FileSection):
    """The data contract: what every window must keep, whatever the model makes of it."""

    unfit: Share = Field(0.0, description="Share of values of another type than the column's.")
    missing: Share = Field(
        0.5,
        description="What part of the values that a column has in the reference may be missing; a column that mostly "
        "has none there is not judged. A column that is not nullable never misses one.",
    )
    unseen: Share = Field(
        0.01,
        description="How much the share of categories that the reference does not have may grow; a few rows more, as "
        "come by chance, break no rule.",
    )
    outside: Share = Field(
        0.01,
        description="Share of numbers below the reference's least or above its largest one, where they lie far off.",
    )
    margin: Annotated[Number, Field(ge=0)] = Field(
        1.0,
        description="How far is far off, in parts of the reference's range: summer is warmer than the winter of the "
        "training, which is drift and no broken thermometer.",
    )
    constant: Flag = Field(
        True,
        description="A column may not have one value only, unless half of the reference's rows share one, or all rows "
        "of a day do.",
    )
    refused: Share = Field(0.05, description="Share of requests that were invalid or refused.")
    failed: Share = Field(0.01, description="Share of requests that failed, timed out or were dropped.")
    volume: Annotated[Number, Field(ge=1)] = Field(
        3.0,
        description="By what factor the number of rows may differ from the median of the windows before: those of the "
        "same weekday where a window is a day.",
    )
    fresh: Duration | None = Field(
        None, description="How old the newest row may be when the window ends; without it that is not judged."
    )
    duplicates: Share | None = Field(
        None, description="Share of rows whose inputs all equal an earlier row's; without it that is not judged."
    )


class MonitorHarm(FileSection):
    """Whether the model is worse than its own evaluation, on labels that have come."""

    metric: LabelMetric | None = Field(None, description="By default the first of these that stands under `better`.")
    worse_by: Annotated[Number, Field(ge=0)] | None = Field(
        None,
        description="How much worse nobody minds, in the metric's own unit; by default half the width of the interval "
        "that the version's evaluation has.",
    )
    calibration: Share = Field(
        0.01,
        description="How far the share of positive labels may be from the mean of answers that are probabilities, that "
        "nobody minds; 1 turns it off. It is judged where the version's evaluated rows (`evaluated`) bear it out.",
    )
    slope: Share = Field(
        0.1,
        description="What part of a difference between two answers of one day need not come true: with 0.1, labels may "
        "differ by 9 points where probabilities differ by 10; 1 turns it off. It is judged where the version's "
        "evaluated rows bear it out on 14 days or more.",
    )
    labels_within: Duration | None = Field(
        None,
        description="When labels have come: only requests that are older count, so that late labels do not mislead. "
        "By default one window.",
    )
    changes: tuple[ChangeMethod, ...] = Field(
        (),
        description="page-hinkley, adwin: where these methods see the losses change is shown beside the metric. They "
        "never alarm, because they promise nothing about a year of looks.",
    )


class MonitorOutliers(FileSection):
    """Rows that are unlike any of the training, where the version has `outliers` (`gitml outliers` writes them)."""

    watch: Flag = Field(True, description="Whether they are counted.")
    floor: Share = Field(0.02, description="How much their share of the rows may grow that nobody minds.")


class MonitorPerformance(FileSection):
    """How good the model is in its own metrics: on labels, and estimated while none have come."""

    metrics: tuple[LabelMetric, ...] = Field((), description="By default all of these that stand under `better`.")
    estimate: Flag = Field(
        True,
        description="Estimate windows whose labels have not come, where the version has evaluated rows (`evaluated`).",
    )
    overlap: Share = Field(
        0.1,
        description="What part of the evaluated rows must count, when they are weighted to be like the window's: with "
        "less nothing is estimated.",
    )
    margin: Share = Field(
        0.05,
        description="How much less accurate the model may be and still be called suitable while labels are missing.",
    )


class MonitorMute(FileSection):
    """Columns whose alarm is known and shall not be repeated, until a day."""

    columns: Annotated[tuple[Column, ...], Field(min_length=1)] = Field(
        description="Names of columns; they stay in the table, and do not alarm."
    )
    until: Until = Field(description="The last day, or the moment, on which they are muted.")
    reason: Text = Field(description="Why, for those who read the report.")


class MonitorTell(FileSection):
    """Whom an alarm concerns. They are named in the report, and called by name where it alarms."""

    people: Annotated[tuple[Login, ...], Field(max_length=20)] = Field((), description="Logins of the forge.")
    teams: Annotated[tuple[TeamName, ...], Field(max_length=20)] = Field((), description="Teams of the forge.")
    webhook: Address | None = Field(
        None,
        description="An address that gets a POST with the alarm as JSON. The line of the default branch counts.",
    )
    webhook_secret: SecretName | None = Field(
        None, description="Instead, a secret of the repository that holds the address: who knows it may post there."
    )

    @model_validator(mode="after")
    def _is_one_address(self) -> Self:
        if self.webhook and self.webhook_secret:
            raise WrongValueError("an alarm goes to one address", "keep webhook or webhook_secret")
        return self


class MonitorSpec(FileSection):
    """How one model is watched, in each environment that it serves in."""

    environments: tuple[EnvironmentName, ...] = Field(
        (), description="Where it is watched; by default wherever it has a champion."
    )
    watch: tuple[Part, ...] = Field(
        PARTS, description="What is watched: quality, drift, harm. `[drift]` turns the others off, `[]` all of it."
    )
    window: Window = Field(
        timedelta(days=1),
        description="How long a window is, such as 1d or 1w: there is a look at the end of each.",
        json_schema_extra={"default": "1d"},
    )
    columns: tuple[Column, ...] = Field(
        (), description="Inputs and outputs that are watched; by default all of the signature."
    )
    clusters: tuple[Cluster, ...] | None = Field(
        None,
        description="What makes rows alike: day, hour, unit. By default found on the reference; `[]` says that rows "
        "are independent of each other.",
    )
    context: tuple[Column, ...] = Field(
        (),
        description="What is held fixed when windows are compared: names of columns, or hour, weekday and month. Rows "
        "are compared with those of the reference that have the same values; the reference has to be written with it.",
    )
    detectors: tuple[MonitorDetector, ...] = Field(
        (), description="Methods that look at many columns at once, beside the columns one by one."
    )
    psi: Flag = Field(
        False,
        description="Show the population stability index of each column, with what it is by chance for so many rows. "
        "It never alarms.",
    )
    outliers: MonitorOutliers = Field(
        default_factory=MonitorOutliers, description="Rows that are unlike any of the training."
    )
    floors: MonitorFloors = Field(default_factory=MonitorFloors, description="Effects that nobody minds.")
    quality: MonitorQuality = Field(default_factory=MonitorQuality, description="The data contract.")
    harm: MonitorHarm = Field(default_factory=MonitorHarm, description="Performance on labels.")
    performance: MonitorPerformance = Field(
        default_factory=MonitorPerformance, description="The model's own metrics, measured and estimated."
    )
    mutes: tuple[MonitorMute, ...] = Field((), description="Alarms that are known, each with an end.")
    tell: MonitorTell | None = Field(None, description="Whom its alarms concern, instead of those named for all.")

    def last_window(self, at: datetime) -> tuple[datetime, datetime]:
        """Beginning and end of the newest window that is over.

        >>> start, end = MonitorSpec(window="1w").last_window(datetime(2026, 4, 1, 12, tzinfo=UTC))
        >>> f"{start:%a %d %b} - {end:%a %d %b}"
        'Mon 23 Mar - Mon 30 Mar'
        """
        end = at - (at - _FIRST) % self.window
        return end - self.window, end

    @property
    def looks_a_year(self) -> int:
        """How many windows can end in a year.

        >>> MonitorSpec(window="1w").looks_a_year, MonitorSpec().looks_a_year
        (53, 366)
        """
        return -(-_YEAR // self.window)

    def muted(self, at: datetime) -> dict[str, str]:
        """Column → why, and until when."""
        return {
            column: f"{mute.reason} (muted until {mute.until:%Y-%m-%d %H:%M} UTC)"
            for mute in self.mutes
            if at < mute.until
            for column in mute.columns
        }


class Monitors(FileSection):
    """What is watched, and the promise that holds for all of it together."""

    years: Count = Field(
        20, description="One false alarm in so many years is promised, for the whole application, if nothing changes."
    )
    promotions: Count = Field(
        12, description="So many promotions a year are covered by the promise: each brings a reference of its own."
    )
    detectors: MonitorDetectors = Field(
        default_factory=MonitorDetectors, description="What detectors may use of the promise, where there are any."
    )
    tell: MonitorTell = Field(default_factory=MonitorTell, description="Whom alarms concern: people, teams, a webhook.")
    models: Mapping[Name, MonitorSpec] = Field(
        default_factory=dict, description="How single models are watched; one without an entry has the defaults."
    )

    @model_validator(mode="after")
    def _is_a_promise(self) -> Self:
        if self.years < 2:
            raise WrongValueError(
                "one false alarm in a year is no promise", "write years: 2 or more; 20 is the default"
            )
        return self

    def of(self, model: str) -> MonitorSpec:
        """How the model is watched, whether it is named or not."""
        return self.models.get(model, MonitorSpec())

    def told(self, model: str) -> MonitorTell:
        """Whom alarms of the model concern."""
        return self.of(model).tell or self.tell

    @property
    def rate(self) -> float:
        """The probability of a false alarm in a year.

        >>> Monitors().rate
        0.05
        """
        return 1 / self.years
