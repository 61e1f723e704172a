"""One number against a Bound of policy.yaml."""

from __future__ import annotations

from typing import Any

from gitml.policy.verdicts import failed, number, passed, shown, unclear
from gitml.spec.gates import Bound
from gitml.verdict import Verdict


def within(name: str, value: Any, bound: Bound) -> Verdict:
    """``value`` may be anything that a file held: only a finite number is judged."""
    found = number(value)
    if found is None:
        return unclear(f"{name} is {'missing' if value is None else 'no finite number'}")
    if bound.at_least is not None and found < bound.at_least:
        return failed(f"{name} is {shown(found)}, at least {shown(bound.at_least)} is needed", {name: found})
    if bound.at_most is not None and found > bound.at_most:
        return failed(f"{name} is {shown(found)}, at most {shown(bound.at_most)} is allowed", {name: found})
    return passed(f"{name} is {shown(found)}", {name: found})
