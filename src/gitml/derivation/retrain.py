"""The commit that asks for a training: main's own tree, with the parameters that gitml.yaml sets for that moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from gitml.derivation.candidate import undecided_on
from gitml.derivation.claim import Claim, moment_of
from gitml.errors import FailedError, OutsideError
from gitml.evidence.looks import KIND as LOOK
from gitml.evidence.looks import LookDetails
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.git.edit import tree_with
from gitml.git.tree import Tree
from gitml.policy.change import in_force
from gitml.policy.freezes import frozen
from gitml.registry.resolve import deployment_in, environments
from gitml.registry.store import versions
from gitml.reports.promotion import short
from gitml.retraining.brakes import MONTH, Brake, too_costly, too_early, too_many
from gitml.retraining.causes import (
    NamedLook,
    TrainingCause,
    UpstreamChange,
    WatchedVersion,
    by_data,
    by_erasure,
    by_looks,
    by_schedule,
    by_upstream,
)
from gitml.retraining.data import changed_data
from gitml.retraining.erased import remembered_by
from gitml.retraining.observed import Downstream, is_fresh, observed_in
from gitml.retraining.upstream import changed_upstream
from gitml.spec import parse_application, parse_policy
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, Policy
from gitml.spec.retrain import RetrainSpec
from gitml.spec.root import APPLICATION
from gitml.verdict import Phase

NAME = "retrain"


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """Without a subject main is stale, and its own tree is trained. Else the subject is ``MODEL CAUSE``, and the looks
    that show the cause are ``causes``. What a person asks for by hand is that person's."""
    tree = git.repository.tree_of(claim.base)
    if tree is None:
        raise OutsideError(f"the clone lacks the commit {claim.base}", "git fetch origin")
    if not claim.subject:
        return tree
    model, _, kind = claim.subject.partition(" ")
    moment, app = moment_of(claim), parse_application(git.at(claim.base).read(APPLICATION) or b"")
    spec = app.retrain.get(model)
    if spec is None or kind not in spec.causes:
        raise FailedError(f"{model or 'nothing'} is not trained again because of {kind or 'nothing'}")
    found = _found(git, claim, app, (model, kind), causes)
    if not any(cause.stands for cause in found):
        raise FailedError(f"nothing that it names shows the cause {kind}")
    if brake := _forbidden(git, claim, model, causes):
        raise FailedError(f"was asked for although nobody may: {brake}")
    return tree_at(git, claim.base, spec, moment)


def _forbidden(git: Git, claim: Claim, model: str, causes: Sequence[Statement]) -> Brake | None:
    """What forbade it at the moment of the claim, by the base that it names: a person gets past none of that either."""
    tree = git.at(claim.base)
    policy = parse_policy(tree.read(POLICY) or b"") if tree.entry(POLICY) else None
    if policy is None:
        return None
    at, newest = moment_of(claim), next(reversed(versions(tree, model)), "")
    broken = (_broken(cause) for cause in causes[-1:])
    early = too_early(model, newest, policy.retraining, at)
    return next((b for b in (*broken, *forbidden_on(tree, policy, model, at), early) if b), None)


def over_quota(git: Git, claim: Claim, earlier: Iterable[Claim]) -> str:
    """Why a retraining is one too many, or takes more GPU hours than are left, or "".

    ``earlier``: those that were believed before, whatever became of them; the same one again is no other. All of them
    are taken for earlier, whatever moments are claimed: else one of last month would be free.
    """
    tree = git.at(claim.base)
    if not claim.subject or not tree.entry(POLICY):  # what follows from a stale main has no cause, and no moment
        return ""
    model, _ = _asked(claim)
    at, rules = moment_of(claim), parse_policy(tree.read(POLICY) or b"").retraining
    others = {_asked(one) for one in earlier if one.subject} - {_asked(claim)}
    runs = sorted((min(moment, at), name) for name, moment in others)
    brake = too_many(rules, [moment for moment, name in runs if name == model], at)
    brake = brake or too_costly(rules, _gpu_hours(tree, model, [name for run, name in runs if at - MONTH < run]))
    return f"was asked for although nobody may: {brake}" if brake else ""


def _asked(claim: Claim) -> tuple[str, datetime]:
    """For which model, and as of when."""
    return claim.subject.partition(" ")[0], moment_of(claim)


def _gpu_hours(tree: Tree, model: str, others: Sequence[str]) -> float:
    """What main expects of a training of ``model`` and of those of ``others``; nothing where that one takes none."""
    specs = parse_application(tree.read(APPLICATION) or b"").retrain
    cost = {name: spec.cost.gpu_hours for name, spec in specs.items()}
    own = cost.get(model, 0.0)
    return own and own + sum(cost.get(name, 0.0) for name in others)


