"""One version tried: its bytes loaded as data, its answers compared with those it was recorded with, its speed."""

from __future__ import annotations

import hashlib
import io
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from gitml.control.mainline import Mainline, record_path
from gitml.dvc.remotes import Depot
from gitml.errors import GitmlError, IntegrityError, OutsideError, UsageError
from gitml.models.parity import apart
from gitml.registry.record import Record
from gitml.spec.application import Application, format_of
from gitml.spec.deployment import Pin
from gitml.spec.ensemble import DEEPEST
from gitml.spec.policy import Policy
from gitml.training.trialfile import Result, Tried

if TYPE_CHECKING:
    from gitml.models.model import Model

CALLS, WARM = 300, 30
_LARGEST = 500_000_000


@dataclass(frozen=True)
class Shelf:
    """Where versions lie: main, and the DVC remotes that it names, if they can be read."""

    main: Mainline
    depot: Depot | None
    application: Application
    policy: Policy
    now: datetime


def try_model(shelf: Shelf, record: Record) -> Tried:
    """Load it, compare it, time it. Whatever goes wrong is the result."""
    result, details = _tried(shelf, record)
    return Tried(
        kind="evaluated",
        model=record.model,
        version=record.version,
        artifact=record.files[record.artifact].sha256,
        result=result,
        details=details,
    )


def _tried(shelf: Shelf, record: Record) -> tuple[Result, dict[str, Any]]:
    if record.signature is None:
        return "inconclusive", {"reason": "the record holds no signature, so nobody can call the model"}
    with tempfile.TemporaryDirectory(prefix="gitml-model-") as folder:
        try:
            model = _Loading(shelf, Path(folder), pickle=_may_pickle(shelf, record)).model(record)
            columns = _samples(shelf, record, Path(folder))
        except IntegrityError as exc:
            return "failed", {"reason": exc.message.splitlines()[0][:500]}
        except GitmlError as exc:
            return "inconclusive", {"reason": exc.message.splitlines()[0][:500]}
        except ImportError as exc:
            return "inconclusive", {"reason": f"the package {exc.name} is not installed here"}
        try:
            return _measured(model, columns)
        except GitmlError as exc:
            return "failed", {"reason": exc.message.splitlines()[0][:500]}


@dataclass(frozen=True)
class _Loading:
    """Versions of main, loaded one inside the other as an ensemble pins them."""

    shelf: Shelf
    folder: Path
    pickle: bool = False
    depth: int = 0

    def model(self, record: Record) -> Model:
        """Raises IntegrityError for other bytes than recorded, other GitmlErrors where it cannot be had or used."""
        from gitml.models.loading import load

        if record.signature is None:
            raise UsageError(f"{record.reference} has no signature")
        path = _file(self.shelf, record, record.artifact, self.folder)
        if path is None:
            raise OutsideError(f"no DVC remote has the artifact of {record.reference}")
        kind = format_of(self.shelf.application.models, record.model, record.artifact) or ""
        wanted = record.files[record.artifact].sha256
        return load(path, kind, record.signature, sha256=wanted, allow_pickle=self.pickle, members=self._member)

    def _member(self, name: str, pin: Pin) -> Model:
        if self.depth >= DEEPEST:
            raise IntegrityError(f"{name} {pin.version} is an ensemble inside {DEEPEST} others: too deep")
        record = self.shelf.main.record(name, pin.version)
        if record.files[record.artifact].sha256 != pin.digest:
            raise IntegrityError(f"the ensemble pins another artifact of {record.reference} than its record names")
        # An exception for pickles is for the model that policy.yaml names, not for what an ensemble brings in.
        return replace(self, pickle=False, depth=self.depth + 1).model(record)


def _may_pickle(shelf: Shelf, record: Record) -> bool:
    return any(e.allow == "pickle" and e.model == record.model and shelf.now < e.until for e in shelf.policy.exceptions)


