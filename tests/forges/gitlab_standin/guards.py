"""Protected branches, rules of approval, environments and variables."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from forges.gitlab_standin import shapes
from forges.gitlab_standin.table import ID as _ID
from forges.gitlab_standin.table import op
from forges.gitlab_standin.world import Ask, RefusedError
from gitml.forges.governed import Protection

_DRAFT = re.compile(r"^draft:\s*", re.I)


@op("GET", f"{_ID}/protected_branches")
def protected_branches(ask: Ask) -> Any:
    return [shapes.protected_branch(ask, name) for name in ask.state.protections]


@op("GET", f"{_ID}/protected_branches/{{name}}")
def protected_branch(ask: Ask) -> Any:
    if ask.path["name"] not in ask.state.protections:
        raise RefusedError(404, "404 Not found")
    return shapes.protected_branch(ask, ask.path["name"])


@op("POST", f"{_ID}/protected_branches")
def protect(ask: Ask) -> Any:
    ask.needs("admin")
    name = ask.body["name"]
    if name in ask.state.protections:
        raise RefusedError(409, f"Protected branch '{name}' already exists")
    is_closed, rewrites = ask.body.get("push_access_level") == 0, bool(ask.body.get("allow_force_push"))
    ask.state.protections[name] = Protection(pull_request=is_closed, admins=True, may_rewrite=rewrites)
    _hold(ask)
    return shapes.protected_branch(ask, name)


@op("PATCH", f"{_ID}/protected_branches/{{name}}")
def change_protection(ask: Ask) -> Any:
    ask.needs("admin")
    protected_branch(ask)
    name, owners = ask.path["name"], ask.body.get("code_owner_approval_required")
    rule = ask.state.protections[name]
    rule = replace(rule, may_rewrite=bool(ask.body.get("allow_force_push", rule.may_rewrite)))
    ask.state.protections[name] = replace(rule, code_owners=bool(owners)) if ask.world.premium else rule
    return shapes.protected_branch(ask, name)


@op("DELETE", f"{_ID}/protected_branches/{{name}}")
def unprotect(ask: Ask) -> Any:
    ask.needs("admin")
    protected_branch(ask)
    del ask.state.protections[ask.path["name"]]
    return None


def _hold(ask: Ask) -> None:
    """Approvals are asked for of every protected branch."""
    approvals, rules = ask.world.approvals, ask.world.rules
    for name, rule in ask.state.protections.items():
        ask.state.protections[name] = replace(
            rule,
            approvals=max((r["approvals_required"] for r in rules), default=0),
            dismiss_stale=approvals.get("reset_approvals_on_push", False),
            last_push=approvals.get("merge_requests_disable_committers_approval", False),
        )


def _premium(ask: Ask) -> None:
    if not ask.world.premium:
        raise RefusedError(404, "404 Not Found")
    ask.needs("admin")


@op("GET", f"{_ID}/approvals")
def approvals(ask: Ask) -> Any:
    _premium(ask)
    return ask.world.approvals


@op("POST", f"{_ID}/approvals")
def set_approvals(ask: Ask) -> Any:
    _premium(ask)
    ask.world.approvals |= ask.body
    _hold(ask)
    return ask.world.approvals


@op("GET", f"{_ID}/approval_rules")
def approval_rules(ask: Ask) -> Any:
    _premium(ask)
    return ask.world.rules


@op("POST", f"{_ID}/approval_rules")
def add_rule(ask: Ask) -> Any:
    _premium(ask)
    ask.world.rules.append({"id": len(ask.world.rules) + 1, **ask.body})
    _hold(ask)
    return ask.world.rules[-1]


@op("PUT", f"{_ID}/approval_rules/{{approval_rule_id}}")
def change_rule(ask: Ask) -> Any:
    _premium(ask)
    rule = ask.world.rules[int(ask.path["approval_rule_id"]) - 1]
    rule |= ask.body
    _hold(ask)
    return rule


@op("GET", f"{_ID}/environments")
def environments(ask: Ask) -> Any:
    names = [n for n in ask.world.environments if ask.one("name") in ("", n)]
    return [{"id": number, "name": name} for number, name in enumerate(names, 1)]


@op("POST", f"{_ID}/environments")
def add_environment(ask: Ask) -> Any:
    ask.needs("write")
    ask.world.environments.append(ask.body["name"])
    return {"id": len(ask.world.environments), "name": ask.body["name"]}


@op("GET", f"{_ID}/variables")
def variables(ask: Ask) -> Any:
    ask.needs("maintain")
    return ask.world.variables
