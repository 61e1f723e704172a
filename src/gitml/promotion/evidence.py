"""``gitml evidence``: the events of the ledger, and which of them main's keys vouch for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from gitml import clock
from gitml.control.ledger import Here
from gitml.errors import InconclusiveError, RefError, UsageError
from gitml.evidence.keys import generate
from gitml.evidence.reader import EvidenceRules, read
from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed, believe
from gitml.git import ledger
from gitml.git.ledger import Event
from gitml.verdict import Phase, Verdict


@dataclass(frozen=True)
class EventFilter:
    """Which events; empty fields ask for nothing. ``most`` newest, None for all."""

    model: str = ""
    environment: str = ""
    kind: str = ""
    pull: int | None = None
    most: int | None = None

    def fits(self, about: Binding | None) -> bool:
        """Whether what an event says of itself is what is wanted; an unreadable one only when nothing is asked."""
        asked = {"model": self.model, "environment": self.environment, "kind": self.kind, "pull": self.pull}
        return all(getattr(about, name, None) == value for name, value in asked.items() if value)


def events(here: Here) -> tuple[Believed, ...]:
    """Oldest first, each judged by the keys of main. Raises InconclusiveError when this clone has no ledger."""
    heads = here.heads()
    if not heads:
        raise InconclusiveError(
            f"this clone has no branch {ledger.BRANCH}", f"git fetch origin {ledger.BRANCH}, or add --fetch"
        )
    return read(here.git.root, heads[0], _rules(here)).events


def evidence(here: Here, wanted: EventFilter) -> list[Believed]:
    """Events newest first, each judged."""
    fitting = (one for one in reversed(events(here)) if wanted.fits(one.binding))
    return list(islice(fitting, wanted.most))


def _rules(here: Here) -> EvidenceRules:
    return EvidenceRules(here.policy(), here.repository, clock.now(), here.settings.host)


def find(here: Here, name: str) -> Believed:
    """The one event whose path or digest starts with ``name``. Raises RefError for none or several."""
    stems = {event.name: event for event in events(here)}
    found = [n for n in stems if n == name or _stem(n).startswith(name) or _digest(n).startswith(name)]
    if len(found) != 1 or len(name) < 4:
        said = "names no event" if not found else "is too short" if len(name) < 4 else "names several events"
        raise RefError(f"{name!r} {said}", "`gitml evidence ls` lists them; the last 12 digits name one")
    return stems[found[0]]


def _stem(name: str) -> str:
    return name.rpartition("/")[2]


def _digest(name: str) -> str:
    return name.rpartition("-")[2]


def verify(here: Here, names: Sequence[str]) -> tuple[list[Believed], Verdict]:
    """Events, or files with envelopes, by their names; all events of the ledger without any."""
    if names:
        shown = [_file(here, Path(n)) if Path(n).is_file() else find(here, n) for n in names]
    else:
        shown = list(events(here))
    wrong = [one for one in shown if not one]
    counts = {"verified": len(shown) - len(wrong), "refused": len(wrong)}
    if not shown:
        return shown, Verdict(Phase.INCONCLUSIVE, "there are no events", counts)
    if wrong:
        return wrong, Verdict(Phase.FAILED, f"{len(wrong)} of {len(shown)} events do not count", counts)
    return shown, Verdict(Phase.SUCCESSFUL, f"{len(shown)} events are signed by keys of main's policy.yaml", counts)


def _file(here: Here, path: Path) -> Believed:
    """An envelope in a file; the name that the ledger would give it is not asked for."""
    content = path.read_bytes()
    rules = _rules(here)
    found = believe(content, rules.policy.keys, rules.repository, rules.now, rules.host)
    about = found.binding
    name = ledger.event_name(about.time, about.kind, content) if about else str(path)
    return replace(found, event=Event(name, content))


@dataclass(frozen=True)
class KeyPair:
    """``private`` is the file that holds the private key; ``public`` the line for policy.yaml."""

    private: Path
    public: str


def keygen(path: Path, comment: str) -> KeyPair:
    """Write a new private key that only its owner can read. Raises UsageError when the file is there."""
    private, public = generate(comment)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already", "keys are never overwritten: choose another name") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(private)
    return KeyPair(path, public)


def here(root: Path, env: Mapping[str, str], repository: str = "", *, fetch: bool = False) -> Here:
    """The clone, after a fetch where that is asked."""
    found = Here(root, env, repository)
    if fetch:
        found.refresh()
    return found
