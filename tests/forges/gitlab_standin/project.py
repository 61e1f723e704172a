"""The project itself, its people, what was pushed."""

from __future__ import annotations

import re
from typing import Any

from forges.gitlab_standin.table import ID as _ID
from forges.gitlab_standin.table import op
from forges.gitlab_standin.world import LEVELS, Ask, RefusedError, person

_DRAFT = re.compile(r"^draft:\s*", re.I)


@op("GET", "/user")
def user(ask: Ask) -> Any:
    return ask.person(ask.login)


@op("GET", "/users")
def users(ask: Ask) -> Any:
    found = ask.state.account(ask.one("username"))
    return [person(found.person)] if found else []


@op("GET", "/groups/{id}/members")
def group_members(ask: Ask) -> Any:
    found = ask.hub.people.members(ask.path["id"])
    if found is None:
        raise RefusedError(404, "404 Group Not Found")
    return [person(one) | {"access_level": 30} for one in found]


@op("GET", _ID)
def project(ask: Ask) -> Any:
    name, state = ask.project, ask.state
    level = LEVELS.get(state.role(ask.login), 0)
    mine = {"access_level": level} if level > 10 else None
    return {
        "id": ask.world.project(name),
        "path_with_namespace": name,
        "default_branch": state.default_branch,
        "visibility": "private" if state.is_private else "public",
        "only_allow_merge_if_pipeline_succeeds": ask.world.needs_pipeline,
        "ci_pipeline_variables_minimum_override_role": ask.world.override,
        "permissions": {"project_access": mine, "group_access": None},
    }


@op("PUT", _ID)
def set_project(ask: Ask) -> Any:
    ask.needs("admin")
    ask.world.needs_pipeline = bool(ask.body.get("only_allow_merge_if_pipeline_succeeds", ask.world.needs_pipeline))
    ask.world.override = ask.body.get("ci_pipeline_variables_minimum_override_role", ask.world.override)
    return {name: value for name, value in project(ask).items() if name != "permissions"}


@op("GET", f"{_ID}/members/all/{{user_id}}")
def member(ask: Ask) -> Any:
    who = next((a.person for a in ask.state.accounts.values() if str(a.person.id) == ask.path["user_id"]), None)
    role = ask.state.role(who.login) if who else "none"
    if who is None or role in ("read", "none"):
        raise RefusedError(404, "404 Not found")
    return person(who) | {"access_level": LEVELS[role]}


@op("GET", f"{_ID}/events")
def events(ask: Ask) -> Any:
    named = {"branch_creation": "created", "branch_deletion": "removed"}
    found = []
    for number, move in enumerate(ask.state.moves, 1):
        said, zero = move.pushed, "0" * 40
        data = {
            "action": named.get(said.kind, "pushed"),
            "ref_type": "branch",
            "ref": move.branch,
            "commit_from": None if said.before == zero else said.before,
            "commit_to": None if said.after == zero else said.after,
        }
        if move.repository == ask.project:
            found.append({"id": number, "author": person(said.by), "created_at": said.time, "push_data": data})
    return found[::-1]
