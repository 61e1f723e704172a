"""One number against a Bound of policy.yaml."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from gitml.fields import FileSection, Number, WrongValueError
from gitml.gates.verdicts import failed, number, passed, shown, unclear
from gitml.verdict import Verdict


class Bound(FileSection):
    """Where a number must lie."""

    at_least: Number | None = Field(None, description="The number, or more.")
    at_most: Number | None = Field(None, description="The number, or less.")

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise WrongValueError("says nothing", "write at_least or at_most with a number")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise WrongValueError("no number is both at_least and at_most this", "at_least must be the smaller one")
        return self


def within(name: str, value: Any, bound: Bound) -> Verdict:
    """``value`` may be anything that a file held: only a finite number is judged."""
    found = number(value)
    if found is None:
        return unclear(f"{name} is {'missing' if value is None else 'no finite number'}")
    if bound.at_least is not None and found < bound.at_least:
        return failed(f"{name} is {shown(found)}, at least {shown(bound.at_least)} is needed", {name: found})
    if bound.at_most is not None and found > bound.at_most:
        return failed(f"{name} is {shown(found)}, at most {shown(bound.at_most)} is allowed", {name: found})
    return passed(f"{name} is {shown(found)}", {name: found})
