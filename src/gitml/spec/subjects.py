"""``subjects`` of gitml.yaml: which columns say whom a row is about, so that one person can be found and erased."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from gitml.fields import Duration, FileSection, Flag, RepoPath, SecretName, Text

IdForm = Literal["nfc", "nfkc", "casefold", "visible", "trim", "alphanumeric"]
Columns = Annotated[tuple[Text, ...], Field(min_length=1)]


class SubjectTraffic(FileSection):
    """Where an id stands in logged requests."""

    unit: Flag = Field(True, description="The unit that a request names is such an id. Business events have it too.")
    features: tuple[Text, ...] = Field((), description="Inputs of models that are such ids.")


class Subjects(FileSection):
    """Data sets with the columns that hold ids of people, and how ids are compared."""

    key: SecretName = Field(
        "SUBJECT_KEYS",
        description="The environment variable with the keys that ids are hashed with, such as "
        "`2026b:SECRET,2026a:SECRET`: the first one hashes, the others only find. `gitml subject keygen` makes one.",
    )
    form: tuple[IdForm, ...] = Field(
        ("nfkc", "casefold", "visible", "trim"),
        description="What is done to an id before it is hashed, so that two spellings are one: `nfc` or `nfkc` "
        "(Unicode's normal forms), `casefold`, `visible` (characters that cannot be seen go), `trim`, `alphanumeric` "
        "(all but letters and digits goes).",
    )
    data: Mapping[RepoPath, Columns] = Field(
        min_length=1,
        description="Data of DVC (the path of a stage's output or of a .dvc file), and their columns that hold ids.",
    )
    traffic: SubjectTraffic = Field(
        default_factory=SubjectTraffic, description="Where an id stands in logged requests."
    )
    retrain_within: Duration = Field(
        timedelta(days=90),
        description="How long after a request models that were trained on the person are to be trained again.",
        json_schema_extra={"default": "90d"},
    )
    command: Text | None = Field(
        None,
        description="A shell command that removes a person where data come from, such as a database. "
        "`gitml subject erase` runs it on the machine of whoever calls it, with the id on standard input.",
    )
