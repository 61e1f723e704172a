"""One version as policy judges it: read from the files that its record vouches for, never loaded or run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from gitml.control.mainline import Mainline
from gitml.control.shelf import MainShelf
from gitml.dvc.manifest import fingerprint
from gitml.dvc.remotes import Depot
from gitml.errors import GitmlError, SpecError
from gitml.evidence.statement import strict_json
from gitml.fields import parse_until
from gitml.gates.facts import Commit, Proof, Unknown, Version
from gitml.models.formats import check_format
from gitml.registry.outputs import Replicates, estimates, parse_metrics, parse_replicates, parse_signature
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.spec.application import Application, format_of
from gitml.spec.deployment import Pin
from gitml.stats.comparison import Estimate

_LARGEST = 50_000_000
_T = TypeVar("_T")


@dataclass(frozen=True)
class Shelf:
    """Where versions are read: ``main`` is the base branch and ``application`` its gitml.yaml.

    ``depot`` are the DVC remotes, where the caller has them.
    """

    main: Mainline
    application: Application
    depot: Depot | None = None


def record_of(main: Mainline, model: str, pin: Pin) -> Record | Unknown:
    """The record that ``pin`` names, as it still is on the base branch, or why it is not that."""
    path = record_path(model, pin.version)
    try:
        main.record(model, pin.version)
        if main.original(path).read(path) != main.file(path):
            return Unknown(f"{path} is not the record that came in with its training: records are never edited")
    except SpecError as exc:
        return Unknown(f"{path} {exc.problems[0].message}")
    except GitmlError as exc:
        return Unknown(exc.message)
    return original_of(main, model, pin)


def original_of(main: Mainline, model: str, pin: Pin) -> Record | Unknown:
    """The record that ``pin`` names, as it came to the base branch, or why it is not that.

    For versions that run: who edits their records afterwards changes nothing.
    """
    path = record_path(model, pin.version)
    try:
        record = main.original_record(model, pin.version)
    except SpecError as exc:
        return Unknown(f"{path} {exc.problems[0].message}")
    except GitmlError as exc:
        return Unknown(exc.message)
    said = record.files[record.artifact].sha256
    if said != pin.digest:
        return Unknown(f"{pin.version} is pinned with the artifact {pin.digest[:12]}, its record says {said[:12]}")
    return record


def version_of(
    shelf: Shelf,
    record: Record,
    *,
    compared: str | Unknown | None = None,
    authors: tuple[Commit, ...] | Unknown | None = None,
) -> Version:
    """The version as its record and the files that the record vouches for describe it."""
    artifact = record.files[record.artifact]
    replicates = _role(shelf, record, "replicates", parse_replicates)
    signature = _role(shelf, record, "signature", _signature)
    model = shelf.application.models.get(record.model)
    return Version(
        model=record.model,
        version=record.version,
        digest=record.digest,
        artifact=artifact.sha256,
        format=format_of(shelf.application.models, record.model, record.artifact) or "",
        size=artifact.size,
        verified=compared or Unknown("nobody compared the artifact with its digest"),
        origin=record.origin,
        metrics=_metrics(shelf, record, replicates),
        better=dict(model.better) if model else {},
        resamples=_resamples(replicates),
        holdout=model.holdout.digest if model and model.holdout else "",
        slices=_role(shelf, record, "slices", _slices),
        signature=signature,
        data_until=_data_until(signature),
        bias_audited=_bias_audited(shelf.application, record.model),
        authors=authors if authors is not None else Unknown("nobody looked who made the version"),
    )


def _metrics(shelf: Shelf, record: Record, replicates: Replicates | Unknown) -> Mapping[str, Estimate] | Unknown:
    """From the metrics file, which must say what the record says; it is what the record's digest vouches for."""
    found = _role(shelf, record, "metrics", parse_metrics)
    if isinstance(found, Unknown):
        return found
    if found != dict(record.metrics):
        return Unknown(f"the record of {record.version} says other metrics than its metrics file")
    return estimates(record, None if isinstance(replicates, Unknown) else replicates)


def _resamples(replicates: Replicates | Unknown) -> str:
    if isinstance(replicates, Unknown) or not replicates.rows_digest:
        return ""
    return f"{replicates.rows_digest}:{replicates.seed}"


