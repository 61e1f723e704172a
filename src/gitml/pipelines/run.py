"""Bring stages up to date: believe recorded runs, restore what they made, run the rest."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from gitml.dvc.lockentries import Entry, sha256_of
from gitml.dvc.manifest import Fingerprint, fingerprint, verify
from gitml.dvc.repository import Dvc, StageState
from gitml.errors import FailedError, IntegrityError, OutsideError, UsageError
from gitml.pipelines.inputs import Watched
from gitml.pipelines.journal import JournalEntry, recall, recall_inputs, remember
from gitml.pipelines.keeping import find_again, kept_unless_done
from gitml.pipelines.ran import How, Ran
from gitml.process import captured


@dataclass(frozen=True)
class RunOptions:
    """How to bring stages up to date.

    ``believed`` and ``covering`` answer from the version records, as the journal does for this clone's own runs:
    the SHA-256 of an entry's outputs (by path) if a record has exactly this entry; the runs with these inputs.
    ``log`` is the folder for what the stages print. ``ready`` is called before a command runs and may refuse;
    ``watch`` is entered around each command; ``tell`` hears what happened to each stage.
    """

    believed: Callable[[Entry], Mapping[str, Fingerprint] | None]
    covering: Callable[[Entry], Iterable[JournalEntry]]
    log: Path
    ready: Callable[[], None]
    watch: Callable[[str, Path], AbstractContextManager[None]]
    tell: Callable[[Ran], None]
    force: bool = False
    run_cache: bool = True


def bring_up_to_date(
    dvc: Dvc, stages: Sequence[str], options: RunOptions, before: Mapping[str, Ran] | None = None
) -> tuple[Ran, ...]:
    """Each stage in order. Raises FailedError when a command fails; what ran before is kept.

    ``before`` holds the stages that were seen to for another model just now.
    """
    done = []
    for name in stages:
        ran = before.get(name) if before else None
        if ran is None:
            ran = _one(dvc, name, options)
            options.tell(ran)
        done.append(ran)
    return tuple(done)


def _one(dvc: Dvc, name: str, options: RunOptions) -> Ran:
    started = time.monotonic()
    entry = dvc.entry(name)
    if entry and not entry.cmd and _state(dvc, name) is StageState.OUTPUTS_MISSING:
        return _brought(dvc, name, entry, options)
    outputs = _recorded(dvc.root, entry, options) if entry else None
    if entry and outputs is not None:
        find_again(dvc, name, entry, outputs)
    if options.force:
        return _execute(dvc, name, options, "--force")
    if dvc.always_changed(name):
        return _execute(dvc, name, options, "always changed, says dvc.yaml")
    state = _state(dvc, name)
    if state is StageState.OUTPUTS_CHANGED and entry and not entry.cmd:
        raise _other_data(name, entry)
    if entry and outputs is not None and state is StageState.SAME:
        return Ran(name, How.UP_TO_DATE, 0.0, entry)
    if entry and outputs is not None and state is not StageState.CHANGED and dvc.restore(name):
        verify(dvc.root, outputs)
        return Ran(name, How.RESTORED, time.monotonic() - started, entry)
    if state is StageState.CHANGED or entry is None:
        restored = _from_earlier_run(dvc, name, options) if options.run_cache and dvc.has_command(name) else None
        return restored or _execute(dvc, name, options, "its dependencies changed" if entry else "it never ran")
    if outputs is None:
        why = "no recorded run wrote its lock entry" if entry.cmd else "data that no version knows yet"
        return _execute(dvc, name, options, why)
    return _execute(
        dvc, name, options, "its outputs are gone" + (", the remote did not give them" if dvc.remote_names() else "")
    )


def _other_data(name: str, entry: Entry) -> UsageError:
    """Nobody but the user knows whether the file or the note about it is right; neither is overwritten."""
    paths = ", ".join(out.path for out in entry.outs)
    return UsageError(
        f"{paths} is not what {name} says",
        f"take it in as the new data with `dvc add {paths}`, or put the old data back with `dvc checkout {name}`",
    )


def _state(dvc: Dvc, name: str) -> StageState:
    with dvc.locked():
        return dvc.state(name)


def _brought(dvc: Dvc, name: str, entry: Entry, options: RunOptions) -> Ran:
    """Data of `dvc add` are what their digest says, also before a recorded run has read them: nothing made them."""
    started = time.monotonic()
    if not dvc.restore(name):
        paths = ", ".join(out.path for out in entry.outs)
        hint = f"whoever brought it in should run `dvc push {name}`"
        raise OutsideError(f"{paths} is neither here, nor in DVC's cache, nor on a remote", hint)
    verify(dvc.root, _recorded(dvc.root, entry, options) or {})
    return replace(_note(dvc, name, entry, time.monotonic() - started, ""), how=How.RESTORED)


def _recorded(root: Path, entry: Entry, options: RunOptions) -> Mapping[str, Fingerprint] | None:
    run = recall(root, entry)
    return run.outputs if run else options.believed(entry)


def _from_earlier_run(dvc: Dvc, name: str, options: RunOptions) -> Ran | None:
    """What a recorded run with the same inputs gave. DVC's own run-cache is not asked: `dvc commit` writes to it."""
    started = time.monotonic()
    with dvc.locked():
        inputs = dvc.inputs(name)
    for run in (*recall_inputs(dvc.root, inputs), *options.covering(inputs)):
        if dvc.adopt(name, run.entry):
            verify(dvc.root, run.outputs)
            return Ran(name, How.RESTORED, time.monotonic() - started, run.entry)
    return None


def _execute(dvc: Dvc, name: str, options: RunOptions, why: str) -> Ran:
    options.ready()
    started = time.monotonic()
    log = options.log / f"{_file_name(name)}.log"
    before = Watched.now(dvc, name)
    with options.watch(name, log), kept_unless_done(dvc, name):
        try:
            with captured(log):
                dvc.run(name)
        except FailedError as exc:
            # DVC ignores the user's Ctrl-C while a stage runs and reports the stage that it stopped.
            if re.search(r"exited with (-2|130)\b", exc.message):
                raise KeyboardInterrupt from exc
            raise FailedError(_failure(name, exc.message, log), _advice(name, log)) from exc
    entry = dvc.entry(name)
    if entry is None:
        raise IntegrityError(f"stage {name} ran, but DVC has no whole lock entry for it", "report this as a bug")
    if before:
        before.refuse_changes(entry)
    return _note(dvc, name, entry, time.monotonic() - started, why)


def _file_name(stage: str) -> str:
    name = stage.replace("/", "_")
    return name if len(name.encode()) < 200 else f"{name[:40]}-{sha256_of(stage)[:8]}"


def _note(dvc: Dvc, name: str, entry: Entry, seconds: float, why: str) -> Ran:
    outputs = {out.path: fingerprint(dvc.root / out.path) for out in entry.outs if "://" not in out.path}
    remember(dvc.root, JournalEntry(name, entry, outputs, seconds))
    return Ran(name, How.RAN, seconds, entry, why)


def _failure(name: str, message: str, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-30:] if log.exists() else []
    said = "\n".join(f"  | {line}" for line in lines)
    return f"stage {name} failed: {message}" + (f"\n{said}" if said else "")


def _advice(name: str, log: Path) -> str:
    return f"mend it and run `gitml train` again: stages that succeeded are kept. The whole output: {log}"
