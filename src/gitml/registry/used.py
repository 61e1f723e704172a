"""Which version of an upstream a version was made with: from its record, and from the history of main."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from gitml.errors import GitmlError, SpecError
from gitml.git.commands import Git
from gitml.git.history import first_with
from gitml.registry.deploymentpast import champion_at
from gitml.registry.record import Record
from gitml.registry.store import record_in, record_path, versions
from gitml.spec.deployment import Pin
from gitml.spec.upstream import UpstreamNeed

# Versions of an upstream that are looked through for the one that was used, from the newest on.
MOST_VERSIONS = 500
_FILE = "md5:"


@dataclass(frozen=True)
class UpstreamAt:
    """A model that another one needs: on ``commit`` of the main branch that ``git`` reads, in ``environment``."""

    git: Git
    commit: str
    model: str
    environment: str


@dataclass(frozen=True)
class UsedVersions:
    """The versions that can have been used: several have the same file. ``told_by`` says how that is known; without
    any, ``why_not`` says why it is not."""

    pins: tuple[Pin, ...] = ()
    told_by: str = ""
    why_not: str = ""

    def has(self, pin: Pin) -> bool:
        return any((one.version, one.digest) == (pin.version, pin.digest) for one in self.pins)


def versions_used(record: Record, need: UpstreamNeed, upstream: UpstreamAt) -> UsedVersions:
    """The versions of ``upstream`` that ``record`` can have been made with.

    The one whose file its stages read: that which `needs` names, for answers the artifact by default. It is found by
    its digest, so it may lie elsewhere here, as `dvc import` leaves it. Where no stage reads one, the one that main had
    in the environment when ``record`` was made.
    """
    read = _contents(record)
    found, path = [], need.file or ""
    for one in _records(upstream):
        name = need.file or (one.artifact if need.what == "answers" else "")
        content = one.contents().get(name)
        if content is not None and content.digest.startswith(_FILE) and content.digest in read.values():
            found.append(one)
        if name and not need.is_elsewhere and name in read:
            path = name
    pins = tuple(pin for one in found if (pin := _as_it_came(upstream, one)))
    if pins:
        return UsedVersions(pins, f"its stages read {need.file or found[-1].artifact}")
    if path or found:
        words = "in bytes that are of no version of"
        return UsedVersions(why_not=f"its stages read {path or found[-1].artifact}, {words} {upstream.model} on main")
    return _there_when_made(record, upstream)


def _there_when_made(record: Record, upstream: UpstreamAt) -> UsedVersions:
    where, made = upstream.environment, datetime.fromisoformat(record.created)
    try:
        pin = champion_at(upstream.git, upstream.commit, upstream.model, where, made)
    except SpecError as exc:
        return UsedVersions(why_not=str(exc.problems[0]))
    if pin is None:
        told = f"no version of {upstream.model} was in {where} when it was made, at {record.created}"
        return UsedVersions(why_not=told)
    return UsedVersions((pin,), f"that was in {where} when it was made, at {record.created}")


def _contents(record: Record) -> dict[str, str]:
    """What its stages read and wrote, without its own artifact: digests by paths."""
    every = (content for entry in record.entries().values() for content in (*entry.deps, *entry.outs))
    return {content.path: content.digest for content in every if content.path != record.artifact}


def _records(upstream: UpstreamAt) -> Iterator[Record]:
    tree = upstream.git.at(upstream.commit)
    for version in versions(tree, upstream.model)[-MOST_VERSIONS:]:
        with suppress(GitmlError):  # one that cannot be read was used by nobody
            yield record_in(tree, upstream.model, version)


def _as_it_came(upstream: UpstreamAt, record: Record) -> Pin | None:
    """None where the record was edited since: what it says of its files then counts for nothing."""
    git, path = upstream.git, record_path(record.model, record.version)
    came = first_with(git.root, upstream.commit, git.prefix + path)
    if came is None or git.read_file(came, path) != git.read_file(upstream.commit, path):
        return None
    return Pin(version=record.version, digest=record.files[record.artifact].sha256)
