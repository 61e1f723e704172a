"""From a deployment file to models that answer: all of its versions loaded, warmed up and checked, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gitml.agent.fetch import Shelf, Version, application_at, fetched, record_of
from gitml.errors import FailedError, IntegrityError
from gitml.models.loading import load
from gitml.models.model import Model
from gitml.models.parity import apart
from gitml.registry.record import Record
from gitml.spec.application import Application
from gitml.spec.deployment import Deployment, Pin
from gitml.spec.ensemble import DEEPEST
from gitml.spec.policy import Policy
from gitml.traffic.exchange import EVERY_COLUMN

_ROWS = 1000


@dataclass(frozen=True)
class Checked:
    """Predictions of a loaded version compared with those of its sample rows; no rows: it has none."""

    rows: int = 0
    largest: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {"sample_rows": self.rows, "largest_difference": self.largest}


@dataclass(frozen=True)
class Member:
    """One version, ready to answer. ``inner``: the records of an ensemble's own versions."""

    record: Record
    model: Model
    checked: Checked
    inner: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """Everything that one deployment file pins: members by version. ``commit`` is main's that said so. Columns in
    ``private`` are not logged."""

    name: str
    deployment: Deployment
    members: Mapping[str, Member]
    commit: str
    private: frozenset[str] = frozenset()

    @property
    def digests(self) -> frozenset[str]:
        """SHA-256 of all files that it was loaded from."""
        records = [record for member in self.members.values() for record in (member.record, *member.inner)]
        return frozenset(file.sha256 for record in records for file in record.files.values())


@dataclass(frozen=True)
class Order:
    """What to load, and what is loaded already: members by version are taken over if their artifact is the same."""

    name: str
    deployment: Deployment
    commit: str
    pickle: bool = False
    there: Mapping[str, Member] | None = None


def bring_up(shelf: Shelf, order: Order) -> Loaded:
    """Fetch, load, warm up, and check every pinned version. What serves meanwhile is not touched.

    Raises IntegrityError, OutsideError, UsageError, or FailedError when predictions differ from the sample rows.
    """
    application = application_at(shelf.mirror, shelf.commit)
    loading = _Loading(shelf, application, order.pickle)
    members: dict[str, Member] = {}
    for pin in order.deployment.pins:
        kept = (order.there or {}).get(pin.version)
        if kept is not None and kept.model.digest == pin.digest:
            members[pin.version] = kept
        else:
            members[pin.version] = loading.member(order.name, pin)
    # What nobody can read may name any column.
    private = frozenset(application.private) if application else frozenset({EVERY_COLUMN})
    return Loaded(order.name, order.deployment, members, order.commit, private)


@dataclass(frozen=True)
class _Loading:
    """Versions at one commit. ``inside``: the ensembles around what is loaded, outermost first."""

    shelf: Shelf
    application: Application | None
    pickle: bool
    inside: tuple[str, ...] = ()

    def member(self, name: str, pin: Pin) -> Member:
        record = record_of(self.shelf.mirror, self.shelf.commit, name, pin)
        version = fetched(self.shelf, record, self.application, pickle=self.pickle)
        if record.signature is None:
            raise IntegrityError(
                f"{record.reference} has no signature, so no request could be checked",
                "name a file under `signature` in gitml.yaml, and train it again",
            )
        if version.artifact.is_dir():
            raise IntegrityError(f"{record.artifact} is a folder, and a model that is served is one file")
        inner: list[Record] = []
        model = load(
            version.artifact,
            version.format,
            record.signature,
            sha256=version.sha256,
            allow_pickle=version.pickle,
            members=self._members(record, inner),
        )
        return Member(record, model, _check(model, version), tuple(inner))

    def _members(self, record: Record, inner: list[Record]) -> Callable[[str, Pin], Model]:
        """Each version of an ensemble is fetched, checked and tried like one that is served alone."""
        if len(self.inside) >= DEEPEST:
            raise IntegrityError(f"{record.reference} is an ensemble inside {' inside '.join(self.inside)}: too deep")
        # An exception for pickles is for the model that policy.yaml names, not for what an ensemble brings in.
        deeper = replace(self, inside=(*self.inside, record.reference), pickle=False)

        def member(name: str, pin: Pin) -> Model:
            found = deeper.member(name, pin)
            inner.extend((found.record, *found.inner))
            return found.model

        return member


def _check(model: Model, version: Version) -> Checked:
    """The version's own rows must give the predictions that training wrote down."""
    if version.samples is None:
        return Checked()
    inputs, expected = _samples(model, version.samples)
    rows = len(next(iter(expected.values()), []))
    if rows == 0:
        return Checked()
    answers = model.answers(model.signature.columns(inputs))
    largest = 0.0
    for place, (name, wanted) in enumerate(expected.items()):
        for row, (a, b) in enumerate(zip(answers[:, place].tolist(), wanted, strict=True)):
            gap, tolerated = apart(a, b)
            if not gap <= tolerated:
                raise FailedError(
                    f"{version.record.reference} answers otherwise than its sample rows say: {name} in row {row} is "
                    f"{a!r}, and {b!r} was recorded",
                    "was it trained with other releases of its libraries than serve here?",
                )
            largest = max(largest, gap)
    return Checked(rows, largest)


def _samples(model: Model, path: Path) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Input columns and recorded predictions, by name."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    names = [f.name for f in (*model.signature.inputs, *model.signature.outputs)]
    try:
        table = parquet.ParquetFile(path).read(columns=names).slice(0, _ROWS)
    except (OSError, pa.ArrowException) as exc:
        raise IntegrityError(f"the sample rows {path.name} cannot be read: {exc}") from exc
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise IntegrityError(f"the sample rows have no column {missing[0]}", "they must hold all inputs and outputs")
    columns = {name: table.column(name).to_pylist() for name in names}
    inputs = {f.name: columns[f.name] for f in model.signature.inputs}
    return inputs, {f.name: columns[f.name] for f in model.signature.outputs}


def may_pickle(policy: Policy, model: str, now: datetime) -> bool:
    """Whether policy.yaml has an exception for this model that is in force."""
    return any(e.allow == "pickle" and e.model == model and now < e.until for e in policy.exceptions)


def why_not_loaded(exc: BaseException) -> str:
    """An error of loading in one line."""
    hint = getattr(exc, "hint", "")
    return f"{exc}; {hint}" if hint else str(exc) or type(exc).__name__
