"""What a version was trained from besides the code, as resource descriptors of in-toto."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from gitml.dvc.lockentries import Content
from gitml.jsontext import canonical, plain
from gitml.registry.record import Record

# Larger params are named by their digest alone.
_LARGEST = 20_000


def materials(record: Record) -> list[dict[str, Any]]:
    """Data and files by DVC's digests, params by file, and the packages. Code is named by its commit elsewhere.

    Params stand whole in ``content``, as JSON with sorted keys: that is what the digest is of.
    """
    return [*_data(record), *_params(record), *_packages(record)]


def _data(record: Record) -> Iterator[dict[str, Any]]:
    """What no stage of the version made."""
    entries = record.entries().values()
    made = {content.path for entry in entries if not entry.brings_in for content in entry.outs}
    read = {c.path: c for entry in entries for c in (*entry.deps, *(entry.outs if entry.brings_in else ()))}
    for path in sorted(set(read) - made):
        yield _described(read[path])


def _described(content: Content) -> dict[str, Any]:
    """A folder's digest is that of the list of its files, which DVC keeps like a file."""
    algorithm, _, digest = content.digest.partition(":")
    folder = {"mediaType": "application/vnd.dvc.dir+json"} if digest.endswith(".dir") else {}
    return {"name": content.path, "digest": {algorithm: digest.removesuffix(".dir")}, **folder}


def _params(record: Record) -> Iterator[dict[str, Any]]:
    values: dict[str, dict[str, Any]] = {}
    for entry in record.entries().values():
        for file, given in entry.params.items():
            values.setdefault(file, {}).update(given)
    for file in sorted(values):
        raw = canonical(plain(values[file]))
        whole = {"content": base64.b64encode(raw).decode()} if len(raw) <= _LARGEST else {}
        yield {"name": file, "digest": {"sha256": sha256(raw).hexdigest()}, "mediaType": "application/json", **whole}


def _packages(record: Record) -> Iterator[dict[str, Any]]:
    if record.packages:
        yield {"name": record.packages.path, "digest": {"sha256": record.packages.sha256}}
