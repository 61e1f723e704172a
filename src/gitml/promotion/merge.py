"""``gitml merge``: merge a pull request at exactly the head whose gate is open."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from gitml.control.change import drop_branch
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import heard
from gitml.errors import FailedError, InconclusiveError, OutsideError, UsageError
from gitml.evidence import bearing
from gitml.evidence.statement import Binding
from gitml.forges.base import PullRequest, State, Status
from gitml.forges.governed import Readiness
from gitml.gate.status import context_of
from gitml.gate.tree import blob_at
from gitml.git.edit import bring
from gitml.spec.policy import POLICY

_OURS = "gitml/"


@dataclass(frozen=True)
class MergeOrder:
    """``head``: the commit that was looked at, or its beginning; empty takes the one that is there now.

    ``wait``: seconds for the forge to work out whether it can be merged.
    """

    number: int
    head: str = ""
    method: str = "merge"
    wait: float = 60.0


@dataclass(frozen=True)
class MergeResult:
    """``commit`` is what the merge made of ``head`` on the default branch."""

    number: int
    head: str
    commit: str
    was_merged: bool


def merge(place: Place, order: MergeOrder, *, sleep: Callable[[float], None] = time.sleep) -> MergeResult:
    """Merge it, once: of one that is merged already its commit is told.

    Raises FailedError for a shut gate, another head or what the forge refuses, InconclusiveError while there is no
    verdict or it cannot be told whether it can be merged.
    """
    forge = place.forge
    pull = forge.pulls.get(order.number)
    done = forge.merges.merged(order.number)
    if done is not None:
        return MergeResult(order.number, pull.head.commit, done.commit, was_merged=True)
    head = _expected(order, pull)
    main = place.newest(whole=True)
    context = context_of(main.application().application if main.git.prefix else "", main.git.prefix)
    _refuse_shut(context, head, forge.commits.statuses(head))
    _refuse_unsigned(place, main, order.number, head)
    _await(place, order, pull, sleep)
    commit = forge.merges.merge(order.number, head, method=order.method)
    if pull.head.branch.startswith(_OURS) and pull.head.repository.lower() == place.settings.repository.lower():
        drop_branch(place, pull.head.branch, head)
    _bring(place, commit)
    return MergeResult(order.number, head, commit, was_merged=False)


def _expected(order: MergeOrder, pull: PullRequest) -> str:
    if not pull.is_open:
        raise UsageError(f"pull request {order.number} is closed", "open it again on its page")
    if pull.is_draft:
        raise UsageError(f"pull request {order.number} is a draft", "mark it as ready for review on its page")
    head = pull.head.commit
    if order.head and (len(order.head) < 7 or not head.startswith(order.head.lower())):
        raise FailedError(
            f"pull request {order.number} is at {head[:12]}, not at {order.head[:12]}: nothing was merged",
            "look at what came, and call it again",
        )
    return head


def _refuse_shut(context: str, head: str, statuses: tuple[Status, ...]) -> None:
    found = next((s for s in statuses if s.context == context), None)
    if found is None:
        raise InconclusiveError(
            f"there is no {context} for {head[:12]} yet: nothing was merged",
            "it runs when the pull request changes; its page shows how far it is",
        )
    said = f"{context} is {found.state.value} for {head[:12]}: {found.description or 'without a reason'}"
    if found.state is State.PENDING:
        raise InconclusiveError(said, "wait for it, and call this again")
    if found.state is not State.SUCCESS:
        raise FailedError(said, f"the comment of the gate on the pull request says what is missing {found.url}".strip())


def _refuse_unsigned(place: Place, main: Mainline, number: int, head: str) -> None:
    """Anybody who may write can post a status; what the gate signed cannot be made up."""
    folder = re.escape(f"{main.git.prefix}models/")
    paths = [f.path for f in place.forge.pulls.files(number)]
    mine = [path for path in paths if re.fullmatch(rf"{folder}[^/]+/[^/]+\.yaml", path)]
    if not mine:
        return
    policy = main.policy()
    if not any("gate" in key.purposes for key in policy.keys.values()):
        place.say("policy.yaml names no key that signs for the gate, so its status is all there is")
        return
    signed = [one.binding for one in heard(place, policy).all("gate", pull=number, head=head)]
    for path in mine:
        found = next((one for one in signed if one.change is None or one.change.path == path), None)
        if found is None or found.result != "passed":
            what = f"the newest says {found.result}" if found else f"there is none of {path}"
            raise InconclusiveError(
                f"the status is green, but the ledger has no signed verdict that lets {head[:12]} pass: {what}",
                "was the status posted by hand? `gitml gate` in CI signs what it judged",
            )
        _refuse_overtaken(main, found)


def _refuse_overtaken(main: Mainline, signed: Binding) -> None:
    """The gate looks again when main moves, but that takes a while: roles, keys and the file may be others by now."""
    if signed.policy != sha256(main.file(POLICY) or b"").hexdigest():
        why = f"{POLICY} has changed on the default branch since the gate was signed"
    elif signed.change is None:
        why = "the gate signed no change of a deployment file"
    else:
        there = blob_at(main.git, main.commit, signed.change.path)
        since = bearing.touched_in(main.git, signed.change.path, main.commit)
        wrong = bearing.why_not(signed, signed.change, since)
        wrong = f"is of another {signed.change.path} than main has" if there != signed.change.old else wrong
        why = f"what the gate signed {wrong}" if wrong else ""
    if not why:
        return
    raise InconclusiveError(
        f"{why}: nothing was merged",
        "the gate looks again when the branch moves; call this again then",
    )


def _await(place: Place, order: MergeOrder, pull: PullRequest, sleep: Callable[[float], None]) -> Readiness:
    """Until the forge knows whether it can be merged; it works that out when it is asked."""
    head = pull.head.commit
    pause, waited = 0.5, 0.0
    while True:
        ready = place.forge.merges.readiness(order.number)
        if ready.mergeable is not None:
            break
        if waited >= order.wait:
            raise InconclusiveError(
                f"the forge does not say yet whether pull request {order.number} can be merged", "call this again later"
            )
        place.say("waiting for the forge to say whether it can be merged")
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, 8.0)
    if ready.head != head:
        raise FailedError(
            f"pull request {order.number} moved from {head[:12]} to {ready.head[:12]}: nothing was merged",
            "look at what came, and call it again",
        )
    if not ready.mergeable:
        hint = after_a_conflict(pull.head.branch, f"{place.remote}/{place.branch}")
        raise FailedError(f"pull request {order.number} conflicts with {place.branch}", hint)
    return ready


def after_a_conflict(branch: str, main: str) -> str:
    """What to do where ``branch`` conflicts with ``main``. What the bot proposes is derived anew; code is for people.

    >>> after_a_conflict("gitml/promote/delay/production/3f2a", "origin/main")
    'call `gitml promote` or `gitml rollback` again: it starts from the newest state'
    >>> after_a_conflict("faster", "origin/main")[:63]
    'on its branch: `git merge origin/main`, `gitml resolve` for wha'
    """
    if branch.startswith(_OURS) and not branch.startswith(f"{_OURS}retrain-"):
        return "call `gitml promote` or `gitml rollback` again: it starts from the newest state"
    return (
        f"on its branch: `git merge {main}`, `gitml resolve` for what runs write, `git commit`, push: CI trains it anew"
    )


def _bring(place: Place, commit: str) -> None:
    """Have the merge in the clone, so that the next command sees it; the merge counts without it."""
    try:
        bring(place.git, place.remote, commit)
    except OutsideError as exc:
        place.say(f"the merge could not be fetched: {exc.message.splitlines()[0]}")
