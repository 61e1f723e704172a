"""Data that `dvc add` brought in: no job runs them, and the record of a version names them like all it is made from."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from gitml.derivation.handover import StageRun
from gitml.pipelines.journal import JournalEntry
from gitml.pipelines.run import RunOptions
from gitml.registry.record import File
from gitml.training.train import Training, file_of


def sources_of(
    about: Training,
    stages: Sequence[str],
    found: Mapping[str, JournalEntry],
    fetched: Container[str],
    options: Mapping[str, RunOptions],
) -> Iterator[StageRun]:
    """What ``stages`` build on and no command makes. Those that were not ``fetched`` are as the records say that have
    the same."""
    for name in about.dvc.lineage(stages):
        if about.dvc.has_command(name) or name not in found:
            continue
        entry = found[name].entry
        if name in fetched:
            outputs = {c.path: file_of(about, c.path) for c in entry.outs}
        else:
            known = options[name].believed(entry) if name in options else None
            outputs = {path: File(sha256=f.sha256, size=f.size) for path, f in (known or {}).items()}
        told = {"stage": name, "how": "restored", "entry": entry.to_dict(), "outputs": outputs}
        yield StageRun.model_validate(told)
