"""What dvc.lock says of a version against what its record says. DVC is not imported: that takes half a second."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping

from gitml.dvc.lockentries import Content, Entry
from gitml.errors import Problem
from gitml.jsontext import plain
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record
from gitml.spec.dvcfiles import Locked, Pipeline
from gitml.spec.dvcshape import LockItem, LockStage


def other_bytes(locks: Mapping[str, Locked], pipeline: Pipeline, records: Collection[Record]) -> Iterator[Problem]:
    """Outputs of a version's lineage for which dvc.lock names other bytes than each record of that lineage.

    ``records`` are those of one model. `dvc push` and `dvc pull` go by the lock, deployments by the record.
    """
    wdirs = {name: stage.wdir for name, stage in pipeline.stages.items()}
    locked = {name: _entry(found.entry, wdirs.get(name, found.folder)) for name, found in locks.items()}
    differences = [(record, _differing(record, locked)) for record in records if _is_of(record, locked)]
    if not differences or not all(paths for _, paths in differences):
        return
    record, paths = differences[-1]
    for path, stage in paths.items():
        told = f"names other bytes of {path} than the record of {record.reference}, made from the same inputs"
        hint = "run `gitml train`: it puts the recorded bytes back; until then `dvc push` would send the other ones"
        yield locks[stage].document.problem(locks[stage].key, told, hint)


def _entry(stage: LockStage, wdir: str) -> Entry:
    params = {posixpath.normpath(posixpath.join(wdir, file)): plain(values) for file, values in stage.params.items()}
    deps, outs = (tuple(sorted(_content(i, wdir) for i in items)) for items in (stage.deps, stage.outs))
    return Entry(stage.cmd, deps, params, outs)


def _content(item: LockItem, wdir: str) -> Content:
    path = item.path if "://" in item.path else posixpath.normpath(posixpath.join(wdir, item.path))
    return Content(path, f"md5:{item.md5}")


def _is_of(record: Record, locked: Mapping[str, Entry]) -> bool:
    """Whether the lock's stages are the lineage of the record."""
    recorded = record.entries()
    # What no stage made is described by .dvc files; the stages that read it say in the lock which bytes it had.
    read = {dep.path: dep.digest for name in recorded if name in locked for dep in locked[name].deps}
    for name, entry in recorded.items():
        if name not in locked and any(read.get(out.path, out.digest) != out.digest for out in entry.outs):
            return False
    return lineage_digest(record.model, {n: locked.get(n, entry) for n, entry in recorded.items()}) == record.digest


def _differing(record: Record, locked: Mapping[str, Entry]) -> dict[str, str]:
    """Path → stage of the model's own outputs of which the lock names other bytes."""
    own = {record.artifact, *record.roles.values()}
    now = {out.path: (out.digest, name) for name in record.stages if name in locked for out in locked[name].outs}
    then = {out.path: out.digest for entry in record.entries().values() for out in entry.outs if out.path in own}
    return {path: now[path][1] for path, digest in then.items() if path in now and now[path][0] != digest}
