"""The whole decision on one change of a deployment file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitml.gates.facts import Facts, Unknown
from gitml.gates.table import GATES
from gitml.gates.verdicts import passed, together, unclear
from gitml.jsontext import picked, plain
from gitml.policy import approvals, builtin, change, freezes, override
from gitml.policy.approvals import Approvals
from gitml.policy.change import Change, Move
from gitml.policy.facts import Case
from gitml.policy.override import Overrule
from gitml.policy.steps import Step, next_steps
from gitml.spec.policy import Policy
from gitml.verdict import Phase, Verdict, worst


@dataclass(frozen=True)
class Decision:
    """``verdicts`` are as the gates gave them, by name; where several versions are judged a name begins with its own.

    ``phase`` is that of the whole, with what ``override`` opens.
    """

    move: Move
    model: str
    environment: str
    verdicts: Mapping[str, Verdict]
    approvals: Approvals
    freeze: Verdict
    hold: Verdict
    override: Overrule | None
    phase: Phase
    next_steps: tuple[Step, ...] = field(default=())

    @property
    def is_open(self) -> bool:
        return self.phase is Phase.SUCCESSFUL

    @property
    def opened(self) -> frozenset[str]:
        """Names of verdicts that do not count, because people opened them."""
        return frozenset(self.override.gates) if self.override else frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, for evidence and ``--json``."""
        names = ("move", "model", "environment", "phase", "approvals", "freeze", "hold", "override")
        return {**picked(self, *names), "gates": plain(self.verdicts), "next": plain(self.next_steps)}


def decide(policy: Policy, case: Case) -> Decision:
    """Everything that policy.yaml says of the case. ``policy`` is the one of the base branch."""
    edit = _edit(case)
    verdicts = dict(_verdicts(policy, case, edit))
    freeze, hold = _times(policy, case, edit)
    heard = _approvals(policy, case, edit.move)
    shut = {name: v for name, v in {**verdicts, "freeze": freeze}.items() if v.phase is not Phase.SUCCESSFUL}
    overrule = override.judge(policy, case, tuple(shut)) if edit.move is Move.PROMOTION and shut else None
    opened = overrule.gates if overrule else ()
    counted = [v for name, v in {**verdicts, "freeze": freeze, "hold": hold}.items() if name not in opened]
    phase = worst([*counted, Verdict(heard.phase, heard.reason)])
    left = {name: v for name, v in shut.items() if name not in opened and name != "freeze"}
    waiting = passed("") if "freeze" in opened else freeze
    steps = next_steps(edit.move, left, heard, waiting, hold)
    return Decision(edit.move, case.model, case.environment, verdicts, heard, freeze, hold, overrule, phase, steps)


def _edit(case: Case) -> Change:
    if case.refused or isinstance(case.old, Unknown) or isinstance(case.new, Unknown):
        return Change(Move.REFUSED)
    return change.classify(case.old, case.new, case.now)


def _approvals(policy: Policy, case: Case, move: Move) -> Approvals:
    if case.environment not in policy.environments:
        return Approvals(Phase.INCONCLUSIVE, f"policy.yaml has no environment {case.environment}")
    return approvals.judge(policy, case, move)


def _times(policy: Policy, case: Case, edit: Change) -> tuple[Verdict, Verdict]:
    """Freeze and hold stop promotions alone."""
    if edit.move is not Move.PROMOTION:
        told = passed(f"does not concern a {edit.move.value}")
        return told, told
    old = case.old if not isinstance(case.old, Unknown) else None
    freeze = freezes.judge_freeze(policy.freezes, case.environment, case.now)
    holds = [old.hold if old else None, *(change.held_version(old, pin.version, case.now) for _, pin in edit.judged)]
    return freeze, together([freezes.judge_hold(hold, case.now) for hold in holds], "no hold")


def _verdicts(policy: Policy, case: Case, edit: Change) -> Iterator[tuple[str, Verdict]]:
    yield "change", change.judge(case)
    if edit.move not in (Move.PROMOTION, Move.ROLLBACK):
        return
    known = {(part, version): facts for part, version, facts in case.candidates}
    for part, pin in edit.judged:
        nothing = Unknown(f"nothing is known of {pin.version}")
        facts = _fitting(known.get((part, pin.version), nothing), pin.digest, case)
        prefix = f"{part} {pin.version.rpartition('-')[2]}: " if len(edit.judged) > 1 else ""
        for name, verdict in _of_version(policy, facts, edit.move):
            yield prefix + name, verdict


def _fitting(facts: Facts | Unknown, digest: str, case: Case) -> Facts | Unknown:
    """Facts that speak of something else than the case and its pin are none."""
    if isinstance(facts, Unknown):
        return facts
    if facts.candidate.artifact != digest:
        return Unknown(f"its record says the digest {facts.candidate.artifact[:12]}, the file says {digest[:12]}")
    told = (facts.repository, facts.environment, facts.candidate.model, facts.now)
    if told != (case.repository, case.environment, case.model, case.now):
        return Unknown("what is known of it was gathered for another case")
    return facts


def _of_version(policy: Policy, facts: Facts | Unknown, move: Move) -> Iterator[tuple[str, Verdict]]:
    if isinstance(facts, Unknown):
        yield "version", unclear(facts.reason)
        return
    if move is Move.ROLLBACK:
        yield "ran before", builtin.ran_before(facts)
        return
    for name, rule in builtin.BUILT_IN.items():
        if name != "members" or facts.members:  # asked of ensembles alone
            yield name, rule.judge(facts, policy)
    here = policy.environments.get(facts.environment)
    for name, wanted in (here.wanted(facts.candidate.model) if here else {}).items():
        yield name, GATES[name].judge(facts, wanted)
