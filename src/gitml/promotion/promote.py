"""``gitml promote``: a version is proposed for an environment by a pull request that edits its deployment file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gitml.control.change import (
    PROMOTE,
    Wish,
    begin_anew,
    branch_of,
    close_overtaken,
    put_branch,
    put_pull,
)
from gitml.control.mainline import Mainline, known_environment, named
from gitml.control.place import Place
from gitml.control.proofs import ledger_of
from gitml.control.upstreams import Upstreams
from gitml.derivation.claim import Claim
from gitml.derivation.promotion import NAME
from gitml.errors import FailedError, InconclusiveError, UsageError
from gitml.forges.base import PullRequest
from gitml.forges.governed import Account, Asked, Reviewers
from gitml.policy.change import in_force
from gitml.policy.freezes import frozen, moment
from gitml.promotion.text import Story, origin_of, seats_of
from gitml.promotion.upstreamfirst import waits_for
from gitml.refs import Reference
from gitml.registry.desired import Part, Placing, part_of
from gitml.registry.record import Record
from gitml.reports.promotion import short
from gitml.spec import Deployment, Policy
from gitml.spec.deployment import Pin

WEIGHT = 10.0
_MOST_REVIEWERS = 15


@dataclass(frozen=True)
class PromoteOrder:
    """What is asked. ``weight`` in percent, of a canary. ``anyway``: also while a freeze or hold keeps the gate shut,
    or the promotion of an upstream comes first.

    ``anew``: what is open of it is closed, and its branch made again.

    ``asked_by`` are those who want it, where that is not the token's account. ``causes``, where it is the bot's own
    proposal and nobody wants it: the events of the ledger that it follows from.
    """

    reference: Reference
    environment: str
    part: Part = "champion"
    weight: float | None = None
    reason: str = ""
    anyway: bool = False
    anew: bool = False
    asked_by: tuple[Account, ...] = ()
    causes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Proposed:
    """The pull request, whether it was opened, updated or unchanged, and what else was done.

    ``closed`` are those that this one overtakes.
    """

    model: str
    version: str
    environment: str
    pull: PullRequest
    how: str
    asked: Asked
    closed: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


def promote(place: Place, order: PromoteOrder) -> Proposed:
    """Propose it. Called twice it does nothing the second time; the work tree is not touched.

    Raises UsageError for what cannot be asked, FailedError where the order of environments is against it, and
    InconclusiveError while a freeze or hold is in force, or the promotion of a model that it is built on is open.
    """
    main = place.newest()
    policy = main.policy()
    environment = known_environment(policy, order.environment)
    record = named(main, order.reference)
    old = main.deployment(record.model, environment)
    now = place.clock().replace(microsecond=0)
    new = _wanted(order, old, record, now)
    _refuse_skipping(main, policy, record, environment)
    warnings = tuple(_warnings(place, policy, environment, old, record, order))
    _refuse_closed_doors(place, policy, environment, old, anyway=order.anyway)
    _refuse_before_upstreams(place, main, record.model, environment, order)
    story = Story(
        place=place,
        main=main,
        record=record,
        model=record.model,
        environment=environment,
        version=record.version,
        old=old,
        new=new,
        policy=policy,
        application=main.application(),
        ledger=ledger_of(place, main),
        origin=origin_of(place, main, record.model, record.version),
        reason=order.reason,
        asked_by=order.asked_by or (askers(place) if order.causes is None else ()),
        warnings=warnings,
    )
    wish = replace(_wish(story, order), claim=_claim(story, order.causes, now))
    gone = begin_anew(place, wish.branch) if order.anew else ()
    put = put_pull(place, wish, put_branch(place, wish, main), story.text)
    asked = ask(place, put.pull, policy, environment, without=story.shut_out)
    closed = (*gone, *_close_older(story, order, put.pull))
    return Proposed(record.model, record.version, environment, put.pull, put.how, asked, closed, warnings)


def _claim(story: Story, causes: tuple[str, ...] | None, now: datetime) -> tuple[str, ...]:
    if causes is None:
        return ()
    subject = f"{story.model} {story.environment}"
    claim = Claim(NAME, story.main.commit, causes, f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", subject)
    return claim.trailers()


def askers(place: Place) -> tuple[Account, ...]:
    """The account of the token; a job's or an app's is nobody's."""
    return (place.me,) if place.me else ()


def _wanted(order: PromoteOrder, old: Deployment | None, record: Record, now: datetime) -> Deployment:
    if order.weight is not None and order.part != "canary":
        raise UsageError("only a canary has a weight", "add `--as canary`, or leave `--weight` out")
    pin = Pin(version=record.version, digest=record.files[record.artifact].sha256)
    there = part_of(old, record.version)
    same_weight = order.weight is None or (old and old.canary and old.canary.weight == order.weight)
    if there == order.part and (there != "canary" or same_weight):
        raise UsageError(f"{record.reference} is {there} in {order.environment} already", "`gitml status` shows it")
    return Placing(order.part, WEIGHT if order.weight is None else order.weight).of(old, pin, now)


