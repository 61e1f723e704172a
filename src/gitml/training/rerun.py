"""What a re-run gave, against the record: byte-identical, prediction-identical, metric-equal, or not reproduced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from gitml.dvc.lockentries import Entry
from gitml.dvc.manifest import Fingerprint, verify
from gitml.dvc.safety import refuse_escape
from gitml.dvc.scratch import ScratchDvc
from gitml.errors import InconclusiveError, IntegrityError, SpecError
from gitml.files import write_file
from gitml.git.commands import Git
from gitml.pipelines.samples import SamplesCompared, compare_samples
from gitml.pipelines.venv import StageEnvironment
from gitml.registry import Metric, Record
from gitml.registry.agreement import Disagreement, contradictions, file_disagreements, metric_disagreements
from gitml.registry.outputs import parse_metrics, parse_signature
from gitml.verdict import Phase, Verdict


class Level(StrEnum):
    BYTES = "byte-identical"
    PREDICTIONS = "prediction-identical"
    METRICS = "metric-equal"
    NONE = "not reproduced"


@dataclass(frozen=True)
class RecordedOutputs:
    """The outputs that the record speaks of: from the clone's cache, the remote, or Git at ``commit``."""

    record: Record
    dvc: ScratchDvc
    git: Git
    commit: str
    folder: Path

    def get(self, path: str) -> Path:
        """A copy, verified by the record's SHA-256. Raises InconclusiveError that says why there is none."""
        refuse_escape(path, "the record")
        target = self.folder / path
        expected = self.record.files.get(path)
        if expected is None:
            raise InconclusiveError(f"the record has no SHA-256 of {path}")
        content = next((c for e in self.record.entries().values() for c in e.outs if c.path == path), None)
        try:
            found = content is not None and self.dvc.materialise(content, target)
            raw = None if found else self.git.read_file(self.commit, path)
            if raw is not None:
                write_file(target, raw)
            elif not found:
                raise InconclusiveError(f"{path} is neither in DVC's cache nor on a remote")
            verify(self.folder, {path: Fingerprint(expected.sha256, expected.size)})
        except IntegrityError:
            raise InconclusiveError(f"{path} in DVC's cache is not what the record says") from None
        return target


@dataclass(frozen=True)
class Rerun:
    """Below ``root``: the stages' entries and the SHA-256 of their outputs; ``shelf`` has what to compare with."""

    root: Path
    entries: Mapping[str, Entry]
    files: Mapping[str, Fingerprint]
    environment: StageEnvironment
    shelf: RecordedOutputs


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
    if path is None:
        return SamplesCompared(error="predictions were not compared: the record names no samples")
    if path in rerun.files and path not in (d.file for d in file_disagreements(record, rerun.files)):
        return SamplesCompared(largest=0.0)
    try:
        recorded = rerun.shelf.get(path)
    except InconclusiveError as exc:
        return SamplesCompared(error=f"predictions were not compared: {exc.message}")
    outputs = [column["name"] for column in (record.signature or {}).get("outputs", [])]
    found = compare_samples(rerun.environment.python, recorded, rerun.root / path, tolerance, outputs)
    return SamplesCompared(error=f"predictions were not compared: {found.error}") if found.error else found
