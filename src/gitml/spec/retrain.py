"""``retrain`` of gitml.yaml, and ``retraining`` of policy.yaml: when a model is trained again, and what holds that up.

What is changed stands in gitml.yaml; the brakes stand in policy.yaml, because they decide what the bot may do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, Strict, model_validator

from gitml.errors import Problem, SpecError
from gitml.fields import Count, Duration, FileSection, Name, Number, RepoPath, Text, WrongValueError, shown
from gitml.spec.datewords import day_of
from gitml.spec.monitors import Share
from gitml.spec.yamlfile import with_scalars

RetrainCause = Literal["harm", "performance", "erasure", "upstream", "drift", "new_data", "schedule"]
# The most urgent first: one pull request is opened for one of them.
RETRAIN_CAUSES: tuple[RetrainCause, ...] = (
    "harm", "performance", "erasure", "upstream", "drift", "new_data", "schedule",
)  # fmt: skip
# Those that looks of monitors show.
LOOK_CAUSES: tuple[RetrainCause, ...] = ("harm", "performance", "drift")
_MOST_LOOKS = 32
_Amount = Annotated[Number, Field(ge=0)]


_LARGEST, _SOME_DAY = 2**63 - 1, datetime(2026, 1, 1, tzinfo=UTC)


def _value(value: object) -> object:
    if isinstance(value, str):
        day_of(value, _SOME_DAY)
        return value
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise WrongValueError("a whole number of more than 64 bits cannot be set")
    if isinstance(value, bool | int | float):
        return value
    raise WrongValueError(f"{shown(value)} cannot be set", "write a day such as yesterday, a number, true or false")


ParamValue = Annotated[
    Annotated[bool, Strict()] | Annotated[int, Strict()] | Annotated[float, Strict()] | str, BeforeValidator(_value)
]


def check_params(path: str) -> str:
    """What the bot changes by itself is a file of parameters: none that says what runs where, or who decides, neither
    here nor in a folder, which may be another application."""
    *folders, name = path.casefold().split("/")
    is_hidden = any(part.startswith(".") for part in (*folders, name))
    if name.endswith((".yaml", ".yml", ".json")) and not is_hidden and "models" not in folders and name not in _NEVER:
        return path
    raise WrongValueError(f"{shown(path)} is not a file of parameters", "name a YAML or JSON file, such as params.yaml")


_NEVER = ("gitml.yaml", "policy.yaml", "dvc.yaml")


class RetrainCost(FileSection):
    """What one run is expected to cost."""

    hours: _Amount | None = Field(None, description="Hours that the training takes.")
    gpu_hours: _Amount = Field(0.0, description="GPU hours, which the quota of policy.yaml counts.")
    money: _Amount | None = Field(None, description="Money, in the unit of `error`.")


class RetrainSpec(FileSection):
    """When one model is trained again, and with what."""

    causes: Annotated[tuple[RetrainCause, ...], Field(min_length=1)] = Field(
        description="What makes it due: `schedule`, `new_data`, `drift`, `harm`, `performance`, `upstream`, `erasure`."
    )
    every: Duration | None = Field(None, description="For `schedule`: so long after the newest version.")
    data: tuple[RepoPath, ...] = Field(
        (),
        description="For `new_data`: files of the repository, such as `data/flights.dvc`, that change with the data.",
    )
    grown_by: Share = Field(0.0, description="For `new_data`: by what share they must have grown, 0.1 is a tenth.")
    params: Annotated[RepoPath, AfterValidator(check_params)] = Field(
        "params.yaml", description="The file of parameters that `set` changes; YAML or JSON."
    )
    set: Mapping[Text, ParamValue] = Field(
        default_factory=dict,
        description="Parameters, such as `window.last_day`, and what they become: a day in words or a number.",
    )
    cost: RetrainCost = Field(default_factory=RetrainCost, description="What one run is expected to cost.")
    error: _Amount | None = Field(None, description="What one wrong answer costs, where that is known.")

    @model_validator(mode="after")
    def _has_what_its_causes_need(self) -> Self:
        if "schedule" in self.causes and self.every is None:
            raise WrongValueError("the cause schedule needs `every`", "such as every: 30d")
        if "new_data" in self.causes and not self.data:
            raise WrongValueError("the cause new_data needs `data`", "name files that change with the data")
        return self

    def params_at(self, content: bytes, moment: datetime) -> bytes:
        """The file ``params`` with what ``set`` says at ``moment``. Raises SpecError for a key that it lacks, and for a
        day that no calendar has."""
        # A day in quotes: without them YAML reads a date, which DVC takes for none of its values.
        values = {name: json.dumps(value) for name, value in self.values_at(moment).items()}
        return with_scalars(content, self.params, values)

    def unsettable(self, known: Mapping[str, Any]) -> tuple[str, ...]:
        """Those of ``set`` that are a group, a list or an item of one in the parameters ``known``."""
        return tuple(name for name in self.set if isinstance(_inside(known, name.split(".")), Mapping | list))

    def values_at(self, moment: datetime) -> dict[str, bool | float | str]:
        """What ``set`` says at ``moment``, days as dates. Raises SpecError for a day that no calendar has."""
        return {name: self._value_at(name, said, moment) for name, said in self.set.items()}

    def _value_at(self, name: str, said: bool | float | str, moment: datetime) -> bool | float | str:
        try:
            return day_of(said, moment).isoformat() if isinstance(said, str) else said
        except WrongValueError as exc:
            raise SpecError([Problem(self.params, 0, name, exc.message, exc.hint)]) from None


def _inside(known: Any, parts: Sequence[str]) -> Any:
    """The first list on the way, else what is there."""
    if not parts or not isinstance(known, Mapping):
        return known
    return _inside(known.get(parts[0]), parts[1:])


class RetrainLooks(FileSection):
    """How many looks must fail before an alarm of a monitor is a cause: one bad window is none."""

    failed: Count = Field(2, description="So many of the last looks must have failed.")
    of: Annotated[Count, Field(le=_MOST_LOOKS)] = Field(3, description="How many of the last looks are counted.")

    @model_validator(mode="after")
    def _can_fail(self) -> Self:
        if self.failed > self.of:
            raise WrongValueError("more looks must fail than are counted", "write failed: 2 and of: 3")
        return self


def check_cool_down(value: timedelta) -> timedelta:
    if value < timedelta(hours=1):
        raise WrongValueError("a cool-down is at least 1h", "such as 7d")
    return value


class RetrainRules(FileSection):
    """What holds retrainings up. Without this section the defaults hold."""

    open: tuple[RetrainCause, ...] = Field(
        RETRAIN_CAUSES,
        description="Causes for which the bot opens a pull request by itself; for the others a person does, with "
        "`gitml retrain open`.",
    )
    cool_down: Annotated[Duration, AfterValidator(check_cool_down)] = Field(
        timedelta(days=7),
        description="So long after the newest version, or the newest retraining, nothing new is opened.",
        json_schema_extra={"default": "7d"},
    )
    looks: RetrainLooks = Field(default_factory=RetrainLooks, description="How many looks must have failed.")
    runs: Count = Field(4, description="Retrainings of one model in 30 days, at most.")
    gpu_hours: _Amount | None = Field(None, description="GPU hours of all models in 30 days, at most.")
    at_once: Count = Field(5, description="Retrainings of all models that are open at once, at most.")
    comments: Count = Field(3, description="Comments on retrainings of one model in a week, at most.")
    decline: tuple[Name, ...] = Field((), description="Roles whose people may say no; by default all roles.")
    without_gain: Count = Field(3, description="After so many retrainings without gain the bot opens no more.")