def _broken(newest: Statement) -> Brake | None:
    """Of the newest look that it names."""
    try:
        look = LookDetails.model_validate(dict(newest.details)).look
    except ValueError:
        return None  # no look, which was refused before
    quality = look.verdicts.get("quality")
    if quality is None or quality.phase is not Phase.FAILED:
        return None
    return Brake("contract", f"the data break their contract in {look.environment}: {quality.reason}", is_final=True)


def forbidden_on(tree: Tree, policy: Policy, model: str, at: datetime) -> Iterator[Brake]:
    """Freezes, holds and undecided candidates: nothing is trained again while they last, whoever asks."""
    for place in environments(tree, model):
        for freeze in frozen(policy.freezes, place, at):
            yield Brake("freeze", f"{place} is frozen: {freeze.reason}", freeze.until, is_final=True)
        state = deployment_in(tree, model, place)
        if state and (hold := in_force(state.hold, at)):
            yield Brake("hold", f"{place} is held by {hold.by}: {hold.reason}", hold.until, is_final=True)
        for version in undecided_on(tree, model, place):
            said = f"{short(version)} is tried beside the champion of {place}, and is undecided"
            yield Brake("canary", said, is_final=True)


def tree_at(git: Git, base: str, spec: RetrainSpec, moment: datetime) -> str:
    """The tree of ``base`` with the parameters of that moment. Raises SpecError for a file that lacks one."""
    tree = git.repository.tree_of(base) or ""
    if not spec.set:
        return tree
    content = spec.params_at(git.read_file(base, spec.params) or b"", moment)
    return tree_with(git.repository, tree, f"{git.prefix}{spec.params}", content)


def changes_anything(git: Git, base: str, spec: RetrainSpec, moment: datetime) -> bool:
    """Whether what is set differs from what ``base`` has."""
    return tree_at(git, base, spec, moment) != git.repository.tree_of(base)


def _found(
    git: Git, claim: Claim, app: Application, about: tuple[str, str], causes: Sequence[Statement]
) -> tuple[TrainingCause, ...]:
    """The causes of that kind at the moment of the claim, from main and the statements that it names."""
    (model, kind), moment = about, moment_of(claim)
    spec, tree = app.retrain[model], git.at(claim.base)
    newest = next(reversed(versions(tree, model)), "")
    if kind == "schedule":
        return tuple(by_schedule(spec, model, newest, moment))
    if kind == "new_data":
        return tuple(by_data(spec, model, changed_data(git, claim.base, model, newest, spec.data), moment))
    if kind == "erasure":
        return tuple(by_erasure(spec, model, remembered_by(tree, model, newest), moment))
    if kind == "upstream":
        seen = _observed(claim, Downstream(app, tree, git.prefix.strip("/"), model), causes)
        return tuple(by_upstream(spec, model, (*changed_upstream(git, claim.base, model, moment), *seen)))
    rules = parse_policy(tree.read(POLICY) or b"").retraining.looks
    looks = _looks(claim, causes, rules.of * app.monitors.of(model).window)
    better = app.models[model].better
    every = (by_looks(spec, rules, better, one, looks, moment) for one in watched_on(tree, app, model))
    return tuple(
        cause for found in every for cause in found if cause.kind == kind and set(cause.looks) == {*claim.causes}
    )


def _observed(claim: Claim, one: Downstream, causes: Sequence[Statement]) -> Iterator[UpstreamChange]:
    """What runs in other repositories, by the statements that it names: each must say it of this main, lately."""
    moment = moment_of(claim)
    for name, statement in zip(claim.causes, causes, strict=True):
        told = observed_in(one, statement)
        if told is None:
            raise FailedError(f"names {name} as its cause, which says nothing of what {one.model} needs")
        if not is_fresh(statement, moment) or told.since > moment:
            raise FailedError(f"names {name} as its cause, which says nothing of that moment")
        yield told.change


def _looks(claim: Claim, causes: Sequence[Statement], span: timedelta) -> tuple[NamedLook, ...]:
    found = []
    for name, statement in zip(claim.causes, causes, strict=True):
        if statement.binding.kind != LOOK:
            raise FailedError(f"names {name} as its cause, which is no look")
        try:
            details = LookDetails.model_validate(dict(statement.details))
        except ValueError:
            raise FailedError(f"names {name} as its cause, which is no look") from None
        found.append(NamedLook(name, statement.binding.moment, details))
    ends = sorted(one.details.look.until for one in found)
    if ends and ends[-1] - ends[0] >= span:
        raise FailedError("names looks that lie too far apart")
    return tuple(found)


def watched_on(tree: Tree, app: Application, model: str) -> tuple[WatchedVersion, ...]:
    """The champions of the model that are watched, by environment. Raises SpecError for files that cannot be read."""
    spec = app.monitors.of(model)
    places = (spec.environments or environments(tree, model)) if spec.watch else ()
    states = ((place, deployment_in(tree, model, place)) for place in places)
    return tuple(WatchedVersion(model, place, s.champion.version, spec.window) for place, s in states if s)
