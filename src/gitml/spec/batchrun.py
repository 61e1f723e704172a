"""``run`` of a model in gitml.yaml: what its batches run on, by environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import EnvironmentName, FileSection, Flag, WrongValueError

MEMORY = "[1-9][0-9]{0,5}[mg]"
BatchEngine = Literal["local", "spark", "ray", "flink"]


class BatchRun(FileSection):
    """The engine that `gitml score` maps the version over files with."""

    engine: BatchEngine = Field("local", description="What runs it; all but `local` come with `gitml env ENGINE`.")
    master: Annotated[str, Field(max_length=500, pattern=r"^[A-Za-z0-9\[][!-~]*$")] | None = Field(
        None,
        description="Address of the cluster, such as spark://host:7077 or host:6379; without it, this machine.",
    )
    memory: Annotated[str, Field(pattern=rf"^{MEMORY}$")] | None = Field(
        None, description="Memory of a process of the engine, such as 4g."
    )
    workers: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None, description="Processes on this machine; a cluster has its own."
    )
    packed: Flag = Field(
        False,
        description="Send the engine's environment to workers of another machine, which need the same Python at the "
        "same place. Without it they have that environment where this machine has it, such as on a shared disk.",
    )

    @model_validator(mode="after")
    def _has_a_cluster(self) -> Self:
        if self.engine == "local" and (self.master or self.memory or self.packed):
            raise WrongValueError("`local` has no master, memory or packed environment", "write engine: spark")
        if self.packed and self.engine != "spark":
            raise WrongValueError("only Spark sends environments", "leave `packed` out")
        return self


class RunSpec(FileSection):
    """What a model runs on."""

    batch: BatchRun = Field(default_factory=BatchRun, description="What its batches run on.")
    environments: Mapping[EnvironmentName, BatchRun] = Field(
        default_factory=dict, description="The same where an environment has another one, by its name."
    )

    def batch_in(self, environment: str) -> BatchRun:
        """That of the environment; '' for a version that is named by itself."""
        return self.environments.get(environment, self.batch)
