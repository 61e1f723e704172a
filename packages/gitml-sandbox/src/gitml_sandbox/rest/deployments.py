"""REST: deployments and their statuses."""

from __future__ import annotations

from typing import Any, Literal

from gitml_sandbox.forge import checks, deployments, repos, rules
from gitml_sandbox.forge.protections import Check
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, paged
from gitml_sandbox.rest.git import commit_of
from gitml_sandbox.serial import checks as json_of


class NewDeployment(Body):
    ref: str
    task: str = "deploy"
    auto_merge: bool = True
    required_contexts: tuple[str, ...] | None = None
    payload: dict[str, Any] | str = ""
    environment: str = "production"
    description: str | None = None
    transient_environment: bool = False
    production_environment: bool | None = None


class NewStatus(Body):
    state: Literal["error", "failure", "inactive", "in_progress", "queued", "pending", "success"]
    target_url: str = ""
    log_url: str = ""
    description: str = ""
    environment: str | None = None
    environment_url: str = ""
    auto_inactive: bool = True


def listing(call: Call) -> Reply:
    names = ("sha", "ref", "task", "environment")
    asked = {n: call.query[n] for n in names if call.query.get(n) not in (None, "none")}
    rows = deployments.listing(call.view.tx, call.repo.id, **asked)
    return paged(call, rows, lambda r: json_of.deployment(call.view, call.repo, r))


def create(call: Call) -> Reply:
    """409 unless the commit's statuses are good; `required_contexts: []` asks for none."""
    view, wanted, repo = call.view, call.body(NewDeployment), call.repo
    sha = commit_of(call, wanted.ref)
    _check_contexts(call, sha, wanted)
    if wanted.auto_merge:
        _check_up_to_date(call, wanted.ref, sha)
    new = deployments.New(
        sha=sha,
        ref=wanted.ref,
        environment=wanted.environment,
        task=wanted.task,
        description=wanted.description,
        payload=wanted.payload,
        transient=wanted.transient_environment,
        production=wanted.production_environment,
    )
    row = deployments.create(view.tx, repo_id=repo.id, new=new, creator_id=call.by.user.id, now=call.sandbox.now())
    return created(json_of.deployment(view, repo, row))


def _check_contexts(call: Call, sha: str, wanted: NewDeployment) -> None:
    contexts = wanted.required_contexts
    known = checks.results(call.view.tx, call.repo.id, sha)
    names = sorted({r.context for r in known}) if contexts is None else contexts
    states = {name: rules.check_state(known, Check(context=name)) for name in names}
    bad = [{"context": name, "state": state or "missing"} for name, state in states.items() if state != "success"]
    if bad:
        error = {"contexts": bad, "resource": "Deployment", "field": "required_contexts", "code": "invalid"}
        raise RefusalError(409, f"Conflict: Commit status checks failed for {wanted.ref}.", errors=[error])


def _check_up_to_date(call: Call, ref: str, sha: str) -> None:
    """GitHub would merge the default branch in first; the sandbox says so instead of doing it."""
    bare, repo = repos.path(call.sandbox, call.repo), call.repo
    is_branch = gitrepo.ref_sha(bare, f"refs/heads/{ref}") is not None
    tip = gitrepo.ref_sha(bare, f"refs/heads/{repo.default_branch}")
    if is_branch and ref != repo.default_branch and tip and not gitrepo.is_ancestor(bare, tip, sha):
        raise RefusalError(
            409, f"Conflict merging {repo.default_branch} into {ref}: merge it first, or pass auto_merge false"
        )


def one(call: Call) -> Reply:
    row = deployments.get(call.view.tx, call.repo.id, call.number("deployment_id"))
    return Reply(json_of.deployment(call.view, call.repo, row))


def one_status(call: Call) -> Reply:
    parent = deployments.get(call.view.tx, call.repo.id, call.number("deployment_id"))
    number = call.number("status_id")
    row = next((r for r in deployments.statuses(call.view.tx, parent["id"]) if r["id"] == number), None)
    if row is None:
        raise not_found()
    return Reply(json_of.deployment_status(call.view, call.repo, row))


def statuses(call: Call) -> Reply:
    parent = deployments.get(call.view.tx, call.repo.id, call.number("deployment_id"))
    rows = deployments.statuses(call.view.tx, parent["id"])
    return paged(call, rows, lambda r: json_of.deployment_status(call.view, call.repo, r))


def add_status(call: Call) -> Reply:
    view, repo = call.view, call.repo
    parent = deployments.get(view.tx, repo.id, call.number("deployment_id"))
    row = deployments.add_status(
        view.tx,
        parent,
        given=call.body(NewStatus).model_dump(),
        creator_id=call.by.user.id,
        now=call.sandbox.now(),
    )
    return created(json_of.deployment_status(view, repo, row))


_ALL = "/repos/{owner}/{repo}/deployments"
_STATUSES = f"{_ALL}/{{deployment_id}}/statuses"
_SCOPE = "deployments"
OPERATIONS = (
    Operation("GET", _ALL, listing, scope=_SCOPE),
    Operation("POST", _ALL, create, scope=_SCOPE, role="write", tx="write", body=NewDeployment),
    Operation("GET", f"{_ALL}/{{deployment_id}}", one, scope=_SCOPE),
    Operation("GET", f"{_STATUSES}/{{status_id}}", one_status, scope=_SCOPE),
    Operation("GET", _STATUSES, statuses, scope=_SCOPE),
    Operation("POST", _STATUSES, add_status, scope=_SCOPE, role="write", tx="write", body=NewStatus),
)
