"""``gitml retire``: a model ends wherever it runs, by one pull request, and its records stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitml.control.change import RETIRE, Wish, begin_anew, branch_of, put_branch, put_pull
from gitml.control.mainline import Mainline, known_environment
from gitml.control.place import Place
from gitml.control.proofs import ledger_of
from gitml.errors import RefError, UsageError
from gitml.forges.governed import Asked, Reviewers
from gitml.promotion.promote import Proposed, ask, askers
from gitml.promotion.text import BroughtBy, Story, record_or_none
from gitml.registry.desired import retired
from gitml.spec import Deployment
from gitml.spec.deployment import Hold

# No environment can be called that.
EVERYWHERE = "+everywhere"


@dataclass(frozen=True)
class RetireOrder:
    """``environment``: only there; empty: everywhere. ``anew``: what is open of it is closed, its branch made again."""

    model: str
    reason: str
    environment: str = ""
    anew: bool = False


def retire(place: Place, order: RetireOrder) -> Proposed:
    """Open the pull request, or bring the open one up to date.

    Each environment is judged by its own rules, and all of them must be satisfied: one person of any role that it asks
    for approves it, also in freezes and holds. Raises RefError where nothing runs, UsageError without a person who
    ends it.
    """
    main = place.newest(whole=True)
    policy, by = main.policy(), place.me
    if order.environment:
        known_environment(policy, order.environment)
    if by is None:
        raise UsageError("nobody is named who retires the model", "use a token of a person: GITHUB_TOKEN")
    # The last environment first: it is the one with users, and the text tells most of it.
    there = [name for name in reversed([*policy.environments]) if order.environment in ("", name)]
    running = {name: state for name in there if (state := main.deployment(order.model, name)) and not state.retired}
    if not running:
        where = f"in {order.environment}" if order.environment else "anywhere"
        raise RefError(f"{order.model} does not run {where}", "`gitml status` shows what runs")
    story = _story(place, main, order, running, Hold(by=by.login, reason=order.reason))
    return _proposed(story, order, running)


def _story(place: Place, main: Mainline, order: RetireOrder, running: Mapping[str, Deployment], hold: Hold) -> Story:
    (environment, old), *others = running.items()
    version = old.champion.version
    return Story(
        place=place,
        main=main,
        record=record_or_none(place, main, order.model, version),
        model=order.model,
        environment=environment,
        version=version,
        old=old,
        new=retired(old, hold),
        policy=main.policy(),
        application=main.application(),
        ledger=ledger_of(place, main),
        origin=BroughtBy(),
        reason=order.reason,
        asked_by=askers(place),
        also={name: (state, retired(state, hold)) for name, state in others},
    )


def _proposed(story: Story, order: RetireOrder, running: Mapping[str, Deployment]) -> Proposed:
    place, main = story.place, story.main
    branch = branch_of(main, RETIRE, order.model, order.environment or EVERYWHERE)
    where = " and ".join(running) if len(running) < 3 else f"{len(running)} environments"
    words = f"{order.model} answers nobody in {', '.join(running)} any more. Records, evidence and the artifact stay."
    wish = Wish(
        order.model, story.environment, branch, story.new, f"Retire {order.model} in {where}", words, order.reason,
        story.asked_by, also={name: new for name, (_, new) in story.also.items()},
    )  # fmt: skip
    gone = begin_anew(place, branch) if order.anew else ()
    put = put_pull(place, wish, put_branch(place, wish, main), story.text)
    asked = Asked(Reviewers())
    for environment in running:
        asked = _both(asked, ask(place, put.pull, main.policy(), environment, without=()))
    return Proposed(order.model, story.version, ", ".join(running), put.pull, put.how, asked, gone)


def _both(one: Asked, other: Asked) -> Asked:
    done = Reviewers((*one.done.people, *other.done.people), (*one.done.teams, *other.done.teams))
    return Asked(done, {**one.skipped, **other.skipped})
