"""What a version record says against what a run gave: where they differ first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitml.dvc.lockentries import Entry, holds_more, makers_of, same_value
from gitml.dvc.manifest import Fingerprint
from gitml.registry.record import Metric, Record


@dataclass(frozen=True)
class Disagreement:
    """``what`` differs (a file, a metric, an input of a stage), as ``recorded`` and as ``found``."""

    what: str
    recorded: object
    found: object
    file: str = ""

    def __str__(self) -> str:
        return f"{self.what}: recorded {_said(self.recorded)}, found {_said(self.found)}"


def _said(value: object) -> str:
    return "nothing" if value is None else repr(value) if isinstance(value, float) else str(value)


def input_differences(recorded: Mapping[str, Entry], found: Mapping[str, Entry]) -> Iterator[Disagreement]:
    """Where the stages' commands, params and dependencies differ, in the order of ``found``.

    ``found`` may come from before a run: contents that other stages make are compared by their paths alone, as the
    lineage's digest does. What a source without a command brings in is compared by its bytes.
    """
    for name in [*found, *(n for n in recorded if n not in found)]:
        old, new = recorded.get(name), found.get(name)
        if old is None or new is None:
            yield Disagreement(f"stage {name}", _there(old is not None), _there(new is not None), "dvc.yaml")
            continue
        if old.cmd != new.cmd:
            yield Disagreement(f"command of stage {name}", _command(old), _command(new), "dvc.yaml")
        yield from _params(name, old, new)
        yield from _deps(name, recorded, found)


def _there(yes: object) -> str:
    return "there" if yes else "missing"


def _command(entry: Entry) -> str:
    return " && ".join(str(c) for c in entry.cmd)


def _params(name: str, old: Entry, new: Entry) -> Iterator[Disagreement]:
    for file in sorted(set(old.params) | set(new.params)):
        before, after = (_flat(e.params.get(file, {})) for e in (old, new))
        for key in sorted(set(before) | set(after)):
            if not same_value(before.get(key), after.get(key)) or (key in before) != (key in after):
                yield Disagreement(f"param {key} of stage {name} in {file}", before.get(key), after.get(key), file)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        found |= _flat(value, f"{path}.") if isinstance(value, dict) and value else {path: value}
    return found


def _deps(name: str, recorded: Mapping[str, Entry], found: Mapping[str, Entry]) -> Iterator[Disagreement]:
    before, after = _outside(name, recorded), _outside(name, found)
    for path in sorted(set(before) | set(after)):
        if before.get(path) != after.get(path):
            yield Disagreement(f"dependency {path} of stage {name}", before.get(path), after.get(path), path)


def _outside(name: str, stages: Mapping[str, Entry]) -> dict[str, str]:
    """Path → digest, or who makes it."""
    makers = {out.path: stage for stage, entry in stages.items() for out in entry.outs}
    found = {}
    for dep in stages[name].deps:
        made = sorted(makers_of(dep.path, makers))
        found[dep.path] = f"made by {', '.join(made)}" if made and not holds_more(dep.path, makers) else dep.digest
    if stages[name].brings_in:
        found |= {out.path: out.digest for out in stages[name].outs}
    return found


def metric_disagreements(
    recorded: Mapping[str, Metric], found: Mapping[str, Metric], tolerance: float
) -> Iterator[Disagreement]:
    """Values and interval bounds further apart than ``tolerance``, and metrics that only one side has."""
    for name in sorted(set(recorded) | set(found)):
        old, new = recorded.get(name), found.get(name)
        if old is None or new is None:
            yield Disagreement(f"metric {name}", old and old.value, new and new.value)
            continue
        for text, a, b in _numbers(old, new):
            if a != b and (a is None or b is None or not abs(a - b) <= tolerance):
                yield Disagreement(f"metric {name}{text}", a, b)


def _numbers(old: Metric, new: Metric) -> Iterator[tuple[str, float | None, float | None]]:
    yield "", old.value, new.value
    yield ", lower bound", old.low, new.low
    yield ", upper bound", old.high, new.high
    before, after = (side.refits.deviation if side.refits else None for side in (old, new))
    yield ", deviation of refits", before, after


def contradictions(
    record: Record, files: Mapping[str, Fingerprint], stages: Mapping[str, Entry]
) -> Iterator[Disagreement]:
    """What no difference between two runs explains: outputs that only one side has, one file under two digests."""
    for path in sorted(set(record.files) ^ set(files)):
        yield Disagreement(f"output {path}", _there(path in record.files), _there(path in files), path)
    found = {out.path: out.digest for entry in stages.values() for out in entry.outs}
    for entry in record.entries().values():
        for out in entry.outs:
            same = out.path in files and record.files[out.path].sha256 == files[out.path].sha256
            if same and found.get(out.path) != out.digest:
                yield Disagreement(f"DVC's digest of {out.path}", out.digest, found.get(out.path), out.path)


def file_disagreements(record: Record, files: Mapping[str, Fingerprint]) -> Iterator[Disagreement]:
    """Outputs whose SHA-256 differs, the artifact first."""
    for path in sorted(set(record.files) & set(files), key=lambda p: (p != record.artifact, p)):
        if record.files[path].sha256 != files[path].sha256:
            yield Disagreement(f"SHA-256 of {path}", record.files[path].sha256, files[path].sha256, path)
