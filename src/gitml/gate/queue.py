"""A merge queue's commit: nobody reviews it, so what the gate signed of each pull request in it decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitml.control.place import Place
from gitml.evidence import bearing
from gitml.evidence.statement import SignedChange
from gitml.forges.base import State, Status
from gitml.gate.ground import Ground
from gitml.gate.modelfiles import DEPLOYMENT, inside, refusals
from gitml.gate.occasion import Queue
from gitml.gate.status import context_of
from gitml.gate.tree import Edit, beside, edits
from gitml.gate.words import cut
from gitml.gates.facts import Unknown
from gitml.git import history
from gitml.git.commands import Git
from gitml.git.edit import bring
from gitml.git.merges import changes

_QUEUED, _MOST = "gh-readonly-queue", 100


@dataclass(frozen=True)
class Queued:
    head: str
    state: State
    line: str


def waiting(place: Place) -> tuple[Queue, ...]:
    """What waits in GitHub's merge queue, by the branches that it makes; for a CI system that hears of no queue.

    Each is judged as all of it on top of the default branch as it is now. Whoever makes such a branch by hand gets
    nothing from it for a pull request: a commit that is the head of one is left to its own gate.
    """
    tip = place.newest().commit
    below = place.remote.git(place.root, "ls-remote", place.remote.url, f"refs/heads/{_QUEUED}/{place.branch}/*")
    heads = dict.fromkeys(line.partition("\t")[0] for line in below.decode("utf-8", "replace").splitlines())
    heads = dict.fromkeys(list(heads)[:_MOST])
    taken = {pull.head.commit for pull in place.forge.pulls.all_open()} if heads else set()
    return tuple(Queue(tip, head) for head in heads if head not in taken)


def judge_queue(place: Place, ground: Ground, queue: Queue) -> Queued:
    """Judge it and post the status. Nothing is signed: the queue's branch runs its own workflow, so it has no key."""
    git = ground.main.git
    for commit in (queue.base, queue.head):
        bring(place.git, place.remote, commit)
    found = edits(git, queue.base, queue.head)
    rows = changes(git, queue.base, queue.head)
    shut = [*_shut(ground, git, queue, found.deployments), *refusals(git, rows, queue.base, queue.head)]
    shut += _mixed(git, queue)
    line = "; ".join(shut) if shut else "everything in the queue passed its own gate"
    done = Queued(queue.head, State.FAILURE if shut else State.SUCCESS, cut(line))
    context = context_of(ground.main.application().application, git.prefix.rstrip("/"))
    place.forge.commits.post(queue.head, Status(context, done.state, done.line))
    return done


def _mixed(git: Git, queue: Queue) -> Iterator[str]:
    """Of each pull request in the queue, as of one alone: two may make the same change, and one of them more."""
    for landed in history.line(git.root, queue.head, since=[queue.base]):
        mine = [touch for touch in landed.touches if DEPLOYMENT.fullmatch(inside(git, touch.path))]
        if mine:
            yield from (f"{landed.commit[:12]} {why}" for why in beside(landed.touches, mine))


def _shut(ground: Ground, git: Git, queue: Queue, changes: tuple[Edit, ...]) -> Iterator[str]:
    for edit in changes:
        if isinstance(ground.heard, Unknown):
            yield ground.heard.reason
            return
        if edit.old == edit.new:
            continue
        change = SignedChange(path=edit.path, old=edit.old, new=edit.new)
        signed = ground.heard.newest("gate", change=change)
        if signed is None or signed.binding.result != "passed":
            yield f"{edit.path}: no signed gate lets this change pass"
        elif why := bearing.why_not(signed.binding, change, bearing.touched_in(git, change.path, queue.base)):
            yield f"what the gate signed of {edit.path} {why}"
