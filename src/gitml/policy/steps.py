"""What each kind of person does next, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitml.policy.approvals import Approvals
from gitml.policy.change import Move
from gitml.policy.facts import Person
from gitml.policy.override import gate_of
from gitml.verdict import Phase, Verdict


@dataclass(frozen=True)
class Step:
    """``who`` is a kind of person or a role, ``what`` one thing to do."""

    who: str
    what: str


SCIENTIST, OPERATOR, EVERYBODY = "who trains the model", "operations", "whoever merges"

# gate → who, and what if it failed, and if there is too little to judge on.
_WAYS: Mapping[str, tuple[str, str, str]] = {
    "change": (
        OPERATOR,
        "open a pull request that edits one deployment file and nothing else: `gitml promote` does",
        "bring the branch up to date with its base, or open it again with `gitml promote`",
    ),
    "version": (
        OPERATOR,
        "pin a version that is on the base branch, with the digest that its record says",
        "pin a version that is on the base branch, with the digest that its record says",
    ),
    "artifact": (
        SCIENTIST,
        "push the artifact that the record speaks of: `dvc push`, with the dvc.lock of the commit that brought it",
        "push the artifact that the record speaks of: `dvc push`, or let main's jobs verify it",
    ),
    "trained": (
        SCIENTIST,
        "train again: main's own job says that this run is not what the record says",
        "let CI train the version, and wait until the job `record` of main has signed for it",
    ),
    "order": (OPERATOR, "promote it to the environment before first", "promote it to the environment before first"),
    "ran before": (
        OPERATOR,
        "choose a version that was the champion here: `gitml status` lists them",
        "choose a version that was the champion here: `gitml status` lists them",
    ),
    "metrics": (SCIENTIST, "train a version that is good enough", "let the stage that evaluates write these metrics"),
    "champion": (
        SCIENTIST,
        "train a version that is not worse than what runs",
        "evaluate on more data, so that the interval is narrower than the margin",
    ),
    "reproduced": (
        SCIENTIST,
        "find out why the training is not repeatable: `gitml reproduce` names the first difference",
        "wait for main's job `verify`, which trains it a second time",
    ),
    "format": (SCIENTIST, "store the model in an allowed format", "push the artifact: `dvc push`"),
    "signature": (
        SCIENTIST,
        "keep the champion's inputs and outputs, or agree with the callers first",
        "let the stage that trains write a signature file",
    ),
    "data_age": (SCIENTIST, "train on newer data", "let the stage that trains write `data_until` into the signature"),
    "size": (SCIENTIST, "make the model smaller", "train again: the record does not say the size"),
    "latency": (SCIENTIST, "make the model faster", "wait for main's job `verify`, which measures it"),
    "slices": (
        SCIENTIST,
        "look at the groups that fail",
        "let the stage that evaluates write these groups, with enough rows",
    ),
    "fairness": (
        SCIENTIST,
        "look at the groups that are worst off, with risk",
        "let the stage that evaluates write these groups, with enough rows",
    ),
    "evidence": (
        OPERATOR,
        "find out what failed: `gitml evidence ls` shows the statements",
        "run the job that signs it: `gitml evidence ls` shows what is there",
    ),
}


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
        way = _WAYS.get(gate_of(name))
        if way:
            yield Step(way[0], f"{way[1] if verdict.phase is Phase.FAILED else way[2]} ({name})")


def _times(freeze: Verdict, hold: Verdict) -> Iterator[Step]:
    if freeze.phase is not Phase.SUCCESSFUL:
        yield Step(OPERATOR, "wait for the end of the freeze; the gate looks again by itself")
    if hold.phase is not Phase.SUCCESSFUL:
        yield Step(OPERATOR, "when the reason for the hold is gone, remove it with a pull request of its own")


def _people(approvals: Approvals) -> Iterator[Step]:
    for heard in approvals.heard:
        if heard.state == "CHANGES_REQUESTED" and heard.roles:
            yield Step(heard.person.name, "says what must change; approves, or dismisses the review, when it has")
    for seats in approvals.seats:
        if seats.missing:
            yield Step(seats.role, _to_approve(seats.missing, seats.could, seats.unknown))
    if approvals.phase is Phase.INCONCLUSIVE and not any(s.missing for s in approvals.seats):
        yield Step(OPERATOR, f"make known who stands behind the change: {approvals.reason}")


def _to_approve(missing: int, could: tuple[Person, ...], unknown: tuple[str, ...]) -> str:
    who = ", ".join(p.name for p in could[:10]) + (" …" if len(could) > 10 else "")
    people = "one person approves" if missing == 1 else f"{missing} people approve"
    if who:
        return f"{people} the newest commit: {who}"
    if unknown:
        return f"{people} the newest commit; who is in {', '.join(unknown)} could not be read"
    return f"{people} the newest commit; everybody who holds the role made a part of this: name more in policy.yaml"
