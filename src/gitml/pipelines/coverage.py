"""Which stages need not run, decided before any data is fetched: a fresh clone has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gitml.dvc.lockentries import Content, Entry
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.dvc.repository import Dvc
from gitml.errors import IntegrityError
from gitml.pipelines.journal import JournalEntry, recall
from gitml.pipelines.run import RunOptions


def covered(
    dvc: Dvc,
    stages: Sequence[str],
    options: Mapping[str, RunOptions],
    known: Mapping[str, JournalEntry],
    *,
    settled: bool,
) -> dict[str, JournalEntry]:
    """The stages that a recorded run covers and whose outputs are to be had, in the order of ``stages``.

    ``stages`` comes with all that it builds on, in running order. ``options`` says by stage what is believed;
    ``known`` are the runs of earlier jobs on this commit. Sources, which nothing runs, are always covered; stages that
    are always changed never are, unless what they gave is ``settled``: committed by the bot, or on the default branch.
    """
    found: dict[str, JournalEntry] = {}
    contents: dict[str, Content] = {}
    for name in stages:
        again = dvc.always_changed(name) and not settled
        run = known.get(name) or (None if again else _run_of(dvc, name, options.get(name), contents))
        if run:
            found[name] = run
            contents |= {c.path: c for c in run.entry.outs}
    return found


def _run_of(dvc: Dvc, name: str, options: RunOptions | None, contents: Mapping[str, Content]) -> JournalEntry | None:
    entry = dvc.entry(name)
    if entry and not dvc.has_command(name):
        return JournalEntry(name, entry, {}, 0.0)
    inputs = dvc.expected(name, contents)
    if inputs is None or options is None:
        return None
    if entry and entry.inputs_digest() == inputs.inputs_digest():
        own = recall(dvc.root, entry)
        outputs = own.outputs if own else options.believed(entry)
        if outputs is not None and _to_be_had(dvc, name, entry, outputs):
            return JournalEntry(name, entry, outputs, 0.0)
    earlier = (JournalEntry(name, run.entry, run.outputs, 0.0) for run in options.covering(inputs))
    return next((run for run in earlier if _to_be_had(dvc, name, run.entry, run.outputs)), None)


def _to_be_had(dvc: Dvc, name: str, entry: Entry, outputs: Mapping[str, Fingerprint]) -> bool:
    """Whether the remote has the outputs, and the work tree those that live in Git."""
    in_git = [path for path, cached in dvc.is_cached(name).items() if not cached]
    return all(_is_here(dvc, path, outputs.get(path)) for path in in_git) and dvc.stored(name, entry)


def _is_here(dvc: Dvc, path: str, expected: Fingerprint | None) -> bool:
    try:
        return expected is not None and fingerprint(dvc.root / path) == expected
    except (FileNotFoundError, IntegrityError):
        return False
