"""Where models are loaded and answer: what an order names, from files that lie here, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from gitml.agent.calls import CallMarks
from gitml.agent.messages import GivenVersion, ServedVersion, ServeOrder
from gitml.errors import RefError
from gitml.models.sharedarrays import SharedArrays
from gitml.registry.load import LoadedVersion, Loader
from gitml.registry.record import Record
from gitml.spec.application import Model
from gitml.spec.deployment import Deployment, Pin, parse_deployment


@dataclass(frozen=True)
class Furnished:
    """Everything that one deployment file pins: members by version. ``commit`` is main's that said so. Columns in
    ``private`` are not logged."""

    name: str
    deployment: Deployment
    members: Mapping[str, LoadedVersion]
    commit: str
    private: frozenset[str] = frozenset()

    @property
    def told(self) -> tuple[ServedVersion, ...]:
        """Each version, what it was loaded from, and how it answered its samples."""
        return tuple(
            ServedVersion(
                version=version, digest=one.model.digest, rows=one.parity.rows, largest=min(one.parity.largest, 1e300)
            )
            for version, one in self.members.items()
        )


@dataclass(frozen=True)
class GivenShelf:
    """The versions of an order, and nothing else."""

    versions: Sequence[GivenVersion]

    def record(self, model: str, pin: Pin) -> Record:
        return self._given(model, pin.version, pin.digest).record

    def files(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        given = self._given(record.model, record.version, record.files[record.artifact].sha256)
        return {name: Path(given.files[name]) for name in names}

    def _given(self, model: str, version: str, digest: str) -> GivenVersion:
        for given in self.versions:
            record = given.record
            if (record.model, record.version, record.files[record.artifact].sha256) == (model, version, digest):
                return given
        raise RefError(f"{model} {version} is not among what was fetched")


def bring_up(
    order: ServeOrder, there: Furnished | None, marks: CallMarks | None = None, shared: SharedArrays | None = None
) -> Furnished:
    """Load, warm up, and check every pinned version; ``there`` serves, and is taken over where it is the same.
    ``shared``: where other processes look for the arrays of the same order.

    Raises SpecError, IntegrityError, OutsideError, UsageError, or FailedError when predictions differ from the samples.
    """
    deployment = parse_deployment(order.deployment.encode(), f"models/{order.name}")
    models = {name: _model(*stored) for name, stored in order.stored.items()}
    loader = Loader(GivenShelf(order.versions), models, order.pickle, shared=shared)
    members: dict[str, LoadedVersion] = {}
    for pin in deployment.pins:
        kept = there.members.get(pin.version) if there else None
        if kept is None or kept.model.digest != pin.digest:
            place = order.marks.get(pin.version)
            with marks.loading(place) if marks and place is not None else nullcontext():
                kept = loader.pinned(order.name, pin)
            if marks and place is not None:
                kept = replace(kept, model=marks.around(kept.model, place))
        members[pin.version] = kept
    return Furnished(order.name, deployment, members, order.commit, order.private)


def _model(artifact: str, stored: str) -> Model:
    """As much of a model of gitml.yaml as loading needs."""
    return Model.model_validate({"artifact": artifact, "format": stored, "metrics": "metrics.json"})
