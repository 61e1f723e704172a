"""What an erasure replaced, on the machine that serves: the new file is fetched, then the old one deleted."""

from __future__ import annotations

import shutil
from dataclasses import replace

from gitml.agent.fetch import MirrorShelf
from gitml.errors import GitmlError
from gitml.registry.record import parse_record
from gitml.registry.replacements import ReplacedFile, role_of, with_replaced
from gitml.registry.store import record_path


def forget(shelf: MirrorShelf, one: ReplacedFile, before: tuple[ReplacedFile, ...]) -> str:
    """Why not yet; '' when this machine has the old file no more. ``before``: what was replaced earlier.

    What serves goes on serving, and finds the new file at its next start. Where it cannot have them it keeps the old
    ones: a model that cannot be checked would not be served.
    """
    old = shelf.cache / one.old[:2] / one.old
    if not old.exists():
        return ""
    path = record_path(one.model, one.version)
    try:
        raw = shelf.mirror.original(shelf.commit, path).read(path)
        record = with_replaced(parse_record(raw), (*before, one)) if raw is not None else None
    except (GitmlError, ValueError) as exc:
        return f"the record of {one.version} cannot be read: {str(exc).splitlines()[0]}"
    if record is None or not role_of(record, one.path) or record.files[one.path].sha256 != one.new:
        return f"what was signed of {one.version} is of no rows or counts that it has"
    try:
        replace(shelf, replaced=()).files(record, [one.path])
    except GitmlError as exc:
        return f"what replaces {one.path} of {one.version} cannot be had: {exc.message}"
    shutil.rmtree(old, ignore_errors=True)
    return "" if not old.exists() else f"{old} cannot be deleted"