def _signature(raw: bytes, path: str) -> dict[str, Any]:
    strict_json(raw)  # a key that stands twice, or NaN, is refused
    return parse_signature(raw, path)


def _slices(raw: bytes, path: str) -> list[Mapping[str, Any]]:
    found = strict_json(raw)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ValueError(f"{path} is no list of groups")
    return found


def _bias_audited(application: Application, model: str) -> datetime | Unknown:
    spec = application.bias.get(model)
    if spec is None or spec.audited is None:
        return Unknown(f"gitml.yaml of the base branch names no audit under `bias.{model}.audited`")
    return spec.audited.on


def _data_until(signature: Mapping[str, Any] | Unknown) -> datetime | Unknown:
    if isinstance(signature, Unknown):
        return Unknown(f"when the newest training data is from is not known: {signature.reason}")
    said = signature.get("data_until")
    if said is None:
        return Unknown("the signature file does not say `data_until`: when the newest training data is from")
    try:
        return parse_until(said) if isinstance(said, str) else Unknown("`data_until` of the signature file is no text")
    except ValueError as exc:
        return Unknown(f"`data_until` of the signature file {exc}")


def _role(shelf: Shelf, record: Record, role: str, parse: Callable[[bytes, str], _T]) -> _T | Unknown:
    """The file that the record has in this role, read and parsed, or why not."""
    path = record.roles.get(role)
    if path is None or path not in record.files:
        return Unknown(f"{record.version} has no {role} file")
    raw = file_of(shelf, record, path)
    if isinstance(raw, Unknown):
        return raw
    try:
        return parse(raw, path)
    except SpecError as exc:
        return Unknown("; ".join(f"{p.key} {p.message}".strip() for p in exc.problems[:3]))
    except (ValueError, RecursionError) as exc:
        return Unknown(f"{path} {str(exc)[:300]}")


def file_of(shelf: Shelf, record: Record, path: str) -> bytes | Unknown:
    """A file of the version, with the bytes that its record vouches for: from Git, else from the DVC remotes."""
    if record.files[path].size > _LARGEST:
        return Unknown(f"{path} has more than {_LARGEST:,} bytes")
    with tempfile.TemporaryDirectory(prefix="gitml-fact-") as folder:
        try:
            found = MainShelf(shelf.main, shelf.depot, Path(folder), _LARGEST).files(record, [path])
            return found[path].read_bytes()
        except (GitmlError, OSError):
            return Unknown(f"{path} of {record.version} is nowhere to be had with the SHA-256 that its record says")


def verified(shelf: Shelf, record: Record, proofs: tuple[Proof, ...] | Unknown) -> str | Unknown:
    """How the artifact was compared with its digest: by a job of main that loaded it, else here."""
    wanted = record.files[record.artifact]
    for proof in () if isinstance(proofs, Unknown) else proofs:
        same = (proof.model, proof.version, proof.artifact) == (record.model, record.version, wanted.sha256)
        if same and proof.kind == "evaluated" and proof.result == "passed" and not proof.why_not:
            return "a job of the default branch loaded exactly these bytes"
    content = record.contents().get(record.artifact)
    if shelf.depot is None or content is None:
        return Unknown("no job of the default branch has loaded the artifact yet, and here is no DVC remote to read")
    with tempfile.TemporaryDirectory(prefix="gitml-artifact-") as folder:
        target = Path(folder, PurePosixPath(record.artifact).name)
        try:
            if not shelf.depot.fetch(content, target):
                return Unknown("no DVC remote has the artifact")
            found = fingerprint(target)
            if (found.sha256, found.size) != (wanted.sha256, wanted.size):
                return Unknown(f"the remote has other bytes than the record says: SHA-256 {found.sha256[:12]}")
            kind = format_of(shelf.application.models, record.model, record.artifact)
            check_format(target, kind or "unknown", record.artifact)
        except (GitmlError, OSError, KeyError) as exc:
            return Unknown(f"the artifact cannot be compared: {str(exc).splitlines()[0]}")
    return "its bytes on the DVC remote were compared"
