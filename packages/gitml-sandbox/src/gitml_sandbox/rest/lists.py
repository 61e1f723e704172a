"""REST: what the forge has, as further lists and single things that links lead to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gitml_sandbox.forge import comments, repos, reviews, users
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.forge.users import User
from gitml_sandbox.rest.call import Call, Operation, Reply, paged
from gitml_sandbox.rest.labels import EITHER
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial import pulls as pulls_json


def _known(call: Call) -> User:
    who = users.find(call.view.tx, call.path["username"])
    if who is None:
        raise not_found()
    return who


def _repositories(call: Call, found: Sequence[Repo]) -> Reply:
    """Those that the caller sees; a token that is bound to one repository sees no other private one."""
    bound = call.caller.token.repo_id if call.caller else None
    kept = [r for r in found if not r.private or bound in (None, r.id)]
    return paged(call, kept, lambda r: people_json.repository(call.view, r))


def repos_of(call: Call) -> Reply:
    who = _known(call)
    return _repositories(call, [r for r in repos.listing(call.view.tx, call.view.viewer_id) if r.owner_id == who.id])


def forks(call: Call) -> Reply:
    seen = repos.listing(call.view.tx, call.view.viewer_id)
    return _repositories(call, [r for r in seen if r.fork_of == call.repo.id])


def orgs_of(call: Call) -> Reply:
    sql = "SELECT org_id FROM org_members WHERE user_id = ? ORDER BY org_id"
    rows = call.view.tx.execute(sql, (_known(call).id,)).fetchall()
    return paged(call, rows, lambda r: people_json.organization(call.view, users.by_id(call.view.tx, r["org_id"])))


def _assignable(call: Call) -> list[User]:
    found = users.everyone(call.view.tx)
    may = [u for u in found if repos.at_least(repos.permission(call.view.tx, call.repo, u.id), "triage")]
    return [u for u in may if u.type != "Organization" and (not u.site_admin or u.id == call.repo.owner_id)]


def assignees(call: Call) -> Reply:
    return paged(call, _assignable(call), lambda u: people_json.user(call.view, u))


def is_assignable(call: Call) -> Reply:
    if _known(call).id not in [u.id for u in _assignable(call)]:
        raise not_found()
    return Reply(status=204)


def is_collaborator(call: Call) -> Reply:
    if not repos.at_least(repos.permission(call.view.tx, call.repo, _known(call).id), "triage"):
        raise not_found()
    return Reply(status=204)


def teams(call: Call) -> Reply:
    sql = "SELECT teams.* FROM teams JOIN team_repos ON team_id = teams.id WHERE repo_id = ? ORDER BY teams.id"
    rows = call.view.tx.execute(sql, (call.repo.id,)).fetchall()
    return paged(call, rows, lambda r: people_json.team(call.view, r))


def commit_comments(call: Call) -> Reply:
    rows = comments.on_commits(call.view.tx, call.repo.id)
    return paged(call, rows, lambda r: pulls_json.commit_comment(call.view, call.repo, r))


def issue_comments(call: Call) -> Reply:
    rows = comments.of_repo(call.view.tx, call.repo.id, call.query.get("since", ""))
    return paged(call, rows, lambda r: pulls_json.comment(call.view, call.repo, r))


def issue_events(call: Call) -> Reply:
    rows = reviews.dismissed_in(call.view.tx, call.repo.id)
    return paged(call, rows, lambda r: pulls_json.review_dismissed(call.view, call.repo, r))


def issue_event(call: Call) -> Reply:
    number = call.number("event_id")
    found: list[sqlite3.Row] = [r for r in reviews.dismissed_in(call.view.tx, call.repo.id) if r["id"] == number]
    if not found:
        raise not_found()
    return Reply(pulls_json.review_dismissed(call.view, call.repo, found[0]))


_ONE = "/repos/{owner}/{repo}"
OPERATIONS = (
    Operation("GET", "/users/{username}/repos", repos_of),
    Operation("GET", "/users/{username}/orgs", orgs_of),
    Operation("GET", f"{_ONE}/forks", forks),
    Operation("GET", f"{_ONE}/assignees", assignees),
    Operation("GET", f"{_ONE}/assignees/{{username}}", is_assignable),
    Operation("GET", f"{_ONE}/collaborators/{{username}}", is_collaborator, role="write"),
    Operation("GET", f"{_ONE}/teams", teams, role="write"),
    Operation("GET", f"{_ONE}/comments", commit_comments, scope="contents"),
    Operation("GET", f"{_ONE}/issues/comments", issue_comments, scope="issues"),
    Operation("GET", f"{_ONE}/issues/events", issue_events, scope=EITHER),
    Operation("GET", f"{_ONE}/issues/events/{{event_id}}", issue_event, scope=EITHER),
)
