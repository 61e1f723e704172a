"""What a re-run gave, against the record: byte-identical, prediction-identical, metric-equal, or not reproduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from gitml.errors import InconclusiveError, IntegrityError, SpecError
from gitml.pipelines.samples import SamplesCompared, compare_samples
from gitml.pipelines.venv import Environment
from gitml.registry import Metric, Record
from gitml.registry.agreement import Disagreement, contradictions, file_disagreements, metric_disagreements
from gitml.registry.outputs import parse_metrics, parse_signature
from gitml.repo.entries import Entry
from gitml.repo.files import copy_file
from gitml.repo.manifest import Fingerprint, verify
from gitml.repo.scratch import ScratchDvc
from gitml.verdict import Phase, Verdict


class Level(StrEnum):
    BYTES = "byte-identical"
    PREDICTIONS = "prediction-identical"
    METRICS = "metric-equal"
    NONE = "not reproduced"


@dataclass(frozen=True)
class Samples:
    """The samples that the record names, verified by their SHA-256; or why they cannot be had."""

    path: Path | None
    why: str = ""


@dataclass(frozen=True)
class Rerun:
    """Below ``root``: the stages' entries and the SHA-256 of their outputs; and the samples to compare with."""

    root: Path
    entries: Mapping[str, Entry]
    files: Mapping[str, Fingerprint]
    environment: Environment
    samples: Samples


def recorded_samples(record: Record, dvc: ScratchDvc, folder: Path) -> Samples:
    """From Git, the clone's cache or the remote, before a run replaces them."""
    path = record.roles.get("samples")
    if path is None:
        return Samples(None, "the record names no samples")
    if path not in record.files:
        return Samples(None, f"the record has no SHA-256 of {path}")
    content = next((c for e in record.entries().values() for c in e.outs if c.path == path), None)
    kept = dvc.recorded_object(content) if content else None
    source = kept or dvc.root / path
    if not source.is_file():
        return Samples(None, f"{path} is neither in DVC's cache nor on a remote")
    target = folder / Path(path).name
    copy_file(source, target)
    expected = record.files[path]
    try:
        verify(folder, {target.name: Fingerprint(expected.sha256, expected.size)})
    except IntegrityError:
        return Samples(None, f"{path} in DVC's cache is not what the record says")
    return Samples(target)


def compare(record: Record, rerun: Rerun, tolerance: float) -> Verdict:
    """Raises InconclusiveError when the run left no finite metrics to compare."""
    metrics = _metrics(record, rerun)
    different = list(file_disagreements(record, rerun.files))
    facts = {"tolerance": tolerance, "differing_files": [d.file for d in different]}
    wrong = (
        *islice(metric_disagreements(record.metrics, metrics, tolerance), 1),
        *_signature(record, rerun),
        *islice(contradictions(record, rerun.files, rerun.entries), 1),
    )
    if wrong:
        return _verdict(Level.NONE, str(wrong[0]), {**facts, "differs": wrong[0].what, **_numbers(wrong[0])})
    exact = not any(metric_disagreements(record.metrics, metrics, 0.0))
    if not different and exact:
        return _verdict(Level.BYTES, f"all {len(rerun.files)} outputs have their recorded SHA-256", facts)
    first = str(different[0]) if different else "metrics differ within the tolerance"
    compared = _samples(record, rerun, tolerance)
    facts |= {"sample_rows": compared.rows, "largest_difference": compared.largest, "differs": first}
    if compared.error is None and compared.difference is None:
        said = f"predictions on the sample rows and metrics agree within {tolerance:g} ({first})"
        return _verdict(Level.PREDICTIONS, said, facts)
    why = compared.error or f"predictions differ: {compared.difference}"
    return _verdict(Level.METRICS, f"every metric agrees within {tolerance:g} ({first}; {why})", facts)


def _verdict(level: Level, reason: str, facts: Mapping[str, object]) -> Verdict:
    phase = Phase.FAILED if level is Level.NONE else Phase.SUCCESSFUL
    return Verdict(phase, f"{level.value}: {reason}", {"level": level.value, **facts})


def _numbers(first: Disagreement) -> dict[str, object]:
    return {"recorded": first.recorded, "found": first.found}


def _metrics(record: Record, rerun: Rerun) -> dict[str, Metric]:
    path = record.roles["metrics"]
    try:
        return parse_metrics((rerun.root / path).read_bytes(), path)
    except FileNotFoundError:
        raise InconclusiveError(f"no stage wrote {path}, which the record names as its metrics") from None
    except SpecError as exc:
        raise InconclusiveError(f"the run left no metrics to compare: {exc.message}") from exc


def _signature(record: Record, rerun: Rerun) -> tuple[Disagreement, ...]:
    path = record.roles.get("signature")
    if path is None:
        return () if record.signature is None else (Disagreement("signature", "there", "no file of it"),)
    try:
        found = parse_signature((rerun.root / path).read_bytes(), path)
    except (OSError, SpecError) as exc:
        return (Disagreement("signature", "there", str(exc), path),)
    recorded = dict(record.signature or {})
    key = next((k for k in [*recorded, *found] if recorded.get(k) != found.get(k)), None)
    return (Disagreement(f"signature, {key}", recorded.get(key), found.get(key), path),) if key else ()


def _samples(record: Record, rerun: Rerun, tolerance: float) -> SamplesCompared:
    path = record.roles.get("samples")
    if path and path in rerun.files and path not in (d.file for d in file_disagreements(record, rerun.files)):
        return SamplesCompared(largest=0.0)
    if path is None or rerun.samples.path is None:
        return SamplesCompared(error=f"predictions were not compared: {rerun.samples.why}")
    outputs = [column["name"] for column in (record.signature or {}).get("outputs", [])]
    found = compare_samples(rerun.environment.python, rerun.samples.path, rerun.root / path, tolerance, outputs)
    return SamplesCompared(error=f"predictions were not compared: {found.error}") if found.error else found
