"""Gates opened by people, with a reason and an end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitml.gates.facts import Person, Proof, Unknown
from gitml.gates.verdicts import failed, listed, passed, unclear
from gitml.jsontext import picked, plain
from gitml.policy.facts import Case
from gitml.policy.freezes import moment
from gitml.policy.people import involved, members_of, same
from gitml.spec.policy import Override, Policy
from gitml.verdict import Verdict

# What no signature replaces: bytes that are what they should be, an edit that can be judged, people who approve.
NEVER = frozenset({"change", "artifact", "loads", "version", "approvals", "hold"})


@dataclass(frozen=True)
class Overrule:
    """``gates`` are opened by the people ``by``, until ``until``; ``verdict`` says whether the statements suffice."""

    verdict: Verdict
    gates: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    reason: str = ""
    until: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**picked(self, "verdict", "gates", "by", "reason"), "until": plain(self.until or "")}


@dataclass(frozen=True)
class _Signed:
    owner: str
    gates: frozenset[str]
    reason: str
    until: datetime


def judge(policy: Policy, case: Case, shut: Collection[str]) -> Overrule | None:
    """People of one role open gates that are ``shut``, with signed statements; None where nobody asks for it.

        override: {role: risk, people: 2, lasts: 7d}

    Each statement is evidence ``overridden`` for exactly this change (repository, model, environment, the new file's
    blob), signed with a key of policy.yaml whose ``owner`` is the login of a person of the role. It names the gates,
    a reason and an end that lies ahead, and not later than ``lasts`` after the signature. A gate opens when as many
    distinct people as policy.yaml says name it; who may not approve the change may not override either. Approvals,
    holds, digests and edits that cannot be judged are never opened.
    """
    if isinstance(case.proofs, Unknown):
        return None
    asked = [p for p in case.proofs if p.kind == "overridden" and p.new == case.blob and case.blob]
    if not asked:
        return None
    rule = policy.override
    if rule is None:
        return Overrule(failed("policy.yaml lets nobody override a gate"))
    read = [_read(policy, rule, case, proof) for proof in asked]
    signed = [s for s in read if isinstance(s, _Signed)]
    doubts = listed(s.reason for s in read if isinstance(s, Unknown))
    gates = tuple(gate for gate in shut if _signers(signed, gate) >= rule.people)
    if not gates:
        told = f"{rule.people} people of {rule.role} must sign for the same gate"
        return Overrule(unclear(f"{told}; {doubts}" if doubts else told))
    used = [s for s in signed if any(gate_of(g) in s.gates for g in gates)]
    names = tuple(dict.fromkeys(s.owner for s in used))
    until = min(s.until for s in used)
    reason = listed(s.reason for s in used)
    told = f"{', '.join(gates)} opened by {', '.join(names)} until {moment(until)}: {reason}"
    return Overrule(passed(told), gates, names, reason, until)


def gate_of(name: str) -> str:
    """The gate of a verdict's name, which begins with the version where several are judged.

    >>> gate_of("canary 3f2a90bc: metrics")
    'metrics'
    """
    return name.rpartition(": ")[2]


def _signers(signed: Sequence[_Signed], name: str) -> int:
    gate = gate_of(name)
    if gate in NEVER:
        return 0
    return len({s.owner.lower() for s in signed if gate in s.gates})


def _read(policy: Policy, rule: Override, case: Case, proof: Proof) -> _Signed | Unknown:
    here = proof.repository.lower() == case.repository.lower()
    bound = (proof.model, proof.environment) == (case.model, case.environment)
    if proof.why_not or not here or not bound:
        return Unknown(proof.why_not or "a statement is of another repository, model or environment")
    if proof.result != "passed":
        return Unknown(f"the statement of {proof.owner} was withdrawn")
    why = _why_not(policy, rule, case, proof)
    if why:
        return Unknown(f"{proof.owner} {why}")
    return _signed(rule, case.now, proof)


def _why_not(policy: Policy, rule: Override, case: Case, proof: Proof) -> str:
    if not same(Person(proof.by), Person(proof.owner)):
        return f"owns the key, and the statement is by {proof.by or 'nobody'}"
    return why_may_not(policy, rule, case, proof.owner)


def why_may_not(policy: Policy, rule: Override, case: Case, login: str) -> str:
    """What keeps a person from overriding this change, as the rest of a sentence that begins with the login; or ""."""
    person = Person(login)
    if not _is_of(policy, rule.role, case, person):
        return f"does not hold the role {rule.role}"
    if isinstance(case.pull, Unknown):
        return f"may have made the change: {case.pull.reason}"
    made, _ = involved(policy, case, case.pull, lineage=True)
    own = next((i.how for i in made if same(i.person, person)), "")
    return f"is {own}" if own else ""


def _is_of(policy: Policy, role: str, case: Case, person: Person) -> bool:
    """By login: policy.yaml itself ties the key to it."""
    if any(same(Person(p.login), person) for p in policy.roles[role].people):
        return True
    teams = [members_of(case.teams, team) for team in policy.roles[role].teams]
    return any(same(Person(m.login), person) for t in teams if not isinstance(t, Unknown) for m in t)


def _signed(rule: Override, now: datetime, proof: Proof) -> _Signed | Unknown:
    details = proof.details
    reason, until, gates = details.get("reason"), _moment(details.get("until")), details.get("gates")
    if not isinstance(reason, str) or not reason.strip():
        return Unknown(f"{proof.owner} gives no reason")
    if not isinstance(gates, list | tuple) or not gates or not all(isinstance(g, str) for g in gates):
        return Unknown(f"{proof.owner} names no gates")
    if until is None or until <= now:
        return Unknown(f"{proof.owner} gives no end" if until is None else f"that of {proof.owner} has ended")
    if until - proof.time > (rule.lasts or timedelta.max):
        return Unknown(f"that of {proof.owner} lasts longer than policy.yaml allows")
    return _Signed(proof.owner, frozenset(gates), reason.strip(), until)


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None
