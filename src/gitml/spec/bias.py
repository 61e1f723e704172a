"""``bias`` of gitml.yaml: what tables of selection by sex, race and ethnicity are made of, and the last audit."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gitml.fields import Count, Duration, EnvironmentName, FileSection, Moment, Number, Text, WrongValueError
from gitml.spec.monitors import MonitorSpec


class BiasGroups(FileSection):
    """The table that says who belongs to which category. It lies outside of Git and of the traffic."""

    table: Text = Field(
        description="A .csv or .parquet file: a path, or `$NAME` for the variable that holds the path. It must not be "
        "tracked by Git, and others than its owner and group must not be able to read it."
    )
    unit: Text = Field(description="Its column with the unit of the requests, such as the candidate.")
    sex: Text = Field(description="Its column with the sex.")
    race: Text = Field(description="Its column with race or ethnicity.")
    unknown: tuple[str, ...] = Field((), description="Values that mean unknown, beside an empty one.")

    @property
    def variable(self) -> str:
        """The variable that holds the path, empty where it is said here."""
        return self.table[1:] if re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*", self.table) else ""


class BiasAudit(FileSection):
    """The most recent audit by an independent auditor."""

    on: Moment = Field(description="The day of the audit.")
    by: Text = Field(description="The independent auditor.")
    report: Text = Field(description="Where the summary of results is published.")


def _check_window(value: timedelta) -> timedelta:
    if value < timedelta(days=1):
        raise WrongValueError("a window is at least 1d", "such as 13w")
    return value


class BiasMonitor(FileSection):
    """What `gitml ci monitor` counts on live traffic, window after window, and signs."""

    environment: EnvironmentName = Field(description="Where the answers were given.")
    window: Annotated[Duration, AfterValidator(_check_window)] = Field(
        timedelta(weeks=13), description="How long a window is.", json_schema_extra={"default": "13w"}
    )

    def last_window(self, at: datetime) -> tuple[datetime, datetime]:
        """Beginning and end of the newest window that is over."""
        return MonitorSpec(window=self.window).last_window(at)


class Bias(FileSection):
    """How one model's answers are counted by category; without `selected_from` and `selected_as` they are scores."""

    groups: BiasGroups = Field(description="Who belongs to which category.")
    output: Text = Field(description="The output of the model that selects or scores.")
    source: Text = Field(description="Where the data come from, in a sentence, as a summary of results must say.")
    selected_from: Number | None = Field(None, description="Answers of at least this select.")
    selected_as: tuple[Text, ...] = Field((), description="Answers that select, for an output that is a class.")
    suited: Annotated[tuple[Text | Number, ...], Field(min_length=1)] = Field(
        (1,), description="Labels of those who turned out to be suited, for equalised odds and calibration."
    )
    least_share: Annotated[Number, Field(ge=0, le=0.02)] = Field(
        0.02, description="Categories with a smaller share of the rows get no impact ratio."
    )
    least_count: Count = Field(5, description="Counts below this are not shown.")
    monitor: BiasMonitor | None = Field(
        None, description="Count live traffic again and again, and sign whether a ratio left its interval."
    )
    audited: BiasAudit | None = Field(None, description="The last audit, for the gate `audit_age`.")

    @model_validator(mode="after")
    def _selects_in_one_way(self) -> Self:
        if self.selected_from is not None and self.selected_as:
            raise WrongValueError(
                "selected_from and selected_as cannot both be given", "keep the one that suits the output"
            )
        return self
