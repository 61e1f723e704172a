"""What a gate is: a file with these five members."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from gitml.gates.facts import Facts
from gitml.verdict import Phase, Verdict

SCIENTIST, OPERATOR = "who trains the model", "operations"


@dataclass(frozen=True)
class Advice:
    """Who does something about a shut gate, and what: if it failed, and if there is too little to judge on.

    Without ``unclear`` both are the same.
    """

    who: str
    failed: str
    unclear: str = ""

    def on(self, phase: Phase) -> str:
        return self.failed if phase is Phase.FAILED else self.unclear or self.failed


@dataclass(frozen=True)
class Need:
    """One thing that a gate reads, so that `gitml check` can say beforehand that a gate can never open.

    ``what`` is ``metrics`` (the value ``name``), ``better`` (the direction of ``name``), ``groups`` (``name`` by
    ``column`` in the slices file), ``evidence`` (the kind ``name``), ``look`` (the verdict ``name`` of a monitor in the
    environment ``column``, '' for the one before, ``within`` which a window must end), ``canary`` (rules for
    candidates there), ``audited`` (an audit for bias that gitml.yaml names), ``reviews`` (how often the model is
    reviewed), or a key of the model in gitml.yaml that must be there. ``at`` is where below the gate's own key it is
    asked for.
    """

    what: str
    name: str = ""
    column: str = ""
    at: tuple[str | int, ...] = ()
    within: timedelta | None = None


class PolicyGate(Protocol):
    """A module of this package.

    ``KEY`` is the type of the gate's value in policy.yaml, as pydantic takes it, and ``MEANING`` one line about it.
    ``judge`` gets the parsed value as ``wanted``; its docstring is the gate's reference.
    """

    KEY: Any
    MEANING: str
    ADVICE: Advice

    def judge(self, facts: Facts, wanted: Any) -> Verdict: ...

    def needs(self, wanted: Any) -> tuple[Need, ...]: ...
