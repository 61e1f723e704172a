"""The kinds of evidence, one row each: who signs a kind, what it is bound to, how late it may come to the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"

# From signing to the ledger: a job signs, then pushes, and may have to push again.
_AT_ONCE = timedelta(hours=1)
# Agents keep what they saw until a CI job collects it.
_COLLECTED = timedelta(days=7)
# Looks lie on a branch of their own. The ledger gets a copy when a gate uses one, which may be a window of weeks old.
_USED = timedelta(days=35)


@dataclass(frozen=True)
class EvidenceRow:
    """``signer`` is whose key signs the kind: a job of the default branch, a serving machine, a monitor or a person.

    ``predicate`` is the in-toto predicate type; empty for gitml's own. ``needs`` are fields of the binding without
    which a statement does not count. ``everywhere``: it holds in every environment, where others speak of one.
    ``ran``: it says that the version ran. ``lag``: how long after its signing it may come to the ledger.
    ``on_main`` is what main must have where such evidence is believed: the change, the version's record, the commit.
    ``signed_with``: a key for that kind signs this one too, so that policies from before it go on.
    ``said_by``: no statement is of this kind; it is a verdict that statements of that kind hold.
    """

    signer: Literal["ci", "agent", "monitor", "person"]
    predicate: str = ""
    needs: tuple[str, ...] = ()
    everywhere: bool = False
    ran: bool = False
    lag: timedelta = _AT_ONCE
    on_main: Literal["", "change", "version", "commit"] = ""
    signed_with: str = ""
    said_by: str = ""

    @property
    def late(self) -> bool:
        """Whether newer evidence may stand in the ledger before it."""
        return self.lag > _AT_ONCE


KINDS: dict[str, EvidenceRow] = {
    "trained": EvidenceRow("ci", PROVENANCE, everywhere=True, on_main="version"),
    "evaluated": EvidenceRow("ci", everywhere=True),
    "reproduced": EvidenceRow("ci", everywhere=True),
    # Two versions answered the same held-out rows: the job that loads versions says it, and so who signs that.
    "compared": EvidenceRow("ci", everywhere=True, signed_with="evaluated"),
    "gate": EvidenceRow("ci", TEST_RESULT, needs=("policy",)),
    # Commits of the bot that the gate derived once more: it looks at the same things for its own kind.
    "derived": EvidenceRow("ci", everywhere=True, signed_with="gate"),
    "approved": EvidenceRow("ci", on_main="change"),
    "promoted": EvidenceRow("ci", ran=True, on_main="change"),
    "deployed": EvidenceRow("agent", ran=True, lag=_COLLECTED, on_main="commit"),
    # What servers did, hour by hour: many, and nothing hangs on one, so they lie on a branch of their own.
    "served": EvidenceRow("agent", lag=_COLLECTED, signed_with="deployed"),
    "rolled-back": EvidenceRow("ci", ran=True, on_main="change"),
    "overridden": EvidenceRow("person"),
    # What runs in another repository that a model needs, by its main and its ledger, as a job saw it.
    "observed": EvidenceRow("ci", everywhere=True, signed_with="gate"),
    # Somebody says no to a retraining: with a key of their own, or by a label that a job saw.
    "declined": EvidenceRow("person", everywhere=True, signed_with="gate"),
    # Somebody looked at a model that runs, and says whether it may go on: with a key of their own.
    "reviewed": EvidenceRow("person", everywhere=True, on_main="version"),
    # What a monitor saw in one window. `drift` was its name while nothing was signed yet.
    "look": EvidenceRow("monitor", lag=_USED, signed_with="drift"),
    "quality": EvidenceRow("monitor", said_by="look"),
    "drift": EvidenceRow("monitor", said_by="look"),
    "harm": EvidenceRow("monitor", said_by="look"),
    # What KPIs did after a change of what serves: told and never asked for, so who signs looks signs it too.
    "impact": EvidenceRow("monitor", lag=_USED, signed_with="look"),
    # Whom a model selected in one window, by category: counts alone.
    "bias": EvidenceRow("monitor", lag=_USED, signed_with="look"),
    # What became of a request for erasure, without saying whose.
    "erased": EvidenceRow("ci", everywhere=True),
    # What was judged of a candidate beside the champion; it decides who gets in, so a key is named for it.
    "canary": EvidenceRow("monitor", lag=_USED),
}


def predicate_of(kind: str) -> str:
    """The in-toto predicate type of a kind.

    >>> predicate_of("promoted")
    'https://gitml.dev/evidence/promoted/v1'
    """
    return KINDS[kind].predicate or f"https://gitml.dev/evidence/{kind}/v1"


def signed_by(signer: str) -> tuple[str, ...]:
    """The kinds that such a key signs, in the order of the table."""
    return tuple(kind for kind, row in KINDS.items() if row.signer == signer)


def widened(purposes: tuple[str, ...]) -> tuple[str, ...]:
    """The purposes of a key with those that come along.

    >>> widened(("gate", "approved"))
    ('gate', 'approved', 'derived', 'observed', 'declined')
    """
    more = (kind for kind, row in KINDS.items() if row.signed_with in purposes and kind not in purposes)
    return (*purposes, *more)
