"""The runs that version records vouch for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gitml.dvc.lockentries import Entry
from gitml.dvc.manifest import Fingerprint
from gitml.errors import SpecError
from gitml.registry.store import Found, find, read_record


def recorded_runs(
    root: Path, models: Sequence[str], stage_cmd: Sequence[str]
) -> Iterator[tuple[Entry, Mapping[str, Fingerprint]]]:
    """Entries with the command ``stage_cmd`` in the records of these models, newest first, and their outputs' SHA-256.

    Records that do not hold together vouch for nothing.
    """
    files = sorted((f for model in models for f in find(root, model)), reverse=True)
    for found in files:
        for name in _stages_with(found, list(stage_cmd)):
            with suppress(SpecError):
                record = read_record(found)
                entry = record.entries()[name]
                known = {p: Fingerprint(f.sha256, f.size) for p, f in record.files.items()}
                yield entry, {c.path: known[c.path] for c in entry.outs if c.path in known}


def _stages_with(found: Found, cmd: list[str]) -> list[str]:
    """A cheap look before the whole record is read and checked."""
    try:
        stages = json.loads(found.path.read_bytes())["stages"]
        return [name for name, entry in stages.items() if entry["cmd"] == cmd]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
