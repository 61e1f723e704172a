"""``gitml canary stop``: a person takes a candidate back, by a pull request that also holds its version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gitml.control.change import TAKE_BACK, Wish, begin_anew, branch_of, put_branch, put_pull
from gitml.control.mainline import known_environment
from gitml.control.place import Place
from gitml.control.proofs import ledger_of
from gitml.errors import RefError, UsageError
from gitml.promotion.promote import Proposed, ask, askers
from gitml.promotion.text import BroughtBy, Story, record_or_none
from gitml.registry.desired import taken_back
from gitml.reports.promotion import short
from gitml.spec import Deployment
from gitml.spec.deployment import VersionHold


@dataclass(frozen=True)
class StopOrder:
    """``version``: which candidate, its name or the beginning of its digest; empty: the canary, else the one shadow.

    ``until`` ends the hold of the version; without it somebody has to. ``anew``: what is open of it is closed, its
    branch made again.
    """

    model: str
    environment: str
    reason: str
    version: str = ""
    until: datetime | None = None
    anew: bool = False


def stop(place: Place, order: StopOrder) -> Proposed:
    """Open the pull request, or bring the open one up to date. One person of any role that the environment asks for
    approves it, also in freezes and holds.

    Raises RefError where no such candidate runs, UsageError without a person who holds.
    """
    main = place.newest(whole=True)
    policy = main.policy()
    known_environment(policy, order.environment)
    old = main.deployment(order.model, order.environment)
    version = _candidate(order, old)
    by = place.me
    if by is None or old is None:
        raise UsageError("nobody is named who holds the version", "use a token of a person: GITHUB_TOKEN")
    hold = VersionHold(version=version, by=by.login, reason=order.reason, until=order.until)
    story = Story(
        place=place,
        main=main,
        record=record_or_none(place, main, order.model, version),
        model=order.model,
        environment=order.environment,
        version=version,
        old=old,
        new=taken_back(old, hold),
        policy=policy,
        application=main.application(),
        ledger=ledger_of(place, main),
        origin=BroughtBy(),
        reason=order.reason,
        asked_by=askers(place),
    )
    # Not the bot's branch: it would put its own words back.
    branch = branch_of(main, TAKE_BACK, order.model, order.environment, f"{version}-by-hand")
    title = f"Take {order.model}@{short(version)} back in {order.environment}"
    wish = Wish(order.model, order.environment, branch, story.new, title, version, order.reason, story.asked_by)
    gone = begin_anew(place, branch) if order.anew else ()
    put = put_pull(place, wish, put_branch(place, wish, main), story.text)
    asked = ask(place, put.pull, policy, order.environment, without=())
    return Proposed(order.model, version, order.environment, put.pull, put.how, asked, gone)


def _candidate(order: StopOrder, old: Deployment | None) -> str:
    pins = old.pins[1:] if old else ()
    there = ", ".join(short(pin.version) for pin in pins) or "none"
    if old and not order.version:
        found = [old.canary.version] if old.canary else [pin.version for pin in old.shadow]
    else:
        wanted = order.version
        found = [p.version for p in pins if p.version == wanted or short(p.version).startswith(wanted)]
    if len(found) == 1:
        return found[0]
    problem = "names several" if found else "runs nowhere as canary or shadow"
    name = f"{order.model}@{order.version}" if order.version else order.model
    raise RefError(f"{name} {problem} in {order.environment}", f"there are: {there}")
