"""What is to be done about one model's deployment file: nothing, wait, refuse, or apply it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gitml.agent.hold import Restraint, restraint
from gitml.agent.source import Moved, Wanted
from gitml.agent.state import Applied
from gitml.agent.trust import Grounds, NotYetError, Trusted, UntrustedError, trust
from gitml.errors import SpecError
from gitml.spec.deployment import Deployment, parse_deployment


@dataclass(frozen=True)
class Same:
    """What main says is applied."""


@dataclass(frozen=True)
class Keep:
    """What is served stays: ``reason`` says why main's file is not followed. ``failed``: it never will be."""

    reason: str
    failed: bool = True


@dataclass(frozen=True)
class Wait:
    """It is believed, and stopped for a time."""

    restraint: Restraint
    trusted: Trusted


@dataclass(frozen=True)
class Go:
    """It is believed, and nothing stops it."""

    deployment: Deployment
    trusted: Trusted


Judged = Same | Keep | Wait | Go


def judge(grounds: Grounds, wanted: Wanted | None, applied: Applied | None, environment: str) -> Judged:
    """Never raises for what is in the repository: whatever is wrong with it, what is served stays."""
    if wanted is None:
        return Keep("main has no deployment file any more; nothing is unloaded for that")
    if wanted.problem:
        return Keep(wanted.problem)
    if applied is not None and applied.blob == wanted.blob:
        return Same()
    try:
        deployment = parse_deployment(wanted.content, wanted.path)
    except SpecError as exc:
        return Keep(f"main's file cannot be read: {exc.message.splitlines()[0]}")
    try:
        trusted = _believed(grounds, wanted)
    except UntrustedError as exc:
        return Keep(exc.message + (f"; {exc.hint}" if exc.hint else ""))
    old = _before(grounds, trusted)
    stopped = restraint(trusted, old, deployment, environment=environment, now=grounds.now, first=applied is None)
    return Wait(stopped, trusted) if stopped else Go(deployment, trusted)


def _believed(grounds: Grounds, wanted: Wanted) -> Trusted:
    """Looked up once: while main and the ledger stay, so does the answer, unless it only waits for time to pass."""
    key = (wanted.path, wanted.blob)
    if key not in grounds.known:
        try:
            grounds.known[key] = _looked_up(grounds, wanted)
        except NotYetError:
            raise
        except UntrustedError as exc:
            grounds.known[key] = exc
    found = grounds.known[key]
    if isinstance(found, UntrustedError):
        raise found
    return found


def _looked_up(grounds: Grounds, wanted: Wanted) -> Trusted:
    """The newest change that somebody judged, if it left the file as it is now.

    What nobody judged, and is back where it began, is passed over: whoever may merge anything at all could else keep
    every new agent from serving. But nothing that was judged is passed over: after it, only it counts.
    """
    changes = iter(grounds.mirror.changes(grounds.head, wanted.path))
    newest = next(changes, None)
    if newest is None or newest.new != wanted.blob:
        raise UntrustedError(
            f"no commit on main's own line brought {wanted.path} as it is", "see `git log --first-parent`"
        )
    try:
        return trust(grounds, newest)
    except NotYetError:
        raise
    except UntrustedError:
        trusted = _newest_judged(grounds, changes)
        if trusted is None or trusted.change.new != wanted.blob:
            raise
        return trusted


def _newest_judged(grounds: Grounds, changes: Iterable[Moved]) -> Trusted | None:
    spoken_of = {(path, new) for path, _, new in grounds.ledger.by_change}
    for change in changes:
        if (change.path, change.new) in spoken_of:
            try:
                return trust(grounds, change)
            except NotYetError:
                raise
            except UntrustedError:
                continue
    return None


def _before(grounds: Grounds, trusted: Trusted) -> Deployment | None:
    """The file that the change replaced; None if there was none, or none that can be read."""
    change = trusted.change
    raw = grounds.mirror.top_file(change.parent, change.path) if change.old else None
    try:
        return parse_deployment(raw, change.path) if raw is not None else None
    except SpecError:
        return None


def hold_of(applied: Applied, now: datetime) -> Restraint | None:
    """The hold in what is applied, while it is in force."""
    try:
        hold = parse_deployment(applied.text.encode(), applied.path).hold
    except SpecError:
        return None
    if hold is None or (hold.until is not None and hold.until <= now):
        return None
    return Restraint(f"held by {hold.by}: {hold.reason}", hold.until)
