"""Which evidence counts for which change of a deployment file on main."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from gitml.evidence.bearing import why_not
from gitml.evidence.facts import AuditFacts
from gitml.evidence.statement import Binding, SignedChange
from gitml.evidence.trust import Believed
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.kinds import KINDS


@dataclass(frozen=True)
class Match:
    """A change, the evidence that counts for it in the ledger's order, and why other evidence for it does not.

    ``steps``: earlier commits of the same merge that touched the file as well.
    """

    landed: Landed
    touch: FileChange
    place: int
    events: tuple[Believed, ...]
    doubts: tuple[str, ...]
    steps: tuple[Landed, ...] = ()

    def newest(self, *kinds: str) -> Binding | None:
        return found.binding if (found := self._newest(*kinds)) else None

    def told(self, kind: str) -> Mapping[str, Any]:
        """The details of the newest evidence of a kind."""
        return found.details if (found := self._newest(kind)) else {}

    def _newest(self, *kinds: str) -> Believed | None:
        """Two pull requests may make the same change, and one be shut: the gate of what was approved decides."""
        ours = self.newest("approved") if "gate" in kinds else None
        told = ((e, e.binding) for e in reversed(self.events) if e.kind in kinds)
        return next((e for e, b in told if b and (not ours or (b.pull, b.head) == (ours.pull, ours.head))), None)

    @property
    def pull(self) -> int | None:
        approved = self.newest("approved")
        return approved.pull if approved else None


def deployment_of(path: str, prefix: str) -> tuple[str, str] | None:
    """Model and environment of a deployment file, or None for another file. ``prefix``: the application's folder."""
    parts = path.removeprefix(prefix).split("/")
    if not path.startswith(prefix) or len(parts) != 3 or parts[0] != "models" or not parts[2].endswith(".yaml"):
        return None
    return parts[1], parts[2].removesuffix(".yaml")


def matched(facts: AuditFacts, events: Sequence[Believed]) -> Iterator[Match]:
    """Every change of main, oldest first, with the evidence for it."""
    by_change: dict[tuple[str, str, str], list[Believed]] = {}
    for event in events:
        change = event.binding.change if event.binding else None
        if change:
            by_change.setdefault((change.path, change.old, change.new), []).append(event)
    before: dict[str, str] = {}
    for touch, (*steps, landed) in _merges(facts, events):
        first, place = (facts.order[one.commit] for one in ((*steps, landed)[0], landed))
        candidates = by_change.get((touch.path, touch.old, touch.new), [])
        heard = [e.unless(_unfit(facts, e, touch, before.get(touch.path, ""), first)) for e in candidates]
        fit = tuple(e for e in heard if e)
        doubts = tuple(dict.fromkeys(f"{e.name} {e.why_not}" for e in heard if not e))
        yield Match(landed, touch, place, fit, doubts, tuple(steps))
        before[touch.path] = landed.commit


def _merges(facts: AuditFacts, events: Sequence[Believed]) -> list[tuple[FileChange, tuple[Landed, ...]]]:
    """Changes of deployment files, oldest first: one commit each, or those that CI says one merge brought."""
    by_path: dict[str, list[tuple[Landed, FileChange]]] = {}
    for landed in facts.changes:
        for touch in landed.touches:
            if deployment_of(touch.path, facts.prefix):
                by_path.setdefault(touch.path, []).append((landed, touch))
    spans = [span for event in events if (span := _span(facts, event))]
    found = []
    for path, steps in by_path.items():
        while steps:
            count = next((n for change, *ends in spans if (n := _length(facts, steps, path, change, *ends)) > 1), 1)
            mine, steps = steps[:count], steps[count:]
            whole = replace(mine[-1][1], old=mine[0][1].old, old_mode=mine[0][1].old_mode)
            found.append((whole, tuple(landed for landed, _ in mine)))
    return sorted(found, key=lambda one: facts.order[one[1][-1].commit])


def _span(facts: AuditFacts, event: Believed) -> tuple[SignedChange, int, int] | None:
    """A change that was approved, with the places of main before its merge and at the end of it."""
    statement = event.statement
    if not event or statement is None or statement.binding.kind != "approved":
        return None
    base, last = (facts.order.get(str(c), -1) for c in (statement.binding.base, statement.details.get("commit")))
    change = statement.binding.change
    return (change, base, last) if change and 0 <= base < last else None


def _length(
    facts: AuditFacts, steps: Sequence[tuple[Landed, FileChange]], path: str, change: SignedChange, base: int, last: int
) -> int:
    """How many of the first steps are this merge: all of its own, and they lead from its old to its new content."""
    if path != change.path or not base < facts.order[steps[0][0].commit] <= last or change.old != steps[0][1].old:
        return 0
    mine = list(takewhile(lambda step: facts.order[step[0].commit] <= last, steps))
    return len(mine) if mine[-1][1].new == change.new else 0


def _unfit(facts: AuditFacts, event: Believed, change: FileChange, last: str, place: int) -> str:
    """Why evidence for a change of the same file between the same contents does not count for this one; or empty.

    ``last`` is the commit before that changed the file: what was judged earlier was judged for another time.
    """
    about = event.binding
    if not event or about is None:
        return ""

    def touched(base: str) -> str | None:
        if not 0 <= facts.order.get(base, -1) < place:
            return None
        return last if facts.order[base] < facts.order.get(last, -1) else ""

    if why := why_not(about, change, touched):
        return why
    base = facts.order[about.base]
    if about.policy != facts.rules_at(base).digest and (about.policy or "policy" in KINDS[about.kind].needs):
        return "was judged by another policy.yaml than main's at that time"
    public = facts.rules.keys[event.signer].public.split()[1]
    if public not in {key.public.split()[1] for key in facts.rules_at(place - 1).keys.values()}:
        return "is signed by a key that main did not name before the change"
    return ""
