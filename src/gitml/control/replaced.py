"""Recorded files that others took the place of, as a clone knows it: from the ledger that it has, without asking."""

from __future__ import annotations

from datetime import datetime

from gitml.control.ledger import Here
from gitml.evidence.bearing import without_backdated
from gitml.evidence.reader import EvidenceRules, read
from gitml.registry.replacements import KIND, ReplacedFile, replacements_of


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