def _refuse_skipping(main: Mainline, policy: Policy, record: Record, environment: str) -> None:
    before = policy.before(environment)
    if before is None:
        return
    state = main.deployment(record.model, before)
    if part_of(state, record.version) != "champion":
        runs = f"{short(state.champion.version)} runs there" if state else "nothing runs there"
        raise FailedError(
            f"{record.reference} must be champion in {before} before it comes to {environment}: {runs}",
            f"gitml promote {record.reference} --to {before}",
        )


def _warnings(
    place: Place, policy: Policy, environment: str, old: Deployment | None, record: Record, order: PromoteOrder
) -> Iterator[str]:
    for freeze in frozen(policy.freezes, environment, place.clock()):
        yield f"{environment} is frozen until {moment(freeze.until)}: {freeze.reason}"
    hold = in_force(old.hold, place.clock()) if old else None
    if hold:
        end = f"until {moment(hold.until)}" if hold.until else "until somebody ends it"
        yield f"{environment} is held by {hold.by} {end}: {hold.reason}"
    if record.origin == "local":
        yield f"{record.reference} was trained outside CI: its figures count only when CI has reproduced it"
    if order.part == "champion" and old and record.version < old.champion.version:
        yield f"{record.reference} is older than {short(old.champion.version)}, which runs in {environment}"


def _refuse_closed_doors(
    place: Place, policy: Policy, environment: str, old: Deployment | None, *, anyway: bool
) -> None:
    if anyway:
        return
    hint = "with --anyway the pull request is opened now, and its gate stays shut until then"
    for freeze in frozen(policy.freezes, environment, place.clock()):
        raise InconclusiveError(f"{environment} is frozen until {moment(freeze.until)}: {freeze.reason}", hint)
    hold = in_force(old.hold, place.clock()) if old else None
    if hold:
        end = f" until {moment(hold.until)}" if hold.until else ""
        resume = f"`gitml resume MODEL --in {environment}` ends it; {hint}"
        raise InconclusiveError(f"{environment} is held by {hold.by}{end}: {hold.reason}", resume)


def _refuse_before_upstreams(place: Place, main: Mainline, model: str, environment: str, order: PromoteOrder) -> None:
    """A shadow answers nobody, so it may come at any time."""
    if order.anyway or order.part == "shadow":
        return
    if why := waits_for(Upstreams(place, main), model, environment):
        raise InconclusiveError(why, "merge or close that one first; with --anyway the pull request is opened now")


def _wish(story: Story, order: PromoteOrder) -> Wish:
    what = "" if order.part == "champion" else f" as {order.part}"
    environment = story.environment
    version = named_branch(story.version, order.part)
    before = f"It takes the place of {story.old.champion.version}.\n" if story.old and not what else ""
    return Wish(
        model=story.model,
        environment=environment,
        branch=branch_of(story.main, PROMOTE, story.model, environment, version),
        wanted=story.new,
        title=f"Promote {story.model}@{short(story.version)} to {environment}{what}",
        words=f"{story.version}\n{before}",
        reason=order.reason,
        asked_by=story.asked_by,
    )


def named_branch(version: str, part: Part) -> str:
    """The last word of the branch that proposes a version as that."""
    return version if part == "champion" else f"{version}-{part}"


def ask(place: Place, pull: PullRequest, policy: Policy, environment: str, *, without: tuple[str, ...]) -> Asked:
    """Ask those who hold the roles for a review, but not who cannot approve, was asked, or answered this commit."""
    seats = tuple(seats_of(policy, environment))
    there = place.forge.reviews.asked(pull.number)
    answered = {r.person.login.lower() for r in place.forge.reviews.list(pull.number) if r.commit == pull.head.commit}
    known = {p.lower() for p in (*there.people, *there.teams, *without, pull.author)} | answered
    people = [p for p in dict.fromkeys(p for seat in seats for p in seat.people) if p.lower() not in known]
    teams = [t for t in dict.fromkeys(t for seat in seats for t in seat.teams) if t.lower() not in known]
    return place.forge.reviews.ask(pull.number, Reviewers(tuple(people[:_MOST_REVIEWERS]), tuple(teams)))


def _close_older(story: Story, order: PromoteOrder, pull: PullRequest) -> tuple[int, ...]:
    """Close open promotions of older versions to the same place, as the same part."""
    older = {p.number: p for p in open_promotions(story.place, story.main, story.model, story.environment)}
    overtaken = {
        number: p
        for number, p in older.items()
        if number != pull.number and _version(p, order.part) and _version(p, order.part) < story.version
    }
    why = f"Overtaken: #{pull.number} proposes {story.version}, which is newer."
    return close_overtaken(story.place, overtaken, why)


def open_promotions(place: Place, main: Mainline, model: str, environment: str) -> tuple[PullRequest, ...]:
    prefix = f"{branch_of(main, PROMOTE, model, environment)}/"
    return tuple(p for p in place.forge.merges.under(prefix) if p.base.branch == place.branch)


def _version(pull: PullRequest, part: Part) -> str:
    """The version that a promotion's branch names, empty when it is for another part."""
    name = pull.head.branch.rpartition("/")[2]
    suffix = "" if part == "champion" else f"-{part}"
    version = name.removesuffix(suffix) if name.endswith(suffix) else ""
    return version if part != "champion" or not version.endswith(("-canary", "-shadow")) else ""
