"""REST of Environments, secrets, variables and the setting of what job tokens may do."""

from __future__ import annotations

import json

from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.forge import environments, secrets
from gitml_sandbox.forge.environments import Environment
from gitml_sandbox.forge.refusals import not_found, unprocessable
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, paged
from gitml_sandbox.serial import runs as runs_json

_MAY_APPROVE = "can_approve_pull_request_reviews"


def list_environments(call: Call) -> Reply:
    assert call.tx is not None
    rows = environments.listing(call.tx, call.repo.id)
    return paged(call, rows, lambda e: runs_json.environment(call.view, call.repo, e), "environments")


def _found(call: Call) -> Environment:
    assert call.tx is not None
    found = environments.find(call.tx, call.repo.id, call.path["environment_name"])
    if found is None:
        raise not_found()
    return found


def get_environment(call: Call) -> Reply:
    return Reply(runs_json.environment(call.view, call.repo, _found(call)))


class BranchPolicy(Body):
    """GitHub's two switches, of which exactly one is on."""

    protected_branches: bool
    custom_branch_policies: bool


class Reviewer(Body):
    """Somebody who may approve jobs."""

    type: str
    id: int


class NewEnvironment(Body):
    """Body of an Environment."""

    wait_timer: int = 0
    prevent_self_review: bool = False
    reviewers: tuple[Reviewer, ...] | None = None
    deployment_branch_policy: BranchPolicy | None = None


def put_environment(call: Call) -> Reply:
    assert call.tx is not None
    body = call.body(NewEnvironment)
    policy = body.deployment_branch_policy
    if policy is not None and policy.protected_branches == policy.custom_branch_policies:
        raise unprocessable("protected_branches and custom_branch_policies cannot have the same value")
    if any(r.type != "User" for r in body.reviewers or ()):
        raise unprocessable("The sandbox knows reviewers of the type User only")
    name = call.path["environment_name"]
    before = environments.find(call.tx, call.repo.id, name)
    kept = (before.branches if before else None) or ()
    found = environments.put(
        call.tx,
        repo_id=call.repo.id,
        name=name,
        now=call.sandbox.now(),
        branches=kept if policy is not None and policy.custom_branch_policies else None,
        protected_branches=bool(policy and policy.protected_branches),
    )
    environments.set_review(
        call.tx,
        found,
        reviewers=[r.id for r in body.reviewers or ()],
        prevent_self=body.prevent_self_review,
        minutes=body.wait_timer,
    )
    return Reply(runs_json.environment(call.view, call.repo, _found(call)))


def delete_environment(call: Call) -> Reply:
    assert call.tx is not None
    call.tx.execute("DELETE FROM environments WHERE id = ?", (_found(call).id,))
    return Reply(None, 204)


class NewPolicy(Body):
    """One pattern of branches that may use an Environment."""

    name: str


def list_policies(call: Call) -> Reply:
    rows = list(enumerate(_found(call).branches or (), 1))
    return paged(call, rows, lambda r: {"id": r[0], "name": r[1], "type": "branch"}, "branch_policies")


def add_policy(call: Call) -> Reply:
    assert call.tx is not None
    found = _found(call)
    if found.branches is None:
        raise not_found()
    name = call.body(NewPolicy).name
    branches = [*found.branches, *([name] if name not in found.branches else [])]
    call.tx.execute("UPDATE environments SET branches = ? WHERE id = ?", (json.dumps(branches), found.id))
    return Reply({"id": branches.index(name) + 1, "name": name, "type": "branch"})


def list_secrets(call: Call) -> Reply:
    """Names and times; nobody can read a value back."""
    assert call.tx is not None
    environment = _found(call).name if "environment_name" in call.path else ""
    rows = secrets.names(call.tx, call.repo.id, environment)
    return paged(call, rows, dict, "secrets")


class NewSecret(Body):
    """The sandbox's own body: GitHub's sealed box guards a way that here never leaves the machine."""

    value: str


def put_secret(call: Call) -> Reply:
    assert call.tx is not None
    environment = _found(call).name if "environment_name" in call.path else ""
    old = {row["name"] for row in secrets.names(call.tx, call.repo.id, environment)}
    name = secrets.checked_name(call.path["secret_name"])
    secret = secrets.Secret(call.repo.id, name, call.body(NewSecret).value, environment)
    secrets.put(call.tx, call.sandbox.root, secret, now=call.sandbox.now())
    return Reply(None, 204) if name in old else Reply({}, 201)


