"""What the gate signs: its judgement, bound to exactly one change, and when that is the same judgement as before."""

from __future__ import annotations

from pydantic import ValidationError

from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, bound
from gitml.evidence.statement import Binding, SignedChange, Statement
from gitml.gate.judge import Judged
from gitml.gate.people import PUSHERS, person_to
from gitml.gates.facts import Unknown
from gitml.jsontext import plain
from gitml.policy.decision import Decision
from gitml.policy.facts import Pull
from gitml.registry.resolve import deployment_path
from gitml.spec import Deployment
from gitml.verdict import Phase

_SAME = ("head", "policy", "model", "environment", "version", "artifact", "result")


def statement_of(place: Place, heard: BelievedEvents, judged: Judged, run: str) -> Statement:
    """The judgement as evidence, dated after what was signed of the same change; its details are the decision."""
    result = result_of(judged)
    decision = plain(judged.decision) if judged.decision else {}
    gist = {**_gist_of(judged.decision, result), "since": _since(judged)}
    details = {**decision, "refused": judged.refused, "gist": gist, PUSHERS: _pushers(judged)}
    if judged.whole:
        details["together"] = {"phase": judged.whole, "why": "all files of this pull request are one retirement"}
    change = _change(judged)
    wanted = {"change": change} if change else {"pull": judged.pull.number}
    before = next(iter(heard.signed("gate", **wanted)), None)
    return Statement(_binding(place, judged, run, before), plain(details))


def _pushers(judged: Judged) -> list[dict[str, object]]:
    """Who pushed, as it was known then: afterwards anybody may make a branch of that name and hide it."""
    pull = judged.case.pull if judged.case else None
    known = pull.pushers if isinstance(pull, Pull) and not isinstance(pull.pushers, Unknown) else ()
    return [person_to(person) for person in known]


def _since(judged: Judged) -> str:
    """The commit that made the file what it is on base. Evidence from before it is believed by no agent any more."""
    edit = judged.edit
    if edit is None or not edit.old:
        return ""
    past = next(judged.ground.main.history(deployment_path(edit.model, edit.environment)), None)
    return past.commit if past else ""


def _change(judged: Judged) -> SignedChange | None:
    edit = judged.edit
    if edit is None:
        return None
    try:
        return SignedChange(path=edit.path, old=edit.old, new=edit.new)
    except ValidationError:
        return None


def result_of(judged: Judged) -> str:
    """The word of evidence."""
    if judged.refused:
        return "failed"
    return {Phase.SUCCESSFUL: "passed", Phase.FAILED: "failed"}.get(judged.phase, "inconclusive")


def is_known(heard: BelievedEvents, statement: Statement) -> bool:
    """Whether the newest that the gate signed of this change in this pull request says the same."""
    about = statement.binding
    newest = next(iter(heard.signed("gate", pull=about.pull, change=about.change)), None)
    return (
        newest is not None
        and all(getattr(newest.binding, name) == getattr(about, name) for name in _SAME)
        and newest.details.get("gist") == statement.details["gist"]
    )


def _binding(place: Place, judged: Judged, run: str, before: Statement | None) -> Binding:
    pull, edit, ground, change = judged.pull, judged.edit, judged.ground, _change(judged)
    about = {
        "pull": pull.number,
        "head": pull.head.commit,
        "base": ground.main.commit,
        "policy": ground.digest,
        "by": pull.author,
        "result": result_of(judged),
    }
    if edit is not None and change is not None:
        named = {"model": edit.model, "environment": edit.environment, **pin_of(judged)}
        try:
            return bound(place, "gate", run, after=before, **about, change=change, **named)
        except ValidationError:
            if result_of(judged) == "passed":
                raise
    # Paths and names that evidence cannot hold have failed, and are bound by the commit.
    return bound(place, "gate", run, after=before, **about)


def pin_of(judged: Judged) -> dict[str, str]:
    """The version that the change is about: the one judged, else the champion."""
    case = judged.case
    if case is None or not isinstance(case.new, Deployment):
        return {}
    named = [pin for _, version, _ in case.candidates for pin in case.new.pins if pin.version == version]
    pin = (named or [case.new.champion])[0]
    return {"version": pin.version, "artifact": pin.digest}


def _gist_of(decision: Decision | None, result: str) -> dict[str, object]:
    """What makes two judgements the same: phases and people, not ages and numbers that change by the hour."""
    if decision is None:
        return {"result": result}
    told = plain(decision)
    return {
        "result": result,
        "move": told["move"],
        "gates": {name: verdict["phase"] for name, verdict in told["gates"].items()},
        "freeze": told["freeze"]["phase"],
        "hold": told["hold"]["phase"],
        "override": told["override"],
        "seats": [[seat["role"], seat["needed"], sorted(seat["filled"])] for seat in told["approvals"]["seats"]],
    }