def _samples(shelf: Shelf, record: Record, folder: Path) -> Mapping[str, list[Any]] | None:
    """The sample rows with their recorded answers, by column; None where the version has none."""
    path = record.roles.get("samples")
    place = _file(shelf, record, path, folder) if path in record.files and path else None
    if place is None:
        return None
    return columns_of(place.read_bytes(), str(path))


def columns_of(raw: bytes, name: str, most: int | None = None) -> dict[str, list[Any]]:
    """A Parquet table, by column. Raises IntegrityError for what is none, or has more than ``most`` rows."""
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(raw))
        if most is not None and file.metadata.num_rows > most:
            raise IntegrityError(f"{name} has {file.metadata.num_rows:,} rows, more than {most:,}")
        found: dict[str, list[Any]] = file.read().to_pydict()
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"{name} is no Parquet: {str(exc).splitlines()[0][:200]}") from exc
    return found


def _measured(model: Any, columns: Mapping[str, list[Any]] | None) -> tuple[Result, dict[str, Any]]:
    from gitml.models.signature import probe

    names = [field.name for field in model.signature.inputs]
    outputs = [field.name for field in model.signature.outputs]
    if columns is None or any(name not in columns for name in (*names, *outputs)):
        speed = _speed(model, probe(model.signature, 32))
        told = "there are no samples with all inputs and outputs to compare its answers with"
        return "inconclusive", {**speed, "rows": 0, "reason": told}
    rows = model.signature.columns({name: columns[name] for name in names})
    result, found = compared(model, rows, columns)
    return result, {**_speed(model, rows), **found}


def compared(model: Any, rows: Any, columns: Mapping[str, list[Any]]) -> tuple[Result, dict[str, Any]]:
    """Whether the model answers ``rows`` (as its signature encodes them) with what the columns of its outputs hold."""
    answers = model.answers(rows)
    gaps = [
        _gap(found, wanted)
        for place, output in enumerate(model.signature.outputs)
        for found, wanted in zip(answers[:, place].tolist(), columns[output.name], strict=True)
    ]
    details = {"rows": len(rows), "parity": max(gaps, default=0.0)}
    if not gaps:
        return "inconclusive", {**details, "reason": "the samples hold no row"}
    if not all(gap <= 1.0 for gap in gaps):
        return "failed", {**details, "parity": None, "reason": "it answers its own samples with other values"}
    return "passed", {**details, "reason": "loaded, and answers its own samples with the recorded values"}


def _gap(found: Any, wanted: Any) -> float:
    """How far apart, in units of what is tolerated; infinite for NaN, and for another word."""
    gap, tolerated = apart(found, wanted)
    return gap / tolerated if tolerated else gap


def _speed(model: Any, rows: Any) -> dict[str, Any]:
    """The 95th percentile of the time for one row, in milliseconds."""
    times = []
    for number in range(WARM + CALLS):
        row = rows[number % len(rows) :][:1]
        start = time.perf_counter()
        model.answers(row)
        times.append((time.perf_counter() - start) * 1000)
    ordered = sorted(times[WARM:])
    return {"latency_ms_p95": round(ordered[math.ceil(0.95 * len(ordered)) - 1], 4), "calls": CALLS}


def _file(shelf: Shelf, record: Record, path: str, folder: Path) -> Path | None:
    """A file of the version whose SHA-256 is the record's: from the commit that brought it, else from the remotes.

    Raises IntegrityError where the remote has something else under its name.
    """
    wanted, target = record.files[path], folder / PurePosixPath(path).name
    if wanted.size > _LARGEST:
        raise GitmlError(f"{path} has {wanted.size:,} bytes, more than {_LARGEST:,}")
    brought = shelf.main.added(record_path(record.model, record.version))
    raw = shelf.main.git.read_file(brought, path) if brought else None
    if raw is not None and hashlib.sha256(raw).hexdigest() == wanted.sha256:
        target.write_bytes(raw)
        return target
    content = record.contents().get(path)
    if shelf.depot is None or content is None or not shelf.depot.fetch(content, target):
        return None
    if not target.is_file() or hashlib.sha256(target.read_bytes()).hexdigest() != wanted.sha256:
        raise IntegrityError(f"the remote has another {path} than the record says")
    return target
