"""The JSON files by which a training describes its model: signature, metrics by group, bootstrap replicates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel

from gitml.errors import Problem, SpecError
from gitml.fields import Flag, WrongValueError, shown
from gitml.jsontext import once_each
from gitml.spec.validate import build
from gitml.spec.yamlfile import Document, Key

Column = Annotated[str, Field(min_length=1, max_length=200)]
_TYPES = (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "bool",
    "string",
)  # fmt: skip
_MOMENTS = ("date", "time", "timestamp")
_DATES = "take month, weekday, hour as numbers before the model, or hand it over as a `string`"


def _check_type(value: Any) -> Any:
    if not isinstance(value, str) or value in _TYPES:
        return value
    if value.lower().startswith(_MOMENTS):
        raise WrongValueError(f"{shown(value)} is not a type that is served", _DATES)
    words = {"object": "`string`", "str": "`string`", "category": "`string`, with the words under `categories`"}
    words |= {"int": "`int64`", "float": "`float64`", "boolean": "`bool`", "double": "`float64`"}
    hint = f"write {words[value]}" if value in words else f"the types are {', '.join(_TYPES)}"
    raise WrongValueError(f"{shown(value)} is not a type that is served", hint)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class SignatureColumn(_Part):
    """One input or output of the model, in its order."""

    name: Column = Field(description="Its name, as in the training's table.")
    type: Annotated[Literal[_TYPES], BeforeValidator(_check_type)] = Field(  # type: ignore[valid-type]
        description="What a value is. Words, also those of the dtype `category`, are `string`."
    )
    categories: list[str] | None = Field(
        None, description="The words that the model was fitted on; another one is told in the answer."
    )
    nullable: Flag = Field(False, description="Whether a value may be missing.")


class SignatureFile(_Part):
    """What the model takes and gives: requests are checked by it. Numbers that are not labels are `float64`."""

    inputs: list[SignatureColumn] = Field(min_length=1, description="What it takes.")
    outputs: list[SignatureColumn] = Field(
        min_length=1, description="What it answers: numbers, labels, or a label and the chance of each class."
    )
    data_until: str | None = Field(
        None, description="Day or time of the newest training data, for the gate `data_age`."
    )


class SliceFileMetric(_Part):
    """A metric of the group, with the bounds of its interval if it has one."""

    value: float | None = Field(description="The metric on the rows of the group.")
    low: float | None = Field(None, description="Lower bound of its 95 % interval.")
    high: float | None = Field(None, description="Upper bound.")


class SliceFileEntry(_Part):
    """The rows that have one value in one column."""

    column: Column = Field(description="The column that groups are made by.")
    value: str | int | float | bool | None = Field(None, description="Its value there.")
    rows: int | None = Field(None, ge=0, description="How many rows have it: gates pass over small groups.")
    metrics: Mapping[str, SliceFileMetric | float | None] = Field(
        default_factory=dict, description="Metrics by name; none for a group with too few rows."
    )


class SlicesFile(RootModel[list[SliceFileEntry]]):
    """Metrics by group, for the gates `slices` and `fairness`, and for reports: a list of groups."""


class ReplicatesFile(_Part):
    """Metrics on resamples of the evaluated rows. Two versions with the same rows and seed are compared row by row."""

    rows_digest: str = Field(min_length=1, description="Names the evaluated rows: the same text for the same rows.")
    seed: int = Field(description="What the resamples were drawn with.")
    replicates: Mapping[str, list[float | None]] = Field(
        description="Each metric's value on each resample, in one order for all of them."
    )


DESCRIBING: Mapping[str, type[BaseModel]] = {
    "signature": SignatureFile,
    "slices": SlicesFile,
    "replicates": ReplicatesFile,
}


def _keys(data: Any, above: Key) -> Iterator[Key]:
    inner = enumerate(data) if isinstance(data, list) else data.items() if isinstance(data, dict) else ()
    for name, value in inner:
        yield (*above, name)
        yield from _keys(value, (*above, name))


def problems_in(role: str, raw: bytes, path: str) -> list[Problem]:
    """What is wrong in one of the files DESCRIBING; its keys count lists from 0."""
    try:
        data = json.loads(raw, object_pairs_hook=once_each)
    except (ValueError, RecursionError) as exc:
        return [Problem(path, 0, "", f"is not JSON: {exc}", "the stage that writes it must mend it")]
    try:
        # Without lines, but with keys: problems are named by them.
        build(DESCRIBING[role], Document(path, data, dict.fromkeys(_keys(data, ()), 0)), blanks=True)
    except SpecError as exc:
        return list(exc.problems)
    return []
