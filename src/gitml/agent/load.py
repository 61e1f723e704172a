"""From a deployment file to an order for the server's process: all of its versions found, fetched, held against
their digests and tried in quarantine, or none. Nothing here opens a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitml.agent.fetch import MirrorShelf, application_at, private_at
from gitml.agent.judge import Go
from gitml.agent.messages import GivenVersion, ServedVersion, ServeOrder
from gitml.agent.source import Wanted
from gitml.agent.state import Applied, stamp
from gitml.errors import GitmlError
from gitml.fields import Format
from gitml.models.quarantine import Quarantine
from gitml.registry.record import Record
from gitml.spec.application import Model, format_of, stored_as
from gitml.spec.deployment import Deployment, Pin, parse_deployment, render_deployment
from gitml.spec.ensemble import DEEPEST, parse_ensemble
from gitml.spec.policy import Policy
from gitml.urls import shown

# The supervisor opens no model, and has no use for libraries of numbers.
if TYPE_CHECKING:
    from gitml.registry.load import VersionShelf


@dataclass(frozen=True)
class LoadedModel:
    """What was asked of the server's process, and what it said of each version."""

    order: ServeOrder
    deployment: Deployment
    versions: tuple[ServedVersion, ...]

    @property
    def digests(self) -> frozenset[str]:
        """SHA-256 of all files that it was loaded from."""
        return frozenset(file.sha256 for given in self.order.versions for file in given.record.files.values())


@dataclass(frozen=True)
class LoadOrder:
    """What to load. ``served``: it was served from here before, so it is known to come to an end."""

    name: str
    deployment: Deployment
    commit: str
    pickle: bool = False
    served: bool = False


def planned(shelf: MirrorShelf, order: LoadOrder) -> ServeOrder:
    """Fetch every pinned version, and those that ensembles pin.

    Raises RefError, SpecError, IntegrityError, OutsideError or UsageError.
    """
    application = application_at(shelf.mirror, shelf.commit)
    models = application.models if application else {}
    return order_of(shelf, models, order, private_at(shelf.mirror, shelf.commit))


def order_of(shelf: VersionShelf, models: Mapping[str, Model], order: LoadOrder, private: frozenset[str]) -> ServeOrder:
    """The same for versions that lie on any shelf; ``models``: those of gitml.yaml. Raises what the shelf raises."""
    found: dict[tuple[str, str], GivenVersion] = {}
    for pin in order.deployment.pins:
        for given in _given(shelf, models, order.name, pin):
            found[given.record.model, given.record.version] = given
    return ServeOrder(
        name=order.name,
        deployment=render_deployment(order.deployment),
        commit=order.commit,
        versions=tuple(found.values()),
        stored={name: (model.artifact, model.artifact_format) for name, model in models.items()},
        private=private,
        pickle=order.pickle,
    )


def formats_of(plan: ServeOrder) -> frozenset[str]:
    """How its versions are stored, as far as that is said."""
    return frozenset(kind for given in plan.versions if (kind := _format(plan, given.record)))


def tried(plan: ServeOrder, there: LoadedModel | None, quarantine: Quarantine) -> None:
    """Load each version in quarantine, but for those that serve already. Raises what ``Quarantine.try_load`` does."""
    serving = there.order.versions if there else ()
    pins = {pin.version for pin in parse_deployment(plan.deployment.encode(), plan.name).pins}
    for given in plan.versions:
        record, kind = given.record, _format(plan, given.record)
        may_pickle = plan.pickle and record.model == plan.name and record.version in pins
        # An ensemble is a few lines of YAML; what is missing is said where it is loaded.
        if given in serving or kind in (None, "ensemble") or record.signature is None:
            continue
        if kind == "pickle" and not may_pickle:
            continue
        quarantine.try_load(
            Path(given.files[record.artifact]),
            kind,
            record.signature,
            sha256=record.files[record.artifact].sha256,
            allow_pickle=may_pickle,
            samples=next((Path(given.files[name]) for name in _samples(record)), None),
        )


def _format(plan: ServeOrder, record: Record) -> Format | None:
    artifact, kind = plan.stored.get(record.model, ("", None))
    return kind if artifact == record.artifact else stored_as(record.artifact)


def _given(
    shelf: VersionShelf, models: Mapping[str, Model], name: str, pin: Pin, depth: int = 0
) -> Iterator[GivenVersion]:
    record = shelf.record(name, pin)
    paths = {**shelf.files(record, [record.artifact, *_samples(record)]), **_reference(shelf, record)}
    yield GivenVersion(record=record, files={name: str(path.absolute()) for name, path in paths.items()})
    # What lies deeper is refused where it is loaded.
    if format_of(models, record.model, record.artifact) == "ensemble" and depth < DEEPEST:
        for inner in parse_ensemble(paths[record.artifact].read_bytes(), record.artifact).pins:
            yield from _given(shelf, models, inner.model, inner, depth + 1)


def _reference(shelf: VersionShelf, record: Record) -> Mapping[str, Path]:
    """By its name in the record. Nothing where the version has none, or it cannot be had: it serves all the same."""
    name = record.roles.get("reference", "")
    with suppress(GitmlError):
        return shelf.files(record, [name]) if name in record.files else {}
    return {}


def _samples(record: Record) -> Sequence[str]:
    name = record.roles.get("samples")
    return [name] if name and name in record.files else []


def applied_by(
    found: Go, loaded: LoadedModel, wanted: Wanted | None, since: datetime, *, pickle: bool, seconds: float
) -> Applied:
    """What is remembered of a change that serves from now on."""
    change = found.trusted.change
    return Applied(
        commit=change.commit,
        path=change.path,
        blob=change.new,
        text=(wanted.content if wanted else b"").decode(),
        since=stamp(since),
        parent=change.parent,
        old=change.old,
        evidence=found.trusted.events,
        rollback=found.trusted.rollback,
        pickle=pickle,
        seconds=round(seconds, 3),
        checked={one.version: _checked(one) for one in loaded.versions},
    )


def _checked(served: ServedVersion) -> dict[str, Any]:
    return {"sample_rows": served.rows, "largest_difference": served.largest}


def may_pickle(policy: Policy, model: str, now: datetime) -> bool:
    """Whether policy.yaml has an exception for this model that is in force."""
    return any(e.allow == "pickle" and e.model == model and now < e.until for e in policy.exceptions)


def why_not_loaded(exc: BaseException) -> str:
    """An error of loading in one line."""
    hint = getattr(exc, "hint", "")
    said = shown(" ".join(str(exc).split()))
    return f"{said}; {hint}" if hint else said or type(exc).__name__
