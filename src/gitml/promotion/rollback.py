"""``gitml rollback``: back to the last good version by a pull request, with a hold so that automation leaves it alone.

It needs the deployment file and its history alone: broken records, a broken gitml.yaml or policy.yaml, a deleted
artifact of the version that leaves, a freeze, or CI that cannot train are no reason not to go back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from gitml.control.change import RESUME, ROLLBACK, Wish, begin_anew, branch_of, put_branch, put_pull
from gitml.control.mainline import Mainline, known_environment
from gitml.control.place import Place
from gitml.control.proofs import Ledger, ledger_of
from gitml.errors import RefError, SpecError, UsageError
from gitml.forges.governed import Asked, Reviewers
from gitml.policy.change import in_force
from gitml.promotion.promote import Proposed, ask, askers
from gitml.promotion.text import BroughtBy, Story, record_or_none
from gitml.refs import DIGEST, VERSION
from gitml.registry.desired import resumed, rolled_back
from gitml.registry.resolve import deployment_path
from gitml.reports.promotion import short
from gitml.spec import Deployment, parse_deployment
from gitml.spec.deployment import Hold, Pin

T = TypeVar("T")


@dataclass(frozen=True)
class RollbackOrder:
    """What is asked. ``to`` is a version or the beginning of its digest; empty: the last good one.

    ``until`` ends the hold; without it somebody has to. ``anew``: what is open of it is closed, its branch made again.
    """

    model: str
    environment: str
    reason: str
    to: str = ""
    until: datetime | None = None
    anew: bool = False


@dataclass(frozen=True)
class PastDeployment:
    """One state of a deployment file on the mainline."""

    commit: str
    time: str
    deployment: Deployment


def rollback(place: Place, order: RollbackOrder) -> Proposed:
    """Open the pull request, or bring the open one up to date. Raises RefError when nothing ran before."""
    main = place.newest(whole=True)
    policy = _readable(place, main.policy)
    if policy is not None:
        known_environment(policy, order.environment)
    past = tuple(states(place, main, order.model, order.environment))
    old = _readable(place, lambda: _now(main, order))
    proofs = ledger_of(place, main)
    pin, warnings = _target(order, past, proofs, is_broken=old is None)
    old = old or past[0].deployment
    by = place.me
    if by is None:
        raise UsageError("nobody is named who holds the environment", "use a token of a person: GITHUB_TOKEN")
    new = rolled_back(old, pin, Hold(by=by.login, reason=order.reason, until=order.until))
    if new == old:
        raise UsageError(f"{short(pin.version)} runs in {order.environment} already, and is held")
    story = Story(
        place=place,
        main=main,
        record=record_or_none(place, main, order.model, pin.version),
        model=order.model,
        environment=order.environment,
        version=pin.version,
        old=old,
        new=new,
        policy=policy,
        application=_readable(place, main.application),
        ledger=proofs,
        origin=BroughtBy(),
        reason=order.reason,
        asked_by=(by,),
        warnings=warnings,
        is_rollback=True,
    )
    branch = branch_of(main, ROLLBACK, order.model, order.environment, pin.version)
    title = f"Roll back {order.model} to {short(pin.version)} in {order.environment}"
    return _proposed(story, branch, title, f"{old.champion.version} leaves.", anew=order.anew)


def resume(place: Place, order: RollbackOrder) -> Proposed:
    """End the hold of the environment, or that of the version ``to``, by a pull request that takes it out."""
    main = place.newest()
    policy = main.policy()
    known_environment(policy, order.environment)
    old = _now(main, order)
    held = _held(order, old) if order.to else ""
    if not held and in_force(old.hold, place.clock()) is None:
        raise UsageError(f"nobody holds {order.model} in {order.environment}", "`gitml status` shows the holds")
    version = held or old.champion.version
    story = Story(
        place=place,
        main=main,
        record=record_or_none(place, main, order.model, version),
        model=order.model,
        environment=order.environment,
        version=version,
        old=old,
        new=resumed(old, held),
        policy=policy,
        application=_readable(place, main.application),
        ledger=ledger_of(place, main),
        origin=BroughtBy(),
        reason=order.reason,
        asked_by=askers(place),
    )
    branch = branch_of(main, RESUME, order.model, order.environment, *([held] if held else []))
    what = f"{order.model}@{short(held)}" if held else order.model
    title = f"End the hold of {what} in {order.environment}"
    words = f"{held} may be promoted again." if held else f"{version} stays."
    return _proposed(story, branch, title, words, anew=order.anew)


def _held(order: RollbackOrder, old: Deployment) -> str:
    """The held version that is asked for."""
    found = [one.version for one in old.held if order.to in (one.version, short(one.version))]
    found = found or [one.version for one in old.held if short(one.version).startswith(order.to)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(short(one.version) for one in old.held) or "none"
    problem = "is ambiguous" if found else "is not held"
    raise RefError(f"{order.model}@{order.to} {problem} in {order.environment}", f"held versions there: {there}")


def _proposed(story: Story, branch: str, title: str, words: str, *, anew: bool) -> Proposed:
    place = story.place
    wish = Wish(story.model, story.environment, branch, story.new, title, words, story.reason, story.asked_by)
    gone = begin_anew(place, branch) if anew else ()
    put = put_pull(place, wish, put_branch(place, wish, story.main), story.text)
    asked = Asked(Reviewers())
    if story.policy is not None:
        asked = ask(place, put.pull, story.policy, story.environment, without=story.shut_out)
    return Proposed(story.model, story.version, story.environment, put.pull, put.how, asked, gone, story.warnings)


def _readable(place: Place, read: Callable[[], T]) -> T | None:
    """A file of the mainline, or None where it is broken."""
    try:
        return read()
    except SpecError as exc:
        place.say(f"goes on without it: {exc.problems[0]}")
        return None


def states(place: Place, main: Mainline, model: str, environment: str) -> Iterator[PastDeployment]:
    """What the deployment file said along the mainline, newest first; states that cannot be read are left out."""
    path = deployment_path(model, environment)
    for past in main.history(path):
        try:
            if past.content is not None:
                yield PastDeployment(past.commit, past.time, parse_deployment(past.content, path))
        except SpecError as exc:
            place.say(f"{path} of {past.commit[:12]} is left out: {exc.problems[0].message}")


def _now(main: Mainline, order: RollbackOrder) -> Deployment:
    old = main.deployment(order.model, order.environment)
    if old is None:
        there = ", ".join(main.environments(order.model)) or "nowhere"
        raise RefError(f"{order.model} does not run in {order.environment}", f"it runs in: {there}")
    return old


def _target(
    order: RollbackOrder, past: tuple[PastDeployment, ...], proofs: Ledger, *, is_broken: bool
) -> tuple[Pin, tuple[str, ...]]:
    """The pin to go back to, exactly as it was, and what is to be said about it.

    ``is_broken``: the file as it is now cannot be read; what ran before it was is good.
    """
    if order.to:
        pinned = (p for state in reversed(past) for p in state.deployment.pins)
        pins = {p.version: Pin(version=p.version, digest=p.digest) for p in pinned}
        pin = _chosen(order, pins)
        champions = {state.deployment.champion.version for state in past}
        if pin.version not in champions:
            said = f"{short(pin.version)} never answered in {order.environment}: the gate asks for proof that it ran"
            return pin, (said,)
        return pin, _unproven(order, pin, proofs)
    good = (*([past[0].deployment.champion] if is_broken and past else []), *last_good(past))
    if not good:
        raise RefError(
            f"nothing else ran in {order.environment} before that was good",
            "name a version that ran as canary or shadow with --to, or promote one",
        )
    proven = next((p for p in good if proofs.ran(order.model, order.environment, p.version)), None)
    pin = proven or good[0]
    return pin, _unproven(order, pin, proofs)


def _unproven(order: RollbackOrder, pin: Pin, proofs: Ledger) -> tuple[str, ...]:
    if proofs.exists and not proofs.ran(order.model, order.environment, pin.version):
        return (f"the ledger has no proof that {short(pin.version)} ran in {order.environment}: the gate asks for it",)
    return ()


def _chosen(order: RollbackOrder, pins: dict[str, Pin]) -> Pin:
    wanted = order.to
    if VERSION.fullmatch(wanted):
        found = [pin for version, pin in pins.items() if version == wanted]
    elif DIGEST.fullmatch(wanted):
        found = [pin for version, pin in pins.items() if version.rpartition("-")[2].startswith(wanted[:8])]
    else:
        found = []
    if len(found) == 1:
        return found[0]
    ran = ", ".join(sorted(map(short, pins))) or "nothing"
    problem = "is ambiguous" if found else f"never ran in {order.environment}"
    raise RefError(f"{wanted} {problem}", f"there ran: {ran}")


def last_good(past: tuple[PastDeployment, ...]) -> Iterator[Pin]:
    """Earlier champions, newest first, each once; not those that a rollback took away.

    ``past`` is newest first, its first state what is wanted now.
    """
    if not past:
        return
    gone = {past[0].deployment.champion.version} | set(_rolled_back(past))
    for state in past[1:]:
        pin = state.deployment.champion
        if pin.version not in gone:
            gone.add(pin.version)
            yield pin


def _rolled_back(past: tuple[PastDeployment, ...]) -> Iterator[str]:
    """Champions that were replaced by one that ran before them, together with a new hold."""
    for place, (after, before) in enumerate(pairwise(past)):
        now, then = after.deployment, before.deployment
        ran_before = {state.deployment.champion.version for state in past[place + 2 :]}
        if now.hold and now.hold != then.hold and now.champion != then.champion and now.champion.version in ran_before:
            yield then.champion.version
