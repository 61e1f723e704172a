"""What each kind of person does next, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitml.gates.base import OPERATOR
from gitml.gates.facts import Person
from gitml.gates.verdicts import listed
from gitml.policy.approvals import Approvals
from gitml.policy.builtin import advice_on
from gitml.policy.change import Move
from gitml.policy.override import gate_of
from gitml.policy.people import UNCLAIMED
from gitml.verdict import Phase, Verdict


@dataclass(frozen=True)
class Step:
    """``who`` is a kind of person or a role, ``what`` one thing to do."""

    who: str
    what: str


EVERYBODY = "whoever merges"


def next_steps(
    move: Move, shut: Mapping[str, Verdict], approvals: Approvals, freeze: Verdict, hold: Verdict
) -> tuple[Step, ...]:
    """``shut`` are the verdicts that keep the gate shut, after what an override opened."""
    found = [*_gates(shut), *_times(freeze, hold), *_people(approvals)]
    if not found:
        merge = "merge it: here, or with `gitml merge NUMBER`"
        told = merge if move is not Move.NOTHING else "nothing: what runs stays as it is"
        return (Step(EVERYBODY, told),)
    return tuple(dict.fromkeys(found))


def _gates(shut: Mapping[str, Verdict]) -> Iterator[Step]:
    for name, verdict in shut.items():
        advice = advice_on(gate_of(name))
        if advice:
            yield Step(advice.who, f"{advice.on(verdict.phase)} ({name})")


def _times(freeze: Verdict, hold: Verdict) -> Iterator[Step]:
    if freeze.phase is not Phase.SUCCESSFUL:
        yield Step(OPERATOR, "wait for the end of the freeze; the gate looks again by itself")
    if hold.phase is not Phase.SUCCESSFUL:
        yield Step(OPERATOR, "when the reason for the hold is gone, remove it with a pull request of its own")


def _people(approvals: Approvals) -> Iterator[Step]:
    """What is not known of who made it comes first: until then no approval counts, so nobody need begin."""
    if approvals.gaps:
        yield Step(OPERATOR, f"before anybody approves: {_made_known(approvals.gaps)}")
    for heard in approvals.heard:
        if heard.state == "CHANGES_REQUESTED" and heard.roles:
            yield Step(heard.person.name, "says what must change; approves, or dismisses the review, when it has")
    for seats in approvals.seats:
        if seats.missing:
            yield Step(seats.role, _to_approve(seats.missing, seats.could, seats.unknown))


def _made_known(gaps: Sequence[str]) -> str:
    """What to do about what is not known. ``UNCLAIMED`` is about an address, which its owner can claim."""
    told = listed(gaps, most=3)
    if any(UNCLAIMED in gap for gap in gaps):
        return f"{told}; its owner adds the address to an account of the forge (settings, e-mails), then this goes on"
    return f"make known who stands behind the change: {told}"


def _to_approve(missing: int, could: tuple[Person, ...], unknown: tuple[str, ...]) -> str:
    who = ", ".join(p.name for p in could[:10]) + (" …" if len(could) > 10 else "")
    people = "one person approves" if missing == 1 else f"{missing} people approve"
    if who:
        return f"{people} the newest commit: {who}"
    if unknown:
        return f"{people} the newest commit; who is in {', '.join(unknown)} could not be read"
    return f"{people} the newest commit; everybody who holds the role made a part of this: name more in policy.yaml"
