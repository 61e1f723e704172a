"""Which version of an upstream a version was made with, as the digests in its record say; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gitml.registry.record import Record
from gitml.spec.upstream import UpstreamNeed

_FILE = "md5:"


@dataclass(frozen=True)
class UsedVersions:
    """``versions`` are those of the upstream that have the file which was read, oldest first. ``path`` is that file;
    '' where no stage read one, so that the record does not tell."""

    versions: tuple[Record, ...]
    path: str = ""


def versions_used(record: Record, need: UpstreamNeed, upstreams: Iterable[Record]) -> UsedVersions:
    """The versions among ``upstreams`` that ``record`` can have been made with.

    The file is the one that `needs` names, for answers the artifact by default. It is found by its digest, so it may
    lie elsewhere here, as `dvc import` leaves it. Several versions can have the same file.
    """
    read = _contents(record)
    digests = set(read.values())
    found, path = [], ""
    for one in upstreams:
        name = need.file or (one.artifact if need.what == "answers" else "")
        content = one.contents().get(name)
        if content is not None and content.digest.startswith(_FILE) and content.digest in digests:
            found.append(one)
        if not need.is_elsewhere and name in read:
            path = name
    if found:
        return UsedVersions(tuple(found), need.file or found[-1].artifact)
    return UsedVersions((), need.file or path)


def _contents(record: Record) -> dict[str, str]:
    """What its stages read and wrote, without its own artifact: digests by paths."""
    every = (content for entry in record.entries().values() for content in (*entry.deps, *entry.outs))
    return {content.path: content.digest for content in every if content.path != record.artifact}
