"""In a clone without data, what recorded runs cover is not fetched: only what the model itself is made of."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence

from gitml.dvc.manifest import verify
from gitml.dvc.repository import Dvc
from gitml.pipelines.coverage import covered
from gitml.pipelines.journal import JournalEntry
from gitml.pipelines.ran import How, Ran
from gitml.pipelines.run import RunOptions


def without_data(
    dvc: Dvc, stages: Sequence[str], wanted: Collection[str], options: RunOptions
) -> tuple[Ran, ...] | None:
    """The stages with their entries, when none has to run and data lie on the remote alone; the outputs of ``wanted``
    are fetched.

    None where one may have to run, or everything lies here: then its inputs are needed, or nothing is to be saved.
    """
    lacking = {name for name in stages if _lacks(dvc, name)}
    if options.force or not options.run_cache or not lacking - set(wanted):
        return None
    found = covered(dvc, stages, dict.fromkeys(stages, options), {}, settled=False)
    if any(name not in found or dvc.entry(name) != found[name].entry for name in stages):
        return None
    done = []
    for name in stages:
        ran = _fetched(dvc, found[name]) if name in wanted else _left(found[name], lacking)
        if ran is None:
            return None
        done.append(ran)
    for ran in done:
        options.tell(ran)
    return tuple(done)


def _lacks(dvc: Dvc, name: str) -> bool:
    """Whether an output lies neither in the work tree nor in the cache."""
    entry = dvc.entry(name)
    outs = entry.outs if entry else ()
    return any(not os.path.exists(dvc.root / out.path) and dvc.object_path(out) is None for out in outs)


def _fetched(dvc: Dvc, run: JournalEntry) -> Ran | None:
    started = time.monotonic()
    here = all(os.path.exists(dvc.root / path) for path in run.outputs)
    if not dvc.restore(run.stage):
        return None
    verify(dvc.root, run.outputs)
    if here:
        return Ran(run.stage, How.UP_TO_DATE, 0.0, run.entry)
    return Ran(run.stage, How.RESTORED, time.monotonic() - started, run.entry)


def _left(run: JournalEntry, lacking: Collection[str]) -> Ran:
    if run.stage not in lacking:
        return Ran(run.stage, How.UP_TO_DATE, 0.0, run.entry)
    return Ran(run.stage, How.NOT_FETCHED, 0.0, run.entry, "nothing needs it: `dvc pull` brings it")
