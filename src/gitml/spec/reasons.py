"""The words in which an explanation tells people why: a small file that the business edits, beside each model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import FileSection, WrongValueError
from gitml.spec.validate import build
from gitml.spec.yamlfile import read


class Reason(FileSection):
    """What to say of one input that moved the answer in one direction."""

    input: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="The name that the signature has.")
    direction: Literal["raises", "lowers"] = Field(description="What the input did to the answer.")
    text: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        description="The reason in plain words; `{value}` stands for what the input was."
    )

    def said(self, value: str) -> str:
        """
        >>> Reason(input="distance", direction="raises", text="It is a long flight: {value} miles").said("2,475")
        'It is a long flight: 2,475 miles'
        """
        return self.text.replace("{value}", value)


class Reasons(FileSection):
    """The whole file."""

    reasons: tuple[Reason, ...] = Field(description="At most one for each input and direction.")

    @model_validator(mode="after")
    def _says_each_once(self) -> Self:
        keys = [(reason.input, reason.direction) for reason in self.reasons]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            name, direction = twice[0]
            raise WrongValueError(f"there are two reasons for {name} that {direction} the answer", "keep one of them")
        return self

    def of(self, name: str, direction: str) -> Reason | None:
        """What to say of the input ``name``; None where nobody wrote it."""
        return next((r for r in self.reasons if (r.input, r.direction) == (name, direction)), None)


def load_reasons(root: Path, path: str) -> Reasons:
    """The file at ``path`` of the application. Raises SpecError with every problem."""
    return build(Reasons, read(root / path, path))
