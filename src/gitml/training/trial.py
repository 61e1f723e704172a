"""One version tried: its bytes loaded as data, its answers compared with those it was recorded with, its speed."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitml.control.mainline import SPEC, Mainline
from gitml.control.shelf import MainShelf
from gitml.dvc.remotes import Depot
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError
from gitml.models.modelcost import sizing
from gitml.models.parity import Parity, compared
from gitml.models.quarantine import Quarantine
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.spec import parse_application
from gitml.spec.application import Application, format_of
from gitml.spec.deployment import Pin
from gitml.spec.policy import Policy
from gitml.training.trialfile import Result, Tried

if TYPE_CHECKING:
    from gitml.registry.load import Loader

CALLS, WARM = 300, 30
# Rows at a time: as many as requests that came in together.
BATCH, _RATE_SECONDS = 32, 0.2
_LARGEST = 500_000_000


@dataclass(frozen=True)
class TrialShelf:
    """Where versions lie: main, and the DVC remotes that it names, if they can be read; and where they are tried."""

    main: Mainline
    depot: Depot | None
    application: Application
    policy: Policy
    now: datetime
    quarantine: Quarantine


def try_model(shelf: TrialShelf, record: Record) -> Tried:
    """Load it, compare it, time it. Whatever goes wrong is the result.

    ``failed`` stands for good, so it is said of the recorded bytes alone. What a store, gitml.yaml, policy.yaml or a
    slow machine got in the way of is inconclusive, and tried again.
    """
    result, details = _tried(shelf, record)
    if result == "failed" and not _stored_as_then(shelf, record):
        told = f"gitml.yaml says no more how it was stored when it came in: {details['reason']}"
        result, details = "inconclusive", {**details, "reason": told[:500]}
    return Tried(
        kind="evaluated",
        model=record.model,
        version=record.version,
        artifact=record.files[record.artifact].sha256,
        result=result,
        details=details,
    )


def _tried(shelf: TrialShelf, record: Record) -> tuple[Result, dict[str, Any]]:
    if record.signature is None:
        return "inconclusive", {"reason": "the record holds no signature, so nobody can call the model"}
    with tempfile.TemporaryDirectory(prefix="gitml-model-") as folder:
        loader = _loader(shelf, record, Path(folder))
        try:
            version = loader.opened(record)
            columns = loader.samples(record)
        except (IntegrityError, FailedError) as exc:
            return "failed", {"reason": exc.message.splitlines()[0][:500]}
        except GitmlError as exc:
            return "inconclusive", {"reason": exc.message.splitlines()[0][:500]}
        except ImportError as exc:
            return "inconclusive", {"reason": f"the package {exc.name} is not installed here"}
        try:
            result, details = _measured(version.model, columns)
            return result, {**details, "sizing": sizing(version.model, version.seconds)}
        except GitmlError as exc:
            return "failed", {"reason": exc.message.splitlines()[0][:500]}


def _loader(shelf: TrialShelf, record: Record, folder: Path) -> Loader:
    from gitml.registry.load import Loader

    files = _Recorded(MainShelf(shelf.main, shelf.depot, folder, _LARGEST))
    return Loader(files, shelf.application.models, _may_pickle(shelf, record), quarantine=shelf.quarantine)


@dataclass(frozen=True)
class _Recorded:
    """What ``shelf`` has. Other bytes than those recorded say something of the store, and nothing of the version."""

    shelf: MainShelf

    def record(self, model: str, pin: Pin) -> Record:
        return self.shelf.record(model, pin)

    def files(self, record: Record, names: Sequence[str]) -> Mapping[str, Path]:
        """Raises InconclusiveError for other bytes than recorded, OutsideError when a file cannot be had."""
        try:
            return self.shelf.files(record, names)
        except IntegrityError as exc:
            raise InconclusiveError(exc.message, exc.hint) from exc


def _stored_as_then(shelf: TrialShelf, record: Record) -> bool:
    """Whether gitml.yaml says of the format, of an ensemble's members as well, what it said when the record came in."""
    now = shelf.application.models
    try:
        raw = shelf.main.original(record_path(record.model, record.version)).read(SPEC)
        then = parse_application(raw).models if raw is not None else {}
    except GitmlError:
        return False
    kinds = [format_of(models, record.model, record.artifact) for models in (now, then)]
    if kinds == ["ensemble", "ensemble"]:
        kept = [name for name in now if name in then]
        return all(now[name].artifact_format == then[name].artifact_format for name in kept)
    return kinds[0] == kinds[1]


def _may_pickle(shelf: TrialShelf, record: Record) -> bool:
    return any(e.allow == "pickle" and e.model == record.model and shelf.now < e.until for e in shelf.policy.exceptions)


def _measured(model: Any, columns: Mapping[str, list[Any]] | None) -> tuple[Result, dict[str, Any]]:
    names = [field.name for field in model.signature.inputs]
    outputs = [field.name for field in model.signature.outputs]
    if columns is None or any(name not in columns for name in (*names, *outputs)):
        speed = _speed(model, model.some(32))
        told = "there are no samples with all inputs and outputs to compare its answers with"
        return "inconclusive", {**speed, "rows": 0, "reason": told}
    rows = model.signature.columns({name: columns[name] for name in names})
    result, found = settled(compared(model, rows, columns))
    return result, {**_speed(model, rows), **found}


def settled(parity: Parity) -> tuple[Result, dict[str, Any]]:
    """What it means for a version that it answers its own samples like that."""
    details: dict[str, Any] = {"rows": parity.rows, "parity": parity.worst}
    if not parity.rows:
        return "inconclusive", {**details, "reason": "the samples hold no row"}
    if parity.first:
        return "failed", {**details, "parity": None, "reason": "it answers its own samples with other values"}
    return "passed", {**details, "reason": "loaded, and answers its own samples with the recorded values"}


def _speed(model: Any, rows: Any) -> dict[str, Any]:
    """The 95th percentile of the time for one row, in milliseconds; and rows a second, ``BATCH`` at a time."""
    times = []
    for number in range(WARM + CALLS):
        row = rows[number % len(rows) :][:1]
        start = time.perf_counter()
        model.answers(row)
        times.append((time.perf_counter() - start) * 1000)
    ordered = sorted(times[WARM:])
    p95 = round(ordered[math.ceil(0.95 * len(ordered)) - 1], 4)
    return {"latency_ms_p95": p95, "calls": CALLS, "rows_per_second": _rate(model, rows)}


def _rate(model: Any, rows: Any) -> float:
    if not len(rows):
        return 0.0
    batch = rows[[number % len(rows) for number in range(BATCH)]]
    model.answers(batch)
    start, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - start < _RATE_SECONDS:
        model.answers(batch)
        calls += 1
    return round(calls * BATCH / (time.perf_counter() - start), 1)
