"""``scoring`` in gitml.yaml: data sets that a model scores on a schedule."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import EnvironmentName, FileSection, Flag, WrongValueError

DAY = "{day}"
Place = Annotated[str, Field(min_length=1, max_length=500)]


class ScheduledScoring(FileSection):
    """One model's batches. An orchestrator runs them: `gitml ci render --for airflow`."""

    environment: EnvironmentName = Field(alias="in", description="Whose champion scores, such as production.")
    input: Place = Field(
        description="A table, a folder of tables, or their URL. `{day}` is the last whole day, in UTC: 2026-01-31."
    )
    output: Place = Field(
        description="Where the scores go, with `{day}` in it: a folder of scores belongs to one version."
    )
    every: Literal["hour", "day"] = Field("day", description="How often; what is scored already is not scored again.")
    log: Flag = Field(False, description="Tell the traffic of it, so that monitors see batches too.")

    @model_validator(mode="after")
    def _own_folder(self) -> Self:
        if DAY not in self.output:
            raise WrongValueError(
                "`output` has no {day}", "such as s3://bucket/scores/{day}: another version is refused"
            )
        odd = next((text for text in (self.input, self.output) if not text.isprintable()), None)
        if odd is not None:
            raise WrongValueError(f"{odd!r} holds characters that cannot be printed")
        return self
