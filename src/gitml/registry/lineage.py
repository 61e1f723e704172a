"""The digest that makes a version: what the model was made from, not what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitml.dvc.lockentries import Content, Entry, holds_more, makers_of, sha256_of


def lineage_digest(model: str, stages: Mapping[str, Entry]) -> str:
    """SHA-256 in hex over the model's name and each stage's command, dependencies and params (DESIGN decision 2).

    A dependency that another stage of the lineage made counts as "made by that stage": its bytes follow from that
    stage's own inputs, and may differ between equal runs (skops files do). What ``dvc add`` or a stage that is always
    changed brought in has no such inputs: there the bytes themselves count, as they do for a folder that holds more
    than what stages made.
    """
    makers = {out.path: name for name, entry in stages.items() for out in entry.outs}
    return sha256_of({"model": model, "stages": {name: _inputs(entry, makers) for name, entry in stages.items()}})


def external_digest(model: str, artifact: str, source: str) -> str:
    """The same for a model made elsewhere: known of its lineage are its artifact's SHA-256 and its source."""
    return sha256_of({"model": model, "artifact": artifact, "source": source})


def external(stages: Mapping[str, Entry]) -> tuple[Content, ...]:
    """The dependencies that no stage of the lineage made: code, data brought in, locked packages."""
    makers = {out.path: name for name, entry in stages.items() for out in entry.outs}
    found = {d.path: d for e in stages.values() for d in e.deps if _counts(d.path, makers)}
    return tuple(found[path] for path in sorted(found))


def _counts(path: str, makers: Mapping[str, str]) -> bool:
    """Whether the bytes at ``path`` are not all made by stages."""
    return not makers_of(path, makers) or holds_more(path, makers)


def _inputs(entry: Entry, makers: Mapping[str, str]) -> dict[str, Any]:
    deps = []
    for dep in sorted(entry.deps):
        made = sorted(makers_of(dep.path, makers))
        digest = {"digest": dep.digest} if _counts(dep.path, makers) else {}
        deps.append({"path": dep.path, **({"stages": made} if made else {}), **digest})
    brought = {"brought": [[c.path, c.digest] for c in sorted(entry.outs)]} if entry.brings_in else {}
    return {"cmd": list(entry.cmd), "deps": deps, "params": entry.params, **brought}
