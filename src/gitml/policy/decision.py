"""The whole decision on one change of a deployment file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gitml.policy import approvals
from gitml.policy.approvals import Approvals
from gitml.policy.facts import Case, Facts
from gitml.spec.policy import Policy
from gitml.verdict import Phase, Verdict, worst

Judge = Callable[[Facts, Any], Verdict]

# Every field of spec.gates.Gates; one that is missing here is inconclusive wherever policy.yaml asks for it.
GATES: dict[str, Judge] = {}


class Move(StrEnum):
    """What a change does. Each has rules of its own."""

    PROMOTION = "promotion"  # a version gets more to do: gates, approvals, no freeze, no hold
    ROLLBACK = "rollback"  # back to a champion that ran here, with a hold
    STOP = "stop"  # less traffic for a canary or shadow, or a hold: nothing new runs
    RESUME = "resume"  # a hold ends: approvals
    NOTHING = "nothing"  # nothing that runs changes
    REFUSED = "refused"  # nothing that may be merged


@dataclass(frozen=True)
class Step:
    """What one kind of person does next."""

    who: str
    what: str


@dataclass(frozen=True)
class Overrule:
    """Signed statements that open shut gates: ``gates`` are the names opened, ``until`` in ISO form."""

    verdict: Verdict
    gates: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    reason: str = ""
    until: str = ""


@dataclass(frozen=True)
class Decision:
    """``verdicts`` are as the gates gave them; ``phase`` has the override's openings taken into account."""

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

    def to_dict(self) -> dict[str, Any]:
        """For evidence and ``--json``."""
        return {
            "move": self.move.value,
            "model": self.model,
            "environment": self.environment,
            "phase": self.phase.value,
            "gates": {name: verdict.to_dict() for name, verdict in self.verdicts.items()},
            "freeze": self.freeze.to_dict(),
            "hold": self.hold.to_dict(),
        }


def decide(policy: Policy, case: Case) -> Decision:
    """Everything that policy.yaml says of the case. ``policy`` is the one of the base branch."""
    waiting = Verdict(Phase.INCONCLUSIVE, "cannot be judged yet")
    found = approvals.judge(policy, case)
    return Decision(
        move=Move.REFUSED,
        model=case.model,
        environment=case.environment,
        verdicts={},
        approvals=found,
        freeze=waiting,
        hold=waiting,
        override=None,
        phase=worst([waiting]),
    )
