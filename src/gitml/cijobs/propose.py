"""``gitml ci propose``: after a merge the bot opens the promotions that are due, and closes those that are overtaken.

What is due is read from the state of the default branch, not from the push: a run that was killed or skipped is made
up for by the next one. A promotion that people closed is not opened again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gitml.control.change import PROMOTE, branch_of, close_overtaken
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.proofs import Ledger, ledger_of
from gitml.control.upstreams import Upstreams
from gitml.derivation import promotion
from gitml.errors import GitmlError, InconclusiveError
from gitml.forges.base import PullRequest
from gitml.forges.governed import Account
from gitml.forges.job import JobCause
from gitml.forges.table import job_of
from gitml.policy.change import held_version, in_force
from gitml.policy.freezes import frozen, moment
from gitml.promotion.promote import PromoteOrder, Proposed, named_branch, open_promotions, promote
from gitml.promotion.upstreamfirst import waits_for
from gitml.refs import VERSION, Reference
from gitml.registry.desired import part_of
from gitml.registry.resolve import deployment_path
from gitml.registry.store import record_path
from gitml.reports.promotion import short
from gitml.spec import Deployment, Policy
from gitml.spec.deployment import Pin
from gitml.spec.modelgraph import upstream_first


@dataclass(frozen=True)
class Turn:
    """What was done about one model in one environment. ``problem``: a promotion is due and could not be opened."""

    model: str
    environment: str
    said: str
    proposed: Proposed | None = None
    closed: tuple[int, ...] = ()
    problem: bool = False


def propose(place: Place, started_by: Account | None = None) -> tuple[Turn, ...]:
    """Each model in each environment, in the order of policy.yaml; models after those that they are built on. One that
    fails does not keep the others back.

    ``started_by`` is who started this run by hand.
    """
    main = place.newest(whole=True)
    policy, proofs = main.policy(), ledger_of(place, main)
    models = [m for m in upstream_first(main.application()) if main.versions(m)]
    return tuple(
        turn
        for model in models
        for environment in policy.environments
        for turn in _turn(place, main, policy, proofs, ProposalDue(model, environment, started_by))
    )


@dataclass(frozen=True)
class ProposalDue:
    """A question: is a promotion of this model to this environment due?"""

    model: str
    environment: str
    started_by: Account | None


def _turn(place: Place, main: Mainline, policy: Policy, proofs: Ledger, due: ProposalDue) -> Iterator[Turn]:
    model, environment = due.model, due.environment
    try:
        old = main.deployment(model, environment)
        closed = _close_done(place, main, model, environment, old)
        version, why = candidate(main, policy, proofs, model, environment)
        if version:
            why = _unusable(main, proofs, model, version) or _why_not(place, main, policy, due, old, version)
        if not version or why:
            if closed or why:
                yield Turn(model, environment, why, closed=closed)
            return
        reference = Reference(model, version)
        causes = _causes(main, policy, proofs, due, version)
        asked_by = requesters(place, main, policy, due, version) if causes is None else ()
        placing = promotion.placing_of(policy, model, environment, old)
        order = PromoteOrder(reference, environment, placing.part, asked_by=asked_by, causes=causes)
        done = promote(place, replace(order, weight=placing.weight) if placing.part == "canary" else order)
        said = f"{model}@{short(version)}: #{done.pull.number} {done.how}"
        yield Turn(model, environment, said, done, (*closed, *done.closed))
    except InconclusiveError as exc:
        yield Turn(model, environment, exc.message)
    except GitmlError as exc:
        yield Turn(model, environment, exc.message, problem=True)


def candidate(main: Mainline, policy: Policy, proofs: Ledger, model: str, environment: str) -> tuple[str, str]:
    """The version that policy.yaml wants proposed here, or none and maybe why."""
    version, before = promotion.due(main.tree, policy, model, environment), policy.before(environment)
    if version is None or before is None:
        return version or "", ""
    if proofs.reports(before) and not proofs.serves(model, before, version):
        return "", f"{short(version)} is wanted in {before}, but no agent has said yet that it serves there"
    return version, ""


def _causes(main: Mainline, policy: Policy, proofs: Ledger, due: ProposalDue, version: str) -> tuple[str, ...] | None:
    """The event that the proposal follows from; none for the first environment. None where the ledger has no such."""
    before = policy.before(due.environment)
    if before is None:
        return ()
    record = main.record(due.model, version)
    pin = Pin(version=version, digest=record.files[record.artifact].sha256)
    told = (one for one in proofs.of(due.model, version) if one and one.statement)
    names = [one.name for one in told if one.statement and promotion.follows(one.statement, due.model, before, pin)]
    return (names[-1],) if names else None


def _unusable(main: Mainline, proofs: Ledger, model: str, version: str) -> str:
    record = main.record(model, version)
    why = proofs.unusable(model, version, record.files[record.artifact].sha256)
    return f"{short(version)} could not be used by main's own job: {why}" if why else ""


def _why_not(
    place: Place, main: Mainline, policy: Policy, due: ProposalDue, old: Deployment | None, version: str
) -> str:
    """Why the promotion that is due is not opened, as somebody reads it in the log; empty when it is."""
    environment, now = due.environment, place.clock()
    part = part_of(old, version)
    if part or (old and version < old.champion.version):
        return f"{short(version)} is {part} there" if part else f"{short(version)} is older than what runs there"
    if ran_before(main, due.model, environment, version):
        return f"{short(version)} ran there before, and was replaced"
    hold = (in_force(old.hold, now) if old else None) or held_version(old, version, now)
    if hold:
        return f"held by {hold.by}: {hold.reason}"
    for freeze in frozen(policy.freezes, environment, now):
        return f"frozen until {moment(freeze.until)}: {freeze.reason}"
    placing = promotion.placing_of(policy, due.model, environment, old)
    branch = branch_of(main, PROMOTE, due.model, environment, named_branch(version, placing.part))
    known = [p for p in place.forge.pulls.of_branch(branch, closed=True) if p.base.branch == place.branch]
    if known and not any(p.is_open for p in known):
        return f"#{known[0].number} proposed {short(version)}, and was closed"
    others = promotion.waits_for_others(main.tree, due.model, environment, placing)
    return others or waits_for(Upstreams(place, main), due.model, environment)


def ran_before(main: Mainline, model: str, environment: str, version: str) -> bool:
    """Whether some state of the deployment file on the mainline pinned the version."""
    needle = version.encode()
    return any(needle in (past.content or b"") for past in main.history(deployment_path(model, environment)))


def _close_done(place: Place, main: Mainline, model: str, environment: str, old: Deployment | None) -> tuple[int, ...]:
    """Close promotions that the default branch has overtaken: it pins their version already, or a newer champion."""
    if old is None:
        return ()
    found: dict[int, tuple[PullRequest, str]] = {}
    for pull in open_promotions(place, main, model, environment):
        name = pull.head.branch.rpartition("/")[2]
        match = VERSION.match(name)
        if match is None:
            continue
        why = _overtaken(match.group(), name[match.end() + 1 :] or "champion", old)
        if why:
            found[pull.number] = (pull, why)
    by = _brought_by(place, main, model, environment)
    for number, (pull, why) in found.items():
        close_overtaken(place, {number: pull}, f"Overtaken: {why}{by}.")
    return tuple(found)


def _overtaken(version: str, part: str, old: Deployment) -> str:
    there = part_of(old, version)
    if there == "champion" or (there == part == "shadow"):
        return f"{version} is {there} there already"
    if part == "champion" and version < old.champion.version:
        return f"{old.champion.version}, which is newer, answers there"
    return ""


def _brought_by(place: Place, main: Mainline, model: str, environment: str) -> str:
    past = next(main.history(deployment_path(model, environment)), None)
    try:
        pulls = place.forge.pulls.of_commit(past.commit) if past else ()
    except GitmlError:
        pulls = ()
    merged = [p for p in pulls if p.is_merged]
    return f", by #{merged[0].number}" if merged else f", by {past.commit}" if past else ""


def requesters(place: Place, main: Mainline, policy: Policy, due: ProposalDue, version: str) -> tuple[Account, ...]:
    """Who made the bot open a promotion that follows from no statement: whoever merged what makes it due, and whoever
    started this run by hand.

    For the first environment that is the version's record, for the others the deployment before.
    """
    before = policy.before(due.environment)
    path = record_path(due.model, version)
    commit = main.added(path) if before is None else _newest(main, deployment_path(due.model, before))
    merged = merger(place, commit) if commit else None
    return tuple(dict.fromkeys(p for p in (merged, due.started_by) if p is not None))


def _newest(main: Mainline, path: str) -> str:
    past = next(main.history(path), None)
    return past.commit if past else ""


def merger(place: Place, commit: str) -> Account | None:
    """Who brought a commit to the default branch: merged its pull request, or pushed it. None when nobody says."""
    try:
        for pull in place.forge.pulls.of_commit(commit):
            merged = place.forge.merges.merged(pull.number) if pull.base.branch == place.branch else None
            if merged is not None and merged.by.login:
                return merged.by
        pushes = place.forge.merges.pushes(place.branch)
    except GitmlError as exc:
        place.say(f"who brought {commit[:12]} is not known: {exc.message.splitlines()[0]}")
        return None
    return next((push.by for push in pushes if push.after == commit and push.by.login), None)


def starter(env: Mapping[str, str]) -> Account | None:
    """Who started a run of CI by hand, or started it again; None when an event did."""
    job = job_of(env)
    if job.cause is not JobCause.MANUAL and job.again in ("", job.actor):
        return None
    login = job.again or job.actor
    number = job.actor_id if login == job.actor else 0
    return Account(login, number) if login and not login.endswith("[bot]") else None
