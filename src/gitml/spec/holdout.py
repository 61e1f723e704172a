"""``holdout`` of a model in gitml.yaml: the rows that it is judged on, so that another version can answer the same."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Self

from pydantic import Field, model_validator

from gitml.fields import FileSection, MetricName, Number, RepoPath, WrongValueError
from gitml.jsontext import canonical

Column = Annotated[str, Field(min_length=1, max_length=200)]
Param = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^.\s]+(\.[^.\s]+)*$")]


class TrainingWindow(FileSection):
    """Which rows of a table a version is made from, as its params say."""

    rows: RepoPath = Field(description="Table, or folder of tables, of which the window is a part.")
    first_day: Param = Field(description="The param that holds the first day, such as `window.first_day`.")
    last_day: Param = Field(description="The param that holds the last day, which is included.")


_Price = Annotated[Number, Field(ge=0, le=1e12)]


class DecisionCost(FileSection):
    """What a wrong decision costs its owner, where labels are 0 or 1 and answers probabilities."""

    metric: MetricName = Field(
        "cost", description="The metric that this is, a row; under `better` it can only be `lower`."
    )
    false_negative: _Price = Field(description="A row with the label 1 on which nothing was done.")
    false_positive: _Price = Field(description="A row with the label 0 on which something was done.")

    @model_validator(mode="after")
    def _costs_something(self) -> Self:
        if not self.false_negative and not self.false_positive:
            raise WrongValueError(
                "no decision costs anything", "say what a wrong one costs, such as false_negative: 60"
            )
        return self


class HoldOut(FileSection):
    """Rows with inputs and labels, as the evaluation had them."""

    rows: RepoPath = Field(
        description="A table that the evaluation writes: the held-out rows, with the inputs of the "
        "signature by name, and the label. An output of DVC: the champion's is fetched by its digest."
    )
    label: Column = Field(description="The column that says what really happened.")
    time: Column | None = Field(
        None,
        description="When each row was. Rows of a day are alike, so a day counts as one observation; rows that a "
        "version was trained on (`data_until` of its signature) are told from those that it was not.",
    )
    unit: Column | None = Field(
        None, description="Whose row it is, where rows of one unit, such as a customer, are alike rather than of a day."
    )
    slices: tuple[Column, ...] = Field((), max_length=10, description="Columns whose groups are compared as well.")
    threshold: Number | MetricName = Field(
        0.5,
        description="Where an answer becomes a decision: a number, or the metric of each version that holds its own. "
        "Decisions that flip are counted.",
    )
    cost: DecisionCost | None = Field(
        None,
        description="What wrong decisions cost: compared like a metric, each version at its own threshold.",
    )
    traffic: RepoPath | None = Field(
        None,
        description="Folder of partitions that `gitml traffic export` wrote, with the same label: recent requests.",
    )
    window: TrainingWindow | None = Field(
        None, description="What a version is made from, so that the report says what a window gained and lost."
    )

    @property
    def digest(self) -> str:
        """Of all that says how two versions are compared on these rows; what is only shown is left out."""
        judged = self.model_dump(mode="json", include={"rows", "label", "time", "unit", "threshold", "cost"})
        return sha256(canonical(judged)).hexdigest()