def delete_secret(call: Call) -> Reply:
    assert call.tx is not None
    environment = _found(call).name if "environment_name" in call.path else ""
    name = call.path["secret_name"]
    if not secrets.delete(call.tx, repo_id=call.repo.id, name=name, environment=environment):
        raise not_found()
    return Reply(None, 204)


class NewVariable(Body):
    """Body of a variable."""

    name: str
    value: str


def list_variables(call: Call) -> Reply:
    assert call.tx is not None
    rows = call.tx.execute(
        "SELECT name, value, created_at, updated_at FROM variables WHERE repo_id = ? AND environment = ''"
        " ORDER BY name",
        (call.repo.id,),
    ).fetchall()
    return paged(call, rows, dict, "variables")


def put_variable(call: Call) -> Reply:
    assert call.tx is not None
    body = call.body(NewVariable)
    secrets.put_variable(call.tx, repo_id=call.repo.id, name=body.name, value=body.value, now=call.sandbox.now())
    return Reply({}, 201)


class TokenDefaults(Body):
    """What a job's token may do when its workflow does not say."""

    default_workflow_permissions: str = "read"
    can_approve_pull_request_reviews: bool = False


def get_defaults(call: Call) -> Reply:
    assert call.tx is not None
    level = runs_store.default_permissions(call.tx, call.repo.id)
    may_approve = bool(call.repo.settings.get(_MAY_APPROVE, False))
    return Reply({"default_workflow_permissions": level, _MAY_APPROVE: may_approve})


def put_defaults(call: Call) -> Reply:
    assert call.tx is not None
    body = call.body(TokenDefaults)
    level = body.default_workflow_permissions
    if level not in {"read", "write"}:
        raise unprocessable("default_workflow_permissions is read or write")
    call.tx.execute("INSERT OR REPLACE INTO actions_settings VALUES (?, ?)", (call.repo.id, level))
    settings = {**call.repo.settings, _MAY_APPROVE: body.can_approve_pull_request_reviews}
    call.tx.execute("UPDATE repos SET settings = ? WHERE id = ?", (json.dumps(settings), call.repo.id))
    return Reply(None, 204)


_R = "/repos/{owner}/{repo}"
_E = f"{_R}/environments/{{environment_name}}"
_DEFAULTS = f"{_R}/actions/permissions/workflow"
OPERATIONS = (
    Operation("GET", f"{_R}/environments", list_environments, "actions"),
    Operation("GET", _E, get_environment, "actions"),
    Operation("PUT", _E, put_environment, "administration", "admin", "write", NewEnvironment),
    Operation("DELETE", _E, delete_environment, "administration", "admin", "write"),
    Operation("GET", f"{_E}/deployment-branch-policies", list_policies, "actions"),
    Operation("POST", f"{_E}/deployment-branch-policies", add_policy, "administration", "admin", "write", NewPolicy),
    Operation("GET", f"{_E}/secrets", list_secrets, "environments", "write"),
    Operation("PUT", f"{_E}/secrets/{{secret_name}}", put_secret, "environments", "admin", "write", NewSecret),
    Operation("DELETE", f"{_E}/secrets/{{secret_name}}", delete_secret, "environments", "admin", "write"),
    Operation("GET", f"{_R}/actions/secrets", list_secrets, "secrets", "write"),
    Operation("PUT", f"{_R}/actions/secrets/{{secret_name}}", put_secret, "secrets", "admin", "write", NewSecret),
    Operation("DELETE", f"{_R}/actions/secrets/{{secret_name}}", delete_secret, "secrets", "admin", "write"),
    Operation("GET", f"{_R}/actions/variables", list_variables, "secrets", "write"),
    Operation("POST", f"{_R}/actions/variables", put_variable, "secrets", "admin", "write", NewVariable),
    Operation("GET", _DEFAULTS, get_defaults, "administration", "admin"),
    Operation("PUT", _DEFAULTS, put_defaults, "administration", "admin", "write", TokenDefaults),
)
