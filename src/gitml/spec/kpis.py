"""``kpis`` and ``costs`` of gitml.yaml: numbers of the business, each made of facts with a unit, a time and a value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from gitml.fields import (
    Duration,
    EnvironmentName,
    FileSection,
    Name,
    Number,
    RepoPath,
    SecretName,
    Text,
    WrongValueError,
    shown,
)

KpiValue = Literal["sum", "count", "any"]
TABLE_SUFFIXES = (".parquet", ".csv")
# What to do where a KPI's source gives totals of days, and facts by unit are needed.
NEEDS_UNITS = "make it of an event, a table, a query over files, or a command"
_HALF_HOUR = timedelta(minutes=30)
_OF_DAYS = ("daily", "worth", "mature", "empty", "zone", "environment", "models", "controls")
# Where they are not given, a test is the one that it was before they could be.
_SOURCES = ("sql", "prometheus", "command")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise WrongValueError(f"{shown(name)} is not a time zone", "use its IANA name, such as Europe/Berlin") from None
    return name


def _check_table(path: str) -> str:
    if not path.lower().endswith(TABLE_SUFFIXES):
        raise WrongValueError(f"{path} is no table", "write the path of a .parquet or .csv file")
    return path


Zone = Annotated[
    str, AfterValidator(_check_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]})
]
TablePath = Annotated[
    RepoPath, AfterValidator(_check_table), WithJsonSchema({"type": "string", "examples": ["facts/payments.parquet"]})
]


class KpiSql(FileSection):
    """Facts by SQL: over files of the repository, by DuckDB, or in a warehouse."""

    query: Annotated[str, Field(min_length=1, max_length=20_000)] = Field(
        description="One SELECT with the columns `unit`, `time` (UTC) and `value`; with `id`, rows of one id count "
        "once, and with `arrived`, `--at` leaves out what had not arrived."
    )
    tables: Mapping[Name, TablePath] = Field(
        default_factory=dict,
        description="Files that the query reads, by the name it has for them; `*` stands for any part of a file's "
        "name. It can read no other file, and no network.",
    )
    warehouse: SecretName | None = Field(
        None,
        description="Instead, the name of the environment variable that holds the warehouse's SQLAlchemy URL. Only "
        "PostgreSQL and SQLite; only totals of days leave it, and only main's query is sent.",
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if bool(self.tables) == bool(self.warehouse):
            raise WrongValueError("a query reads files or a warehouse", "write tables or warehouse")
        return self


class KpiPrometheus(FileSection):
    """Facts by PromQL: each sample of each series is one."""

    query: Text = Field(description="PromQL, such as `sum(increase(orders_total[1h]))`.")
    server: SecretName = Field(
        description="The name of the environment variable that holds the server's address, such as PROMETHEUS_URL."
    )
    step: Duration = Field(
        timedelta(hours=1),
        description="How far samples are apart; a sample tells of the step that ends with it.",
        json_schema_extra={"default": "1h"},
    )

    @model_validator(mode="after")
    def _fits_into_days(self) -> Self:
        # Days of zones begin at half hours, and have 23 or 25 hours where clocks change.
        if self.step < timedelta(seconds=10) or (_HALF_HOUR % self.step and self.step != timedelta(hours=1)):
            raise WrongValueError("the step does not divide every day", "use 1m, 5m, 15m, 30m or 1h")
        return self


class KpiCommand(FileSection):
    """Facts that a program prints as CSV."""

    run: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="The program and its words; it runs in the folder of gitml.yaml and prints CSV with the header "
        "`unit,time,value`, and perhaps `id` and `arrived`. GITML_SINCE and GITML_UNTIL say the window."
    )
    reads: tuple[RepoPath, ...] = Field((), description="Files and folders of the repository that it reads.")
    secrets: tuple[SecretName, ...] = Field(
        (), description="Environment variables that it is given. Without any it has no network."
    )
    timeout: Duration = Field(
        timedelta(minutes=5), description="It is ended after this time.", json_schema_extra={"default": "5m"}
    )


class Kpi(FileSection):
    """One number by unit, such as what a user spent in the three days after the first answer; and by day."""

    description: str = Field("", description="One line for people: what it says.")
    event: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Name of a business event of the traffic, which happens to a unit."
    )
    table: RepoPath | None = Field(
        None, description="Instead, a Parquet or CSV file with the columns `unit`, `time` and `value`."
    )
    sql: KpiSql | None = Field(None, description="Instead, a query over files or a warehouse.")
    prometheus: KpiPrometheus | None = Field(None, description="Instead, a query of Prometheus.")
    command: KpiCommand | None = Field(None, description="Instead, a program that prints CSV.")
    value: KpiValue = Field(
        "sum",
        description="What is made of a unit's events: the `sum` of their values, their `count`, or whether there is "
        "`any`.",
    )
    daily: Literal["total", "per-unit", "mean"] = Field(
        "total",
        description="The number of a day: all units together, that divided by the units of the day, or the `mean` of "
        "the values.",
    )
    better: Literal["higher", "lower"] = Field("higher", description="Which way it is better.")
    unit: Annotated[str, Field(max_length=20)] = Field("", description="Its unit, such as USD.")
    worth: Number | None = Field(
        None,
        description="What one of it is worth in the currency of `costs`; 1 where its unit is that currency.",
    )
    within: Duration = Field(
        timedelta(days=3),
        description="How long after a unit's first answer events count. Only units that were answered so long ago are "
        "judged, in both arms.",
        json_schema_extra={"default": "3d"},
    )
    mature: Duration = Field(
        timedelta(days=1),
        description="How late facts may come: a day counts once it has been over for so long.",
        json_schema_extra={"default": "1d"},
    )
    empty: Literal["zero", "missing"] = Field(
        "missing", description="What a day without facts is: nothing happened, or nothing is known."
    )
    zone: Zone = Field("UTC", description="The time zone in which days begin.")
    environment: EnvironmentName | None = Field(
        None, description="The environment whose changes may move it. Default: the last of policy.yaml."
    )
    models: tuple[Name, ...] = Field((), description="Models whose changes may move it. Default: all.")
    controls: tuple[Name, ...] = Field(
        (), description="Other KPIs that no model moves and that go up and down with it, such as visits."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        sources = (self.event, self.table, self.sql, self.prometheus, self.command)
        if sum(map(bool, sources)) != 1:
            raise WrongValueError(
                "a KPI is made of one thing", "write one of event, table, sql, prometheus and command"
            )
        if self.table:
            _check_table(self.table)
        if self.daily == "mean" and self.value != "sum":
            raise WrongValueError("only values have a mean", "write value: sum, or daily: per-unit")
        if self.daily == "per-unit" and self.value == "any":
            raise WrongValueError("each unit of a day counts once, so that is always 1", "write daily: total")
        return self

    @property
    def secrets(self) -> tuple[str, ...]:
        """Names of the environment variables that its source reads."""
        if self.sql and self.sql.warehouse:
            return (self.sql.warehouse,)
        if self.prometheus:
            return (self.prometheus.server,)
        return self.command.secrets if self.command else ()

    @property
    def by_unit(self) -> dict[str, Any]:
        """What decides how two versions compare by it; what is said of days alone is left out."""
        told = self.model_dump(mode="json", exclude={"description", *_OF_DAYS})
        return {key: value for key, value in told.items() if value is not None or key not in _SOURCES}

    @property
    def has_units(self) -> bool:
        """Whether its facts can be read one by one, as comparing two versions needs them."""
        return not (self.prometheus or (self.sql and self.sql.warehouse))


Price = Annotated[Number, Field(ge=0)]


class Costs(FileSection):
    """What models cost, for the return on them."""

    currency: Annotated[str, Field(min_length=1, max_length=20)] = Field("USD", description="Of all the prices.")
    runner_minute: Mapping[Name, Price] = Field(
        default_factory=dict, description="Price of a minute of training, by a name under `hardware`."
    )
    serving_month: Mapping[Name, Price] = Field(
        default_factory=dict, description="What serving costs in a month, by model."
    )
    core_hour: Price | None = Field(None, description="What a core costs for an hour, for `gitml size`.")
    gigabyte_hour: Price | None = Field(None, description="What a GB of memory costs for an hour, for `gitml size`.")
    review_hour: Price | None = Field(None, description="What an hour of a reviewer costs.")
    review: Duration = Field(
        timedelta(minutes=30),
        description="How long one review takes.",
        json_schema_extra={"default": "30m"},
    )
