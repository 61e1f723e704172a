"""A merge queue's commit: nobody reviews it, so what the gate signed of each pull request in it decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitml.control.place import Place
from gitml.errors import OutsideError
from gitml.evidence.statement import SignedChange
from gitml.forges.base import State, Status
from gitml.gate.judge import Ground
from gitml.gate.modelfiles import refusals
from gitml.gate.occasion import Queue
from gitml.gate.status import context_of
from gitml.gate.tree import Edit, edits, rows_between
from gitml.gate.words import cut
from gitml.gates.facts import Unknown
from gitml.git.commands import Git
from gitml.git.edit import bring


@dataclass(frozen=True)
class Queued:
    head: str
    state: State
    line: str


def judge_queue(place: Place, ground: Ground, queue: Queue) -> Queued:
    """Judge it and post the status. Nothing is signed: the queue's branch runs its own workflow, so it has no key."""
    git = ground.main.git
    for commit in (queue.base, queue.head):
        bring(place.git, place.remote, commit)
    found = edits(git, queue.base, queue.head)
    rows = tuple(rows_between(git, queue.base, queue.head))
    shut = [*_shut(ground, git, queue, found.deployments), *refusals(git, rows, queue.base, queue.head)]
    line = "; ".join(shut) if shut else "everything in the queue passed its own gate"
    done = Queued(queue.head, State.FAILURE if shut else State.SUCCESS, cut(line))
    context = context_of(ground.main.application().application, git.prefix.rstrip("/"))
    place.forge.commits.post(queue.head, Status(context, done.state, done.line))
    return done


def _shut(ground: Ground, git: Git, queue: Queue, changes: tuple[Edit, ...]) -> Iterator[str]:
    for edit in changes:
        if isinstance(ground.heard, Unknown):
            yield ground.heard.reason
            return
        if edit.old == edit.new:
            continue
        signed = ground.heard.newest("gate", change=SignedChange(path=edit.path, old=edit.old, new=edit.new))
        if signed is None or signed.binding.result != "passed":
            yield f"{edit.path}: no signed gate lets this change pass"
        elif not _is_of_now(git, signed.binding.base, queue.base, edit.path):
            yield f"{edit.path} has changed since its gate was signed"


def _is_of_now(git: Git, judged_on: str, base: str, path: str) -> bool:
    """Whether nothing touched the file between the commit that was judged on and the queue's base."""
    try:
        git.text("merge-base", "--is-ancestor", judged_on, base)
        return not git.text("rev-list", "-1", f"{judged_on}..{base}", "--", f":(top,literal){path}").strip()
    except OutsideError:
        return False
