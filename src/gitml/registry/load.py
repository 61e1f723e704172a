"""From a pin to a model that answers: its record, its files by digest, its format, its answers on its own samples.

Servers, batch jobs, CI and ensembles all come this way; they differ only in where their versions lie.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from gitml.errors import FailedError, IntegrityError, UsageError
from gitml.models.apart import ModelsApart
from gitml.models.ensemble import Members
from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.parity import Parity, columns_of, compared, covering
from gitml.models.quarantine import Quarantine
from gitml.models.sharedarrays import SharedArrays
from gitml.registry.record import Record
from gitml.spec.application import Model, format_of
from gitml.spec.deployment import Pin
from gitml.spec.ensemble import DEEPEST

_ROWS = 1000  # of the samples: enough to tell one model from another, and no server starts slowly for them


class VersionShelf(Protocol):
    """Where versions lie."""

    def record(self, model: str, pin: Pin) -> Record:
        """The record that ``pin`` names. Raises as ``gitml.registry.pinned``."""

    def files(self, record: Record, names: Sequence[str]) -> Mapping[str, Path]:
        """Files of the record, with the SHA-256 that it says. Raises IntegrityError, OutsideError."""


@dataclass(frozen=True)
class LoadedVersion:
    """One version, ready to answer. ``inner``: the records of an ensemble's own versions; ``seconds``: of the load."""

    record: Record
    model: Predictor
    parity: Parity = field(default_factory=Parity)
    inner: tuple[Record, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Loader:
    """``models``: those of gitml.yaml, which says how artifacts are stored.

    ``pickle``: policy.yaml has an exception for what is loaded. ``inside``: the ensembles around it, outermost first.
    ``quarantine``: where each version is tried before it is loaded here; None: where they are known to come to an end.
    ``apart``: where they answer, if not here. ``shared``: where other processes look for their arrays.
    """

    shelf: VersionShelf
    models: Mapping[str, Model]
    pickle: bool = False
    inside: tuple[str, ...] = ()
    quarantine: Quarantine | None = None
    apart: ModelsApart | None = None
    shared: SharedArrays | None = None

    def pinned(self, model: str, pin: Pin) -> LoadedVersion:
        """Raises RefError, SpecError, IntegrityError, OutsideError or UsageError where it cannot be had or used.

        FailedError: it answers otherwise than its sample rows say.
        """
        return self.checked(self.shelf.record(model, pin))

    def checked(self, record: Record) -> LoadedVersion:
        """The same for a record that the shelf has."""
        version = self.opened(record)
        columns = self.samples(record)
        if columns is None:
            return version
        parity = _held_against(version.model, columns, record.roles["samples"])
        if parity.first:
            raise FailedError(
                f"{record.reference} answers otherwise than its sample rows say: {parity.first}",
                "was it trained with other releases of its libraries than serve here?",
            )
        return replace(version, parity=parity)

    def opened(self, record: Record) -> LoadedVersion:
        """Loaded and warmed up, but not held against its samples; the members of an ensemble are."""
        kind = self._format(record)
        if record.signature is None:
            raise UsageError(
                f"{record.reference} has no signature, so no request could be checked",
                "name a file under `signature` in gitml.yaml, and train it again",
            )
        paths = self.shelf.files(record, [record.artifact, *_samples(record)])
        self._try(record, kind, paths)
        inner: list[Record] = []
        path, sha256 = paths[record.artifact], record.files[record.artifact].sha256
        if self.apart and kind != "ensemble":
            model = self.apart.load(path, kind, record.signature, sha256=sha256, allow_pickle=self.pickle)
            return LoadedVersion(record, model)
        began = time.perf_counter()
        model = load(
            path,
            kind,
            record.signature,
            sha256=sha256,
            allow_pickle=self.pickle,
            members=self._members(record, inner),
            samples=self.samples(record),
            shared=self.shared,
        )
        return LoadedVersion(record, model, inner=tuple(inner), seconds=time.perf_counter() - began)

    def _try(self, record: Record, kind: str, paths: Mapping[str, Path]) -> None:
        # An ensemble is a few lines of YAML; each of its versions is tried when it is loaded.
        if self.quarantine is None or kind == "ensemble" or record.signature is None:
            return
        self.quarantine.try_load(
            paths[record.artifact],
            kind,
            record.signature,
            sha256=record.files[record.artifact].sha256,
            allow_pickle=self.pickle,
            samples=next((paths[name] for name in _samples(record)), None),
        )

    def samples(self, record: Record) -> dict[str, list[Any]] | None:
        """The sample rows with their recorded answers, by column; None where the version has none."""
        for name in _samples(record):
            return columns_of(self.shelf.files(record, [name])[name].read_bytes(), name)
        return None

    def _format(self, record: Record) -> str:
        kind = format_of(self.models, record.model, record.artifact)
        if kind is None:
            raise UsageError(f"nothing says how {record.artifact} is stored", "say it in gitml.yaml: format: …")
        if kind == "pickle" and not self.pickle:
            raise UsageError(
                f"{record.reference} is a pickle, which runs code when it is loaded",
                "store it as skops, safetensors or onnx; policy.yaml can name an exception with an end",
            )
        return kind

    def _members(self, record: Record, inner: list[Record]) -> Members:
        """Each version of an ensemble is found, checked and tried like one that is served alone."""
        # An exception for pickles is for the model that policy.yaml names, not for what an ensemble brings in.
        deeper = replace(self, inside=(*self.inside, record.reference), pickle=False)

        def member(name: str, pin: Pin) -> Predictor:
            if len(deeper.inside) > DEEPEST:
                raise IntegrityError(f"{name} {pin.version} is inside {' inside '.join(deeper.inside[::-1])}: too deep")
            found = deeper.pinned(name, pin)
            inner.extend((found.record, *found.inner))
            return found.model

        return member


def _samples(record: Record) -> list[str]:
    name = record.roles.get("samples")
    return [name] if name and name in record.files else []


def _held_against(model: Predictor, columns: Mapping[str, Sequence[Any]], name: str) -> Parity:
    inputs, outputs = model.signature.inputs, model.signature.outputs
    missing = [f.name for f in (*inputs, *outputs) if f.name not in columns]
    if missing:
        raise IntegrityError(f"{name} has no column {missing[0]}", "sample rows hold all inputs and outputs")
    patterns = list(zip(*([_is_missing(v) for v in columns[f.name]] for f in inputs), strict=True))
    rows = covering(patterns, _ROWS)
    if not rows:
        return Parity()
    first = {name: [values[row] for row in rows] for name, values in columns.items()}
    return compared(model, model.signature.columns({f.name: first[f.name] for f in inputs}), first)


def _is_missing(value: Any) -> bool:
    return value is None or value != value
