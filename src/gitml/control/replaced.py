"""Recorded files that others took the place of, as a clone knows it: from the ledger that it has, without asking."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from gitml.control.ledger import Here
from gitml.errors import GitmlError
from gitml.evidence import dsse
from gitml.evidence.bearing import without_backdated
from gitml.evidence.reader import EvidenceRules, read
from gitml.evidence.statement import parse_payload
from gitml.git import ledger
from gitml.registry.replacements import KIND, ReplacedFile, replacements_in, replacements_of


def replaced_here(here: Here, now: datetime) -> tuple[ReplacedFile, ...]:
    """What main's keys signed, oldest first; nothing where there is no ledger. Raises GitmlError where main, its policy
    or the ledger cannot be read."""
    heads = here.heads()
    if not heads:
        return ()
    rules = EvidenceRules(here.policy(), here.repository, now, here.settings.host)
    told = read(here.git.root, heads[0], rules, whole=False)
    events = without_backdated(here.git, told.events, rules.policy.keys)
    return replacements_of(one.details for one in events if one and one.kind == KIND)


def told_replaced(here: Here) -> Iterator[ReplacedFile]:
    """What any statement in any ledger of this clone says, whoever signed it: for those who keep rather than believe.
    One that cannot be read says nothing."""
    for head in here.heads():
        for event in ledger.read(here.git.root, head):
            if f"-{KIND}-" in event.name:
                try:
                    yield from replacements_in(parse_payload(dsse.unpack(event.content).payload).details)
                except (GitmlError, ValueError):
                    continue
