"""``gitml gate``"""

from __future__ import annotations

import os
from typing import Any

import click

from gitml.cli.common import as_json, examples
from gitml.cli.proposed import placed
from gitml.control.place import Place
from gitml.errors import GitmlError, UsageError
from gitml.evidence.keys import VARIABLE, signing_key
from gitml.forges.base import State
from gitml.forges.table import job_of
from gitml.gate.ground import ground
from gitml.gate.occasion import Occasion, Queue, occasion
from gitml.gate.queue import judge_queue, waiting
from gitml.git.commands import Git
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.policy.decision import Decision
from gitml.promotion.gate import GateOrder, GateOutcome
from gitml.promotion.gate import gate as run_gate
from gitml.verdict import Phase

_STYLES = {State.SUCCESS: "green", State.FAILURE: "red", State.PENDING: "yellow", State.ERROR: "red"}
_MARKS = {Phase.SUCCESSFUL: "green", Phase.FAILED: "red", Phase.INCONCLUSIVE: "yellow", Phase.ERROR: "red"}
_CODES = {State.SUCCESS: 0, State.FAILURE: 1, State.PENDING: 3, State.ERROR: 4}


@click.command(
    epilog=examples(
        "gitml gate 12           what the gate would say of pull request 12",
        "gitml gate              of the pull request of the branch you are on; in CI of those that the event is about",
        "gitml gate 12 --json",
    )
)
@click.argument("pull", type=click.IntRange(1), required=False)
@as_json
@click.pass_context
def gate(ctx: click.Context, /, pull: int | None, *, as_json: bool) -> int:
    """Judge whether a pull request may promote: policy, roles and keys of the base branch, evidence, reviews.

    Here it is a preview: no status is posted, and nothing is signed. In the workflow of the default branch the
    judgement is signed with GITML_SIGNING_KEY, and posted as the status gitml/gate and as a comment; then exit code 0
    says that all of it was posted, also for a shut gate.

    Exit code of a preview 0: it may be merged. 1: it may not. 3: something is missing. 4: the forge did not answer.
    """
    with placed(ctx) as place:
        found = occasion(os.environ, place.forge, place.branch)
        if found.queue is not None:
            _queued(place, found.queue)
            return 0
        numbers = (pull,) if pull else found.numbers if job_of(os.environ).is_ci else _here(place)
        outcomes = run_gate(place, _order(found, numbers))
        # After what was signed a moment ago. What left the queue meanwhile is none of it.
        for queue in waiting(place) if found.seeks_queue else ():
            try:
                _queued(place, queue)
            except GitmlError as exc:
                note(printable(f"{queue.head[:12]}: {exc}"))
    if not found.official:
        note("a preview: nothing is signed or posted")
    if as_json:
        show_json([_json(outcome) for outcome in outcomes])
    else:
        for outcome in outcomes:
            _show(outcome)
    if found.official:
        return 4 if any(o.state is State.ERROR for o in outcomes) else 0
    return max((_CODES[o.state] for o in outcomes), default=0)


def _queued(place: Place, queue: Queue) -> None:
    with ground(place) as known:
        queued = judge_queue(place, known, queue)
    note(printable(f"{queued.head[:12]}  {queued.state.value}: {queued.line}"))


def _order(found: Occasion, numbers: tuple[int, ...] | None) -> GateOrder:
    env = os.environ
    secret = env.get(VARIABLE, "").strip() if found.official else ""
    job = job_of(env)
    return GateOrder(
        numbers,
        official=found.official,
        key=signing_key(secret) if secret else None,
        run=job.run_url,
        stamp=(job.run, job.attempt),
    )


def _here(place: Place) -> tuple[int, ...]:
    """The pull request of the branch that is checked out."""
    branch = Git(place.root).text("branch", "--show-current").strip()
    numbers = tuple(p.number for p in place.forge.pulls.of_branch(branch)) if branch else ()
    if not numbers:
        raise UsageError(f"there is no open pull request of {branch or 'a detached HEAD'}", "name one: gitml gate 12")
    return numbers


def _show(outcome: GateOutcome) -> None:
    state = paint(outcome.state.value, _STYLES[outcome.state], "bold")
    show(f"#{outcome.number} {outcome.head[:12]}  {state}: {printable(outcome.line)}")
    judged = outcome.judged
    if judged is None:
        return
    for reason in judged.refused:
        show(f"  {paint('refused', 'red')}  {printable(reason)}")
    for part in judged.parts:
        if part.decision is not None:
            if judged.also:
                show(f"  {printable(part.decision.model)} in {printable(part.decision.environment)}:")
            _show_decision(part.decision)
    if outcome.signed:
        show(paint(f"  signed: {outcome.signed}", "dim"))
    if outcome.problem:
        note(printable(f"#{outcome.number}: {outcome.problem}"))


def _show_decision(decision: Decision) -> None:
    for name, verdict in decision.verdicts.items():
        opened = " (opened by people)" if name in decision.opened else ""
        mark = paint(f"{verdict.phase.value:<12}", _MARKS[verdict.phase])
        show(f"  {mark}  {printable(name)}: {printable(verdict.reason)}{opened}")
    for name, verdict in (("freeze", decision.freeze), ("hold", decision.hold)):
        if verdict.phase is not Phase.SUCCESSFUL:
            show(f"  {paint(f'{verdict.phase.value:<12}', _MARKS[verdict.phase])}  {name}: {printable(verdict.reason)}")
    heard = decision.approvals
    show(f"  {paint(f'{heard.phase.value:<12}', _MARKS[heard.phase])}  approvals: {printable(heard.reason)}")
    for step in decision.next_steps:
        show(paint(f"  → {printable(step.who)}: {printable(step.what)}", "dim"))


def _json(outcome: GateOutcome) -> dict[str, Any]:
    judged = outcome.judged
    return {
        "pull": outcome.number,
        "head": outcome.head,
        **picked(outcome, "state", "line"),
        "promotion": bool(judged and judged.is_promotion),
        "refused": judged.refused if judged else [],
        "decision": judged.decision if judged else None,
        "also": [part.decision for part in judged.also] if judged else [],
        "signed": outcome.signed or None,
        "comment": outcome.comment or None,
        "problem": outcome.problem or None,
    }
