"""``gitml status``: what the default branch wants of each model where, since when, by whom, and what is pending."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gitml.clock import now
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.proofs import Ledger, ledger_of
from gitml.errors import GitmlError, OutsideError, SpecError
from gitml.evidence.trust import Believed
from gitml.forges.base import PullRequest
from gitml.git.commands import Git
from gitml.policy.change import in_force
from gitml.policy.freezes import frozen
from gitml.promotion.live import LiveReport, live
from gitml.registry.deploymentpast import Past
from gitml.registry.resolve import deployment_path
from gitml.spec import Deployment, Policy, parse_deployment
from gitml.spec.deployment import Hold
from gitml.spec.policy import Freeze


@dataclass(frozen=True)
class Pending:
    """An open pull request that changes a deployment file of a model."""

    number: int
    title: str
    url: str
    author: str
    model: str
    environment: str


@dataclass(frozen=True)
class WantedVersion:
    """What the default branch wants of one model in one environment.

    ``since``, ``commit`` and ``pull`` are of the change that brought the file to what it is; ``approved_by`` has the
    logins that the ledger or the pull request names. ``problem`` is why the file cannot be read. ``live`` is what the
    agent reported, None where it did not, or nobody was asked.
    """

    model: str
    environment: str
    state: Deployment | None
    since: str = ""
    commit: str = ""
    pull: int | None = None
    approved_by: tuple[str, ...] = ()
    approvals_from: str = ""
    hold: Hold | None = None
    freezes: tuple[Freeze, ...] = ()
    live: LiveReport | None = None
    problem: str = ""


@dataclass(frozen=True)
class DeploymentStatus:
    """``commit`` of the default branch is what all of it is read from. ``notes`` say what could not be found out."""

    commit: str
    wanted: tuple[WantedVersion, ...]
    pending: tuple[Pending, ...]
    freezes: tuple[Freeze, ...]
    notes: tuple[str, ...] = ()


def status(place: Place, only: str = "") -> DeploymentStatus:
    """Everything, or one model. What the forge or the ledger do not tell is noted, and the rest is shown."""
    main = place.newest(whole=True)
    notes: list[str] = []
    policy = _policy(main, notes)
    proofs = ledger_of(place, main)
    pulls = _pulls(place, notes)
    models = [m for m in main.models() if only in ("", m)]
    wanted = [w for model in models for w in _of_model(place, main, model, policy, proofs)]
    at = place.clock()
    coming = tuple(f for f in policy.freezes if f.until > at) if policy else ()
    pending = tuple(p for pull in pulls for p in _pending(pull, main, models))
    return DeploymentStatus(main.commit, tuple(wanted), pending, coming, tuple(notes))


def status_of_clone(root: Path, only: str = "", main: Mainline | None = None) -> DeploymentStatus:
    """What the commit that is checked out wants, where the clone has no forge; or another one, as ``main``.

    Raises OutsideError without a commit.
    """
    main = main or _checked_out(root)
    notes = [
        "the clone names no forge (it has no remote called origin, or that is a folder), so this is what the commit "
        "checked out here wants; who approved it, what is pending and what runs is known by the forge"
    ]
    policy, at = _policy(main, notes), now()
    wanted = [
        _read(main, model, environment, frozen(policy.freezes, environment, at) if policy else (), at)[0]
        for model in main.models()
        if only in ("", model)
        for environment in main.environments(model)
    ]
    coming = tuple(f for f in policy.freezes if f.until > at) if policy else ()
    return DeploymentStatus(main.commit, tuple(wanted), (), coming, tuple(notes))


def _checked_out(root: Path) -> Mainline:
    try:
        return Mainline(Git(root), Git(root).text("rev-parse", "--verify", "--quiet", "HEAD^{commit}").strip())
    except OutsideError as exc:
        raise OutsideError("no commit is checked out here, so nothing is wanted yet", "commit the application") from exc


def _policy(main: Mainline, notes: list[str]) -> Policy | None:
    try:
        return main.policy()
    except SpecError as exc:
        notes.append(f"policy.yaml cannot be read: {exc.problems[0]}")
        return None


def _pulls(place: Place, notes: list[str]) -> tuple[PullRequest, ...]:
    try:
        return place.forge.merges.under("gitml/")
    except GitmlError as exc:
        notes.append(f"pending promotions are not known: {exc.message.splitlines()[0]}")
        return ()


def _of_model(
    place: Place, main: Mainline, model: str, policy: Policy | None, proofs: Ledger
) -> Iterator[WantedVersion]:
    order = list(policy.environments) if policy else []
    there = main.environments(model)
    for environment in [*order, *(e for e in there if e not in order)]:
        frozen_now = frozen(policy.freezes, environment, place.clock()) if policy else ()
        if environment not in there:
            yield WantedVersion(model, environment, None, freezes=frozen_now)
            continue
        yield _wanted(place, main, model, environment, proofs, frozen_now)


def _wanted(
    place: Place, main: Mainline, model: str, environment: str, proofs: Ledger, freezes: tuple[Freeze, ...]
) -> WantedVersion:
    found, past = _read(main, model, environment, freezes, place.clock())
    if found.problem:
        return found
    pull, approved, source = _decision(place, main, past, deployment_path(model, environment), proofs)
    reported = live(place.forge, model, environment, place.say)
    return replace(found, pull=pull, approved_by=approved, approvals_from=source, live=reported)


def _read(
    main: Mainline, model: str, environment: str, freezes: tuple[Freeze, ...], at: datetime
) -> tuple[WantedVersion, Past | None]:
    """What the file says, and the change that brought it."""
    path = deployment_path(model, environment)
    past = next(main.history(path), None)
    try:
        state = parse_deployment(main.file(path) or b"", path)
    except SpecError as exc:
        return WantedVersion(model, environment, None, freezes=freezes, problem=str(exc.problems[0])), past
    since, commit = (_utc(past.time), past.commit) if past else ("", "")
    hold = in_force(state.hold, at)
    return WantedVersion(model, environment, state, since, commit, hold=hold, freezes=freezes), past


def _utc(time: str) -> str:
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if time else ""


def _decision(
    place: Place, main: Mainline, past: Past | None, path: str, proofs: Ledger
) -> tuple[int | None, tuple[str, ...], str]:
    """The pull request, who approved it, and where that is known from: the ledger if it tells, else the forge."""
    if past is None:
        return None, (), ""
    entry = place.git.at(past.commit).entry(path)
    blob = entry.id if entry else ""
    for told in reversed(proofs.told):
        about = told.binding
        # Environments often hold the same bytes: the path tells their decisions apart.
        where = (about.change.path, about.change.new) if about and about.change else None
        if told and about and about.kind == "approved" and where == (f"{main.git.prefix}{path}", blob):
            return about.pull, _approvers(told), "the ledger"
    try:
        pulls = [p for p in place.forge.pulls.of_commit(past.commit) if p.is_merged]
        if not pulls:
            return None, (), ""
        pull = pulls[0]
        reviews = [r for r in place.forge.reviews.list(pull.number) if r.commit == pull.head.commit]
    except GitmlError as exc:
        place.say(f"the decision about {path} is not known: {exc.message.splitlines()[0]}")
        return None, (), ""
    latest = {r.person.login: r.state for r in reviews if r.state != "COMMENTED"}
    approved = tuple(login for login, state in latest.items() if state == "APPROVED")
    return pull.number, approved, "the pull request"


def _approvers(told: Believed) -> tuple[str, ...]:
    """The logins that the snapshot of the reviews counted."""
    listed = told.details.get("reviews")
    reviews = [r for r in listed if isinstance(r, dict)] if isinstance(listed, list) else []
    return tuple(str(r.get("login")) for r in reviews if r.get("counts") is True)


def _pending(pull: PullRequest, main: Mainline, models: list[str]) -> Iterator[Pending]:
    """By its branch: gitml/promote/MODEL/ENVIRONMENT/… and the like."""
    words = pull.head.branch.split("/")
    if len(words) < 4 or words[0] != "gitml":
        return
    model = words[2].rpartition("+")[2] if main.git.prefix else words[2]
    if model in models:
        yield Pending(pull.number, pull.title, pull.url, pull.author, model, words[3])
