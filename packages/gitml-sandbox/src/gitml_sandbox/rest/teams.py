"""REST: a team by its number, as the links of answers name it."""

from __future__ import annotations

import sqlite3

from gitml_sandbox.errors import RefError
from gitml_sandbox.forge import repos, users
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.rest.call import Call, Operation, Reply, paged
from gitml_sandbox.rest.users import belongs
from gitml_sandbox.serial import people as people_json


def _team(call: Call) -> sqlite3.Row:
    """For members of the organisation; the token of a job sees none, as on GitHub."""
    try:
        org = users.by_id(call.view.tx, call.number("org_id"))
    except RefError:
        raise not_found() from None
    sql = "SELECT * FROM teams WHERE org_id = ? AND id = ?"
    row: sqlite3.Row | None = call.view.tx.execute(sql, (org.id, call.number("team_id"))).fetchone()
    if row is None or call.by_job or not belongs(call, org):
        raise not_found()
    return row


def one(call: Call) -> Reply:
    return Reply(people_json.team(call.view, _team(call)))


def members(call: Call) -> Reply:
    sql = "SELECT user_id FROM team_members WHERE team_id = ? ORDER BY user_id"
    rows = call.view.tx.execute(sql, (_team(call)["id"],)).fetchall()
    return paged(call, rows, lambda r: people_json.user_id(call.view, r["user_id"]))


def repositories(call: Call) -> Reply:
    """Those of the team that the caller sees."""
    view, team = call.view, _team(call)
    sql = "SELECT repo_id FROM team_repos WHERE team_id = ?"
    given = {r["repo_id"] for r in view.tx.execute(sql, (team["id"],))}
    found = [r for r in repos.listing(view.tx, view.viewer_id) if r.id in given]
    return paged(call, found, lambda r: people_json.repository(view, r))


_TEAM = "/organizations/{org_id}/team/{team_id}"
OPERATIONS = (
    Operation("GET", _TEAM, one, login=True),
    Operation("GET", f"{_TEAM}/members", members, login=True),
    Operation("GET", f"{_TEAM}/repos", repositories, login=True),
)
