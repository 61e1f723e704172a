"""What an audit is made from: frozen records without I/O. ``gitml.promotion.audit`` gathers them from a clone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gitml.errors import SpecError
from gitml.evidence.findings import Finding
from gitml.git.history import Landed
from gitml.git.ledgerline import LedgerEntry, Line
from gitml.spec.policy import Policy, TrustedKey, parse_policy


@dataclass(frozen=True)
class Rules:
    """policy.yaml as one commit of main left it, empty where it was deleted or is no text."""

    commit: str
    content: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()

    @cached_property
    def policy(self) -> Policy | None:
        """None where it cannot be read."""
        try:
            return parse_policy(self.content.encode())
        except SpecError:
            return None

    @property
    def keys(self) -> Mapping[str, TrustedKey]:
        """No keys where it cannot be read."""
        return self.policy.keys if self.policy else {}


@dataclass(frozen=True)
class Way:
    """How a commit came to main, as the forge says: by which merged pull request, or pushed by whom.

    ``author`` is whom the forge takes the commit's author for; empty where it does not say.
    """

    pull: int | None
    pushed_by: str = ""
    author: str = ""


@dataclass(frozen=True)
class AuditFacts:
    """``order``: positions on main's first-parent line of the commits that matter, oldest first.

    ``changes``: commits of that line which touch deployment files and what governs them, ``policies`` policy.yaml's
    states, ``versions`` all ``model/version`` that main ever had a record of, ``records`` the commits that touch
    records more than once. ``ledger``: the commits of the ledger's own line; ``line`` what readers make of it, with all
    that it was put in front of; ``contents`` the blobs; ``lines`` the second parents there that are ledgers themselves.
    ``ways`` is None when no forge was asked. ``kept``: heads that the ledger had once, as somebody kept them.
    ``looks``: what is wrong with the branches of looks and of hours that agents told of; ``seen``: the statements on
    the first that count, whose bytes are among the contents. ``reviewed_within``: of each model that runs and has to be
    reviewed, how often, in seconds; ``at``: the moment that its reviews are judged at, in ISO form, so that an export
    is judged alike later. ``application``: gitml.yaml of main, which says purpose, owner and tier of each model.
    """

    repository: str
    main: str
    order: Mapping[str, int]
    changes: tuple[Landed, ...] = ()
    policies: tuple[Rules, ...] = ()
    versions: frozenset[str] = frozenset()
    head: str = ""
    ledger: tuple[Landed, ...] = ()
    line: Line = field(default_factory=Line)
    contents: Mapping[str, bytes] = field(default_factory=dict)
    lines: frozenset[str] = frozenset()
    ways: Mapping[str, Way] | None = None
    kept: tuple[str, ...] = ()
    since: str = ""
    prefix: str = ""
    host: str = ""
    records: tuple[Landed, ...] = ()
    looks: tuple[Finding, ...] = ()
    seen: tuple[LedgerEntry, ...] = ()
    reviewed_within: Mapping[str, float] = field(default_factory=dict)
    at: str = ""
    application: str = ""

    def rules_at(self, position: int) -> Rules:
        """policy.yaml as main had it at a position."""
        found = [rules for rules in self.policies if self.order[rules.commit] <= position]
        return found[-1] if found else Rules("", "")

    @property
    def rules(self) -> Rules:
        """policy.yaml as main has it now."""
        return self.policies[-1] if self.policies else Rules("", "")
