"""``gitml retire``: a model ends wherever it runs, by a pull request for each environment, and its records stay."""

from __future__ import annotations

from dataclasses import dataclass

from gitml.control.change import RETIRE, Wish, begin_anew, branch_of, put_branch, put_pull
from gitml.control.mainline import Mainline, known_environment
from gitml.control.place import Place
from gitml.control.proofs import ledger_of
from gitml.errors import RefError, UsageError
from gitml.promotion.promote import Proposed, ask, askers
from gitml.promotion.text import BroughtBy, Story, record_or_none
from gitml.registry.desired import retired
from gitml.spec import Deployment
from gitml.spec.deployment import Hold


@dataclass(frozen=True)
class RetireOrder:
    """``environment``: only there; empty: everywhere. ``anew``: what is open of it is closed, its branch made again."""

    model: str
    reason: str
    environment: str = ""
    anew: bool = False


def retire(place: Place, order: RetireOrder) -> tuple[Proposed, ...]:
    """Open the pull requests, or bring the open ones up to date, the last environment first: it is the one with users.

    One person of any role that an environment asks for approves it, also in freezes and holds. Raises RefError where
    nothing runs, UsageError without a person who ends it.
    """
    main = place.newest(whole=True)
    policy, by = main.policy(), place.me
    if order.environment:
        known_environment(policy, order.environment)
    if by is None:
        raise UsageError("nobody is named who retires the model", "use a token of a person: GITHUB_TOKEN")
    there = [name for name in reversed([*policy.environments]) if order.environment in ("", name)]
    running = {name: state for name in there if (state := main.deployment(order.model, name)) and not state.retired}
    if not running:
        where = f"in {order.environment}" if order.environment else "anywhere"
        raise RefError(f"{order.model} does not run {where}", "`gitml status` shows what runs")
    hold = Hold(by=by.login, reason=order.reason)
    return tuple(_proposed(place, main, order, name, old, hold) for name, old in running.items())


def _proposed(
    place: Place, main: Mainline, order: RetireOrder, environment: str, old: Deployment, hold: Hold
) -> Proposed:
    policy, version = main.policy(), old.champion.version
    story = Story(
        place=place,
        main=main,
        record=record_or_none(place, main, order.model, version),
        model=order.model,
        environment=environment,
        version=version,
        old=old,
        new=retired(old, hold),
        policy=policy,
        application=main.application(),
        ledger=ledger_of(place, main),
        origin=BroughtBy(),
        reason=order.reason,
        asked_by=askers(place),
    )
    branch = branch_of(main, RETIRE, order.model, environment)
    title = f"Retire {order.model} in {environment}"
    words = f"{order.model} answers nobody in {environment} any more. Records, evidence and the artifact stay."
    wish = Wish(order.model, environment, branch, story.new, title, words, order.reason, story.asked_by)
    gone = begin_anew(place, branch) if order.anew else ()
    put = put_pull(place, wish, put_branch(place, wish, main), story.text)
    asked = ask(place, put.pull, policy, environment, without=())
    return Proposed(order.model, version, environment, put.pull, put.how, asked, gone)
