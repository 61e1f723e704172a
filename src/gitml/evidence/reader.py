"""The one reader of the ledger, for agents, gates and audits.

An event counts if its bytes are the one form of what they say, if it lies under the one name that its signed time, its
kind and its bytes give, if a key of policy.yaml vouches for it, and if the line was whole when it came. The order is
that of the signed times. What a later commit does to the files changes none of this.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from gitml.evidence.standing import Standing, standing
from gitml.evidence.trust import Believed, Cause, believe_event
from gitml.git import ledger
from gitml.git.ledger import Event
from gitml.git.ledgerline import LedgerEntry
from gitml.git.repository import Repository
from gitml.spec.policy import Policy


@dataclass(frozen=True)
class EvidenceRules:
    """What events are judged by: a policy of main, whose repository it is, the time, and the forge's host."""

    policy: Policy
    repository: str
    now: datetime
    host: str = ""

    def believe(self, event: Event) -> Believed:
        """By the signature alone: how the line stood is not looked at."""
        return believe_event(event, self.policy.keys, self.repository, self.now, self.host)


@dataclass(frozen=True)
class Told:
    """The events of a ledger by their signed times, oldest first, and how its line stands."""

    events: tuple[Believed, ...] = ()
    standing: Standing = field(default_factory=Standing)


def by_time(one: Believed) -> tuple[str, bool, str]:
    """The order of the ledger: the signed time; where two say the same, what did not pass is the newer one, so that no
    name decides that; then the name. What cannot be read is first."""
    return (one.binding.time if one.binding else "", one.result != "passed", one.name)


def read(root: Path, head: str, rules: EvidenceRules, *, whole: bool = True) -> Told:
    """The ledger at the commit ``head`` of the clone at ``root``. Raises OutsideError when Git cannot read it.

    ``whole``: also the words of what nobody vouches for, as who shows events wants them.
    """
    repository = Repository(root)
    line = ledger.remembered(repository, head)
    found = list(believed_of(repository, line.entries, rules, whole=whole))
    found.sort(key=by_time)
    stands = standing(line, found, rules.policy)
    return Told(tuple(stands.judged(one) for one in found) if line.breaks else tuple(found), stands)


def believed_of(
    repository: Repository, entries: Collection[LedgerEntry], rules: EvidenceRules, *, whole: bool = False
) -> Iterator[Believed]:
    """The events, each judged by its signature.

    Unless the ``whole`` is wanted, what no key vouches for is let go once it is judged: whoever may push could fill
    the memory of every reader with it.
    """
    for event in ledger.load(repository, entries):
        found = rules.believe(event)
        yield found if whole or found.cause not in _ANYBODY_S else _without_words(found)


# Whoever may push can make any number of these.
_ANYBODY_S = frozenset({Cause.UNREADABLE, Cause.MISNAMED, Cause.NOT_CANONICAL, Cause.UNKNOWN_KEY, Cause.BAD_SIGNATURE})


def _without_words(one: Believed) -> Believed:
    event = replace(one.event, content=b"", known={"digest": one.event.digest})
    statement = replace(one.statement, details={}) if one.statement else None
    return replace(one, statement=statement, event=event)
