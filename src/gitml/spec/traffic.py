"""``traffic`` in gitml.yaml: where requests, labels and events are kept, and what of them becomes a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gitml.fields import Duration, EnvironmentName, FileSection, Name, RepoPath, SecretName


class TrafficExport(FileSection):
    """Labelled traffic of one model as a data set under DVC, which training reads."""

    environment: EnvironmentName = Field(alias="in", description="Only what was served there.")
    label: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        "label", description="What the column of labels is called, as `holdout` of the model calls it."
    )
    to: RepoPath | None = Field(None, description="The folder of its partitions; by default `data/traffic/MODEL`.")
    labels_within: Duration | None = Field(
        None, description="When labels have come, such as 1d; by default as the model's monitor says."
    )


class Traffic(FileSection):
    """Where servers and batch jobs keep requests, labels and business events."""

    at: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        description="A folder on the machines that serve, or the URL of an object store, such as s3://bucket/traffic. "
        "Keys stand in the environment, not in the URL."
    )
    secrets: tuple[SecretName, ...] = Field(
        (),
        description="Secrets of the forge's Environment `gitml-traffic` that the job which looks at traffic sees as "
        "environment variables: keys that read the traffic, and DVC's remote. Jobs of branches never get them.",
    )
    export: Mapping[Name, TrafficExport] = Field(
        default_factory=dict,
        description="By model: each day a job of main writes what is ripe, and a pull request brings it. It needs "
        "policy.yaml, and rights in `gitml-traffic` that write DVC's remote.",
    )
