"""The promotion that is due by policy.yaml: the newest version to the first environment, a champion to the next one.

Where none becomes champion that was not judged beside the one that is there, it is proposed as a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitml.derivation.candidate import undecided_on
from gitml.derivation.claim import Claim, moment_of
from gitml.errors import FailedError
from gitml.evidence.statement import Statement
from gitml.git.commands import Git
from gitml.git.edit import tree_with
from gitml.git.tree import Tree
from gitml.registry.desired import Placing, part_of
from gitml.registry.resolve import deployment_in, deployment_path
from gitml.registry.store import record_in, versions
from gitml.spec import Deployment, render_deployment
from gitml.spec.deployment import Pin
from gitml.spec.policy import POLICY, Policy, parse_policy

NAME = "promotion"
# What says that a version came to the environment before.
CAUSES = ("deployed", "promoted", "rolled-back")


def derive(git: Git, claim: Claim, causes: Sequence[Statement]) -> str:
    """The subject is ``MODEL ENVIRONMENT``. Of the moment depends whether a hold is over."""
    model, _, environment = claim.subject.partition(" ")
    tree = git.at(claim.base)
    policy = parse_policy(tree.read(POLICY) or b"")
    version = due(tree, policy, model, environment)
    if version is None:
        raise FailedError(f"policy.yaml wants no promotion of {model} to {environment or 'nowhere'} proposed there")
    old, record = deployment_in(tree, model, environment), record_in(tree, model, version)
    pin = Pin(version=version, digest=record.files[record.artifact].sha256)
    _check(policy.before(environment), model, pin, causes)
    if part_of(old, version) or (old and version < old.champion.version):
        raise FailedError(f"{version} is not newer than what runs in {environment}")
    if old and old.hold and not (old.hold.until and old.hold.until <= moment_of(claim)):
        raise FailedError(f"{environment} is held by {old.hold.by}")
    placing = placing_of(policy, model, environment, old)
    if why := waits_for_others(tree, model, environment, placing):
        raise FailedError(why)
    content = render_deployment(placing.of(old, pin, moment_of(claim))).encode()
    path = f"{git.prefix}{deployment_path(model, environment)}"
    return tree_with(git.repository, git.repository.tree_of(claim.base) or "", path, content)


def due(tree: Tree, policy: Policy, model: str, environment: str) -> str | None:
    """The version that policy.yaml wants proposed for ``environment``, None where it wants none, or has none."""
    if environment not in policy.environments or not policy.proposes(environment):
        return None
    before = policy.before(environment)
    if before is None:
        return next(reversed(versions(tree, model)), None)
    state = deployment_in(tree, model, before)
    return state.champion.version if state else None


def placing_of(policy: Policy, model: str, environment: str, old: Deployment | None) -> Placing:
    """As what a version is proposed. Where the gate ``canary`` is asked of every version, a proposal as champion could
    never be merged: it comes as shadow, where that may open the gate and risks nothing, else as canary at the first of
    the policy's steps."""
    here = policy.environments[environment]
    rules, asked = here.canary_of(model), here.wanted(model).get("canary")
    if old is None or rules is None or asked is None or not asked.always:
        return Placing()
    return Placing("shadow") if "shadow" in rules.modes else Placing("canary", rules.steps[0])


def waits_for_others(tree: Tree, model: str, environment: str, placing: Placing) -> str:
    """Why a candidate does not come yet, or "": one that is undecided is not replaced by the next."""
    tried = undecided_on(tree, model, environment) if placing.part != "champion" else ()
    return f"{tried[0]} is tried beside the champion of {environment}, and is undecided" if tried else ""


def follows(one: Statement, model: str, environment: str, pin: Pin) -> bool:
    """Whether a statement says that the version came to the environment."""
    about = one.binding
    what = (about.model, about.environment, about.version, about.artifact, about.result)
    return about.kind in CAUSES and what == (model, environment, pin.version, pin.digest, "passed")


def _check(before: str | None, model: str, pin: Pin, causes: Sequence[Statement]) -> None:
    if before is None and causes:
        raise FailedError("names a cause, and nothing comes before the first environment")
    if before is not None and not (causes and all(follows(one, model, before, pin) for one in causes)):
        raise FailedError(f"no statement that it names says that {pin.version} came to {before}")
