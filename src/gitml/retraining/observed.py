"""What runs in another repository, as a job of main saw and signed it (evidence ``observed``).

Main alone does not say it, so a retraining because of it names such a statement, from which the gate derives the same.
Between two of them nothing is known: one that is old opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import GitmlError
from gitml.evidence.statement import Statement
from gitml.fields import Name
from gitml.git.tree import Tree
from gitml.refs import VERSION
from gitml.registry.record import Record
from gitml.registry.resolve import environments
from gitml.registry.store import record_in, versions
from gitml.retraining.causes import UpstreamChange
from gitml.spec.application import Application
from gitml.spec.modelgraph import ModelAt, upstream_at
from gitml.spec.upstream import UpstreamNeed

KIND = "observed"
FRESH = timedelta(days=2)
# From the moment that a job takes for now until it signs: it fetches other repositories in between.
_SIGNED_WITHIN = timedelta(hours=1)
_MOST_VERSIONS = 500

_Line = Annotated[str, Field(max_length=1000)]


def _is_version(text: str) -> str:
    if not VERSION.fullmatch(text):
        raise ValueError("is no version")
    return text


_Version = Annotated[str, AfterValidator(_is_version)]


class ObservedUpstream(BaseModel):
    """The details of the evidence. ``need`` is the key under `needs`, ``commit`` is of main there.

    ``runs``, a version with the SHA-256 of its artifact, is champion in ``environment`` ``since`` a moment, by the word
    of main there and evidence that its own policy.yaml believes. ``trained_with``: the versions that the newest one
    here can have been made with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    need: Name
    repository: _Line
    branch: _Line
    application: _Line
    model: Name
    environment: Name
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    runs: _Version
    artifact: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    trained_with: Annotated[tuple[_Version, ...], Field(min_length=1, max_length=_MOST_VERSIONS)]
    since: AwareDatetime

    @property
    def at(self) -> ModelAt:
        return ModelAt(self.repository, self.application, self.model)

    @property
    def change(self) -> UpstreamChange:
        told = " or ".join(self.trained_with)
        return UpstreamChange(str(self.at), self.environment, told, self.runs, self.since)

    def says_as(self, other: ObservedUpstream) -> bool:
        """Whether both say the same; main there may have gone on."""
        return self == other.model_copy(update={"commit": self.commit})


@dataclass(frozen=True)
class Downstream:
    """The model that needs others, as a commit of main has it; ``folder`` is that of its application, '' at the top."""

    app: Application
    tree: Tree
    folder: str
    model: str

    @property
    def newest(self) -> Record | None:
        """None where there is none, or it cannot be read."""
        names = versions(self.tree, self.model)
        try:
            return record_in(self.tree, self.model, names[-1]) if names else None
        except GitmlError:
            return None

    @property
    def elsewhere(self) -> dict[str, UpstreamNeed]:
        """What it needs of other repositories."""
        return {key: need for key, need in self.app.models[self.model].needs.items() if need.repository}

    def places(self, need: UpstreamNeed) -> tuple[str, ...]:
        """The environments in which the upstream must run: where the model itself does, or where `in` says."""
        here = environments(self.tree, self.model)
        return tuple(dict.fromkeys(need.environment or place for place in here))


def observed_in(one: Downstream, statement: Statement) -> ObservedUpstream | None:
    """None where the statement says nothing of what this main needs: another need, environment or newest version."""
    about, newest = statement.binding, one.newest
    if about.kind != KIND or newest is None:
        return None
    bound = (newest.model, newest.version, newest.files[newest.artifact].sha256)
    if (about.model, about.version, about.artifact) != bound:
        return None
    try:
        told = ObservedUpstream.model_validate(dict(statement.details))
    except ValidationError:
        return None
    need = one.elsewhere.get(told.need)
    if need is None or told.environment not in one.places(need) or told.runs in told.trained_with:
        return None
    is_same = (told.at, told.branch) == (upstream_at(told.need, need, one.folder), need.branch)
    return told if is_same else None


def is_fresh(statement: Statement, at: datetime) -> bool:
    """Whether something may be opened ``at`` the moment because of it."""
    signed = statement.binding.moment
    return at - FRESH <= signed <= at + _SIGNED_WITHIN


def last_observed(one: Downstream, statements: Sequence[Statement]) -> tuple[ObservedUpstream, ...]:
    """What was known of other repositories once ``statements`` were signed, oldest first: the newest of each counts."""
    found = (told for each in statements if (told := observed_in(one, each)))
    return tuple({(told.at, told.environment): told for told in found}.values())
