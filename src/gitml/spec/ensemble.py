"""The artifact of an ensemble: a small YAML file that pins its members; a model of models, promoted like any other."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.fields import FileSection, Name, Number, WrongValueError
from gitml.spec.deployment import Pin
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse

# So many ensembles may lie inside one another.
DEEPEST = 3


class Member(Pin):
    """One version whose answers are combined."""

    model: Name = Field(description="The model it is a version of.")
    name: Name | None = Field(None, description="Its name in the combiner's inputs; by default the model's.")
    weight: Annotated[Number, Field(gt=0)] | None = Field(None, description="Its part of the mean, for `weighted`.")
    threshold: Number | None = Field(None, description="For `vote`: from this answer on it says yes; by default 0.5.")

    @property
    def called(self) -> str:
        """Its name among the members."""
        return self.name or self.model


class Combiner(Pin):
    """A trained model whose inputs are the members' answers, each named like its member."""

    model: Name = Field(description="The model it is a version of.")


class Ensemble(FileSection):
    """The whole file."""

    ensemble: Literal["mean", "weighted", "vote", "stack"] = Field(
        description="How answers are combined. `vote`: the most frequent label, or the share of members that say yes; "
        "`stack`: by a trained combiner."
    )
    members: tuple[Member, ...] = Field(description="The versions that answer, two or more.")
    combiner: Combiner | None = Field(None, description="The model that combines, for `stack`.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.members) < 2:
            raise WrongValueError("an ensemble has two members or more", "list them under members")
        names = [m.called for m in self.members]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise WrongValueError(f"two members are called {twice[0]}", "give one of them a name of its own: name: …")
        if (self.combiner is not None) != (self.ensemble == "stack"):
            raise WrongValueError("combiner and `ensemble: stack` belong together", "write both or none")
        weighted = [m.weight is not None for m in self.members]
        if (self.ensemble == "weighted" and not all(weighted)) or (self.ensemble != "weighted" and any(weighted)):
            raise WrongValueError("weight belongs to every member of a weighted ensemble", "and to no other's")
        if self.ensemble != "vote" and any(m.threshold is not None for m in self.members):
            raise WrongValueError("threshold belongs to members of a vote")
        return self

    @property
    def pins(self) -> tuple[Member | Combiner, ...]:
        """All versions that it needs."""
        return (*self.members, *([self.combiner] if self.combiner else []))


def parse_ensemble(content: bytes, file: str) -> Ensemble:
    """The file's content. Raises SpecError with every problem."""
    return build(Ensemble, parse(content, file))
