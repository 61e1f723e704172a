"""``kpis`` of gitml.yaml: numbers of the business, each made of what happened to units of the traffic."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import Duration, FileSection, RepoPath, WrongValueError

KpiValue = Literal["sum", "count", "any"]
TABLE_SUFFIXES = (".parquet", ".csv")


class Kpi(FileSection):
    """One number by unit, such as what a user spent in the three days after the first answer."""

    description: str = Field("", description="One line for people: what it says.")
    event: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="Name of a business event of the traffic, which happens to a unit."
    )
    table: RepoPath | None = Field(
        None, description="Instead, a Parquet or CSV file with the columns `unit`, `time` and `value`."
    )
    value: KpiValue = Field(
        "sum",
        description="What is made of a unit's events: the `sum` of their values, their `count`, or whether there is "
        "`any`.",
    )
    better: Literal["higher", "lower"] = Field("higher", description="Which way it is better.")
    unit: Annotated[str, Field(max_length=20)] = Field("", description="Its unit, such as USD.")
    within: Duration = Field(
        timedelta(days=3),
        description="How long after a unit's first answer events count. Only units that were answered so long ago are "
        "judged, in both arms.",
        json_schema_extra={"default": "3d"},
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.event) == bool(self.table):
            raise WrongValueError("a KPI is made of one thing", "write event or table")
        if self.table and not self.table.lower().endswith(TABLE_SUFFIXES):
            raise WrongValueError(f"{self.table} is no table", "write the path of a .parquet or .csv file")
        return self
