"""What came from elsewhere with a model, such as metrics and samples: read and checked before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitml.dvc.manifest import Fingerprint
from gitml.errors import FailedError, IntegrityError, UsageError
from gitml.models.parity import columns_of, compared
from gitml.registry import Metric
from gitml.registry.outputs import parse_metrics, parse_signature
from gitml.spec.application import Model

if TYPE_CHECKING:
    from gitml.models.signature import Signature

LARGEST = 64 * 10**6
MOST_ROWS = 10_000
_FILES = {"signature": "signature.json", "samples": "samples.parquet", "reference": "reference.json"}


@dataclass(frozen=True)
class Delivery:
    """The model, what describes it, and where it is from (words or an address)."""

    artifact: Path
    source: str
    metrics: Path | None = None
    signature: Path | None = None
    samples: Path | None = None
    reference: Path | None = None


@dataclass(frozen=True)
class DeliveredFiles:
    """What the files say. ``texts`` are those that Git keeps, ``samples`` what DVC keeps (Parquet), by their place;
    ``reference`` is one of the texts, empty if there is none."""

    metrics: dict[str, Metric]
    signature: dict[str, object] | None
    texts: dict[str, bytes]
    samples: dict[str, bytes]
    reference: bytes = b""

    @classmethod
    def read(cls, model: Model, delivery: Delivery) -> DeliveredFiles:
        """Raises UsageError and SpecError for a file that cannot be used, or that the model has no place for."""
        texts: dict[str, bytes] = {}
        metrics: dict[str, Metric] = {}
        signature = None
        samples: dict[str, bytes] = {}
        reference = b""
        if delivery.metrics:
            raw = texts[model.metrics] = _content(delivery.metrics)
            metrics = parse_metrics(raw, str(delivery.metrics))
            if not metrics:
                raise UsageError(f"{delivery.metrics} holds no metric", 'write {"auc": 0.81} or leave out --metrics')
        if delivery.signature:
            raw = texts[_place(model, "signature", delivery.signature)] = _content(delivery.signature)
            signature = parse_signature(raw, str(delivery.signature))
        if delivery.samples:
            raw = samples[_place(model, "samples", delivery.samples)] = _content(delivery.samples)
            _check_samples(raw, signature, str(delivery.samples))
        if delivery.reference:
            reference = texts[_place(model, "reference", delivery.reference)] = _content(delivery.reference)
            _check_reference(reference, signature, str(delivery.reference))
        return cls(metrics, signature, texts, samples, reference)


def _place(model: Model, role: str, file: Path) -> str:
    place: str | None = getattr(model, role)
    if not place:
        raise UsageError(
            f"gitml.yaml gives the model no place for its {role} ({file})",
            f"add a line '{role}: artifacts/MODEL/{_FILES[role]}' to the model",
        )
    return place


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST // 10**6} MB", "is it the right file?")
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc


def _check_samples(raw: bytes, signature: dict[str, object] | None, file: str) -> None:
    """Rows that a server could be asked, each with an answer: nothing else tells whether a model is the one meant."""
    if signature is None:
        raise UsageError(
            f"{file} cannot be checked: nothing says which of its columns are inputs and which are answers",
            "give --signature as well",
        )
    parsed = _parsed(signature)
    columns = _table(raw, file)
    names = [f.name for f in (*parsed.inputs, *parsed.outputs)]
    missing = [name for name in names if name not in columns]
    if missing:
        raise UsageError(
            f"{file} has no column {missing[0]!r}", f"it needs all inputs and outputs of the signature: {names}"
        )
    try:
        parsed.columns({f.name: columns[f.name] for f in parsed.inputs})
    except UsageError as exc:
        raise UsageError(
            f"rows of {file} are none for this model: {exc.message}", "mend the file, or the signature"
        ) from exc
    for output in parsed.outputs:
        row = next((n for n, v in enumerate(columns[output.name]) if v is None or v != v), None)
        if row is not None:
            raise UsageError(
                f"{file} holds no answer for {output.name} in row {row}", "an empty answer agrees with none"
            )


def _check_reference(raw: bytes, signature: dict[str, object] | None, file: str) -> None:
    """One that no column of the model is in would leave its traffic unwatched, and say nothing."""
    from gitml.monitoring.reference import FEATURE, OUTPUT, read_version_reference

    try:
        held = {name for part in read_version_reference(raw).parts for name in part.layout.columns}
    except UsageError as exc:
        raise UsageError(f"{file}: {exc.message}", exc.hint) from exc
    if signature is None:
        raise UsageError(f"{file} cannot be checked: nothing says what the model takes", "give --signature as well")
    parsed = _parsed(signature)
    known = {f"{FEATURE}{f.name}" for f in parsed.inputs} | {f"{OUTPUT}{f.name}" for f in parsed.outputs}
    if strange := sorted(held - known):
        raise UsageError(
            f"{file} has a column that the signature does not: {strange[0].partition('_')[2]}",
            "write it anew: gitml reference --signature FILE",
        )


def _parsed(signature: dict[str, object]) -> Signature:
    from gitml.models.signature import parse

    return parse(signature)


def _table(raw: bytes, file: str) -> dict[str, list[Any]]:
    try:
        columns = columns_of(raw, file, MOST_ROWS)
    except IntegrityError as exc:
        hint = "write it with pandas: table.to_parquet('samples.parquet'), inputs and answers as columns"
        raise UsageError(exc.message, hint) from exc
    rows = len(next(iter(columns.values()), []))
    if not rows:
        raise UsageError(f"{file} holds no row", "a hundred are plenty")
    return columns


def refuse_other_answers(
    model: Model, told: DeliveredFiles, copy: Path, found: Fingerprint, samples: Path | None, say: Callable[[str], None]
) -> None:
    """Load the artifact as the server does, and hold its answers against the samples; ``samples``: a copy of them.

    A version whose evidence says that it failed is spoiled for good, so this is found out before there is one. Raises
    FailedError for other answers. What cannot be loaded here (a pickle, a folder, a package that is missing) is said,
    and left to `gitml ci verify`.
    """
    if not told.samples or told.signature is None:
        return
    (raw,) = told.samples.values()
    kind = model.artifact_format
    if kind in ("pickle", "ensemble") or copy.is_dir():
        what = "a folder" if copy.is_dir() else f"a model of format {kind}"
        say(f"the samples were not tried: {what} is not loaded here")
        return
    from gitml.models.loading import load
    from gitml.models.quarantine import Quarantine

    try:
        with Quarantine() as quarantine:
            quarantine.try_load(copy, kind, told.signature, sha256=found.sha256, samples=samples)
        columns = columns_of(raw, "samples")
        loaded = load(copy, kind, told.signature, sha256=found.sha256, samples=columns)
    except UsageError as exc:
        if not isinstance(exc.__cause__, ImportError):
            raise
        say(f"the samples were not tried: {exc.message}; `gitml ci verify` will")
        return
    rows = loaded.signature.columns({f.name: columns[f.name] for f in loaded.signature.inputs})
    if compared(loaded, rows, columns).first:
        raise FailedError(
            "the model answers otherwise than the samples say, so nothing was registered",
            "are they of this very model, with the inputs as the signature names and orders them?",
        )
    say(f"it answers all {len(rows)} sample rows as they say")
