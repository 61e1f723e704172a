"""From a deployment file to models that answer: all of its versions loaded, warmed up and checked, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from gitml.errors import FailedError, IntegrityError
from gitml.flows.agentfetch import Shelf, Version, application_at, fetched, record_of
from gitml.registry.record import Record
from gitml.serving.loading import load
from gitml.serving.model import Model
from gitml.spec.deployment import Deployment
from gitml.spec.policy import Policy

TOLERANCE = 1e-6
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
    """One version, ready to answer."""

    record: Record
    model: Model
    checked: Checked


@dataclass(frozen=True)
class Loaded:
    """Everything that one deployment file pins: members by version. ``commit`` is main's that said so."""

    name: str
    deployment: Deployment
    members: Mapping[str, Member]
    commit: str

    @property
    def digests(self) -> frozenset[str]:
        """SHA-256 of all files that it was loaded from."""
        return frozenset(f.sha256 for m in self.members.values() for f in m.record.files.values())


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
    members: dict[str, Member] = {}
    for pin in order.deployment.pins:
        record = record_of(shelf.mirror, shelf.commit, order.name, pin)
        kept = (order.there or {}).get(pin.version)
        if kept is not None and kept.model.digest == pin.digest:
            members[pin.version] = kept
            continue
        version = fetched(shelf, record, application, pickle=order.pickle)
        members[pin.version] = _member(version)
    return Loaded(order.name, order.deployment, members, order.commit)


def _member(version: Version) -> Member:
    record = version.record
    if record.signature is None:
        raise IntegrityError(
            f"{record.reference} has no signature, so no request could be checked",
            "name a file under `signature` in gitml.yaml, and train it again",
        )
    if version.artifact.is_dir():
        raise IntegrityError(f"{record.artifact} is a folder, and a model that is served is one file")
    model = load(version.artifact, version.format, record.signature, sha256=version.sha256, allow_pickle=version.pickle)
    return Member(record, model, _check(model, version))


def _check(model: Model, version: Version) -> Checked:
    """The version's own rows must give the predictions that training wrote down."""
    if version.samples is None:
        return Checked()
    inputs, expected = _samples(model, version.samples)
    rows = len(expected)
    if rows == 0:
        return Checked()
    found = np.asarray(model.answers(model.signature.columns(inputs)), dtype=np.float64)
    gap = np.abs(found - expected)
    largest = float(gap.max())
    if not largest <= TOLERANCE:
        row = int(gap.max(axis=1).argmax())
        raise FailedError(
            f"{version.record.reference} answers otherwise than its sample rows say: {largest:g} apart in row {row}",
            f"the tolerance is {TOLERANCE:g}; was it trained with other releases of its libraries than serve here?",
        )
    return Checked(rows, largest)


def _samples(model: Model, path: Path) -> tuple[dict[str, Any], Any]:
    """Input columns by name, and predictions of shape (rows, outputs)."""
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
    inputs = {f.name: table.column(f.name).to_pylist() for f in model.signature.inputs}
    try:
        outputs = [np.array(table.column(f.name).to_pylist(), dtype=np.float64) for f in model.signature.outputs]
    except (TypeError, ValueError) as exc:
        raise IntegrityError(f"the predictions among the sample rows are no numbers: {exc}") from exc
    return inputs, np.stack(outputs, axis=1) if outputs else np.empty((table.num_rows, 0))


def may_pickle(policy: Policy, model: str, now: datetime) -> bool:
    """Whether policy.yaml has an exception for this model that is in force."""
    return any(e.allow == "pickle" and e.model == model and now < e.until for e in policy.exceptions)


def why_not_loaded(exc: BaseException) -> str:
    """An error of loading in one line."""
    hint = getattr(exc, "hint", "")
    return f"{exc}; {hint}" if hint else str(exc) or type(exc).__name__
