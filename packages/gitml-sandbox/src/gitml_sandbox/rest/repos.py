"""REST: one repository, its collaborators, activity, code owners."""

from __future__ import annotations

import json
from typing import Any, Literal

from gitml_sandbox.forge import codeowners, judging, repos, users
from gitml_sandbox.forge.refusals import RefusalError, invalid, not_found
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, page_bounds, paged
from gitml_sandbox.rest.users import Repository
from gitml_sandbox.serial import people as people_json

# GitHub's words for permissions in requests, besides the names of the roles themselves.
_PERMISSIONS = {"pull": "read", "push": "write"}
_COARSE = {"none": "none", "read": "read", "triage": "read", "write": "write", "maintain": "write", "admin": "admin"}


class Edit(Repository):
    """PATCH: all of a repository may be left out."""

    name: str = ""
    default_branch: str | None = None
    private: bool | None = None  # type: ignore[assignment]


class Invitation(Body):
    permission: str = "push"


def one(call: Call) -> Reply:
    return Reply(people_json.repository(call.view, call.repo))


def edit(call: Call) -> Reply:
    view, wanted, repo = call.view, call.body(Edit), call.repo
    if wanted.name and wanted.name != repo.name:
        raise RefusalError(422, "The sandbox does not rename repositories")
    given = {k: v for k, v in wanted.given().items() if v is not None}
    repos.set_settings(view.tx, repo, {k: v for k, v in given.items() if k in repos.SWITCHES})
    private = wanted.visibility == "private" if wanted.visibility else wanted.private
    view.tx.execute(
        "UPDATE repos SET description = coalesce(?, description), private = coalesce(?, private) WHERE id = ?",
        (wanted.description, None if private is None else int(private), repo.id),
    )
    if wanted.default_branch:
        if not gitrepo.ref_sha(repos.path(call.sandbox, repo), f"refs/heads/{wanted.default_branch}"):
            raise invalid("Repository", "default_branch", "invalid")
        repos.set_default_branch(call.sandbox, view.tx, repo, wanted.default_branch)
    return Reply(people_json.repository(view, repos.by_id(view.tx, repo.id)))


def collaborators(call: Call) -> Reply:
    view, repo = call.view, call.repo
    levels = [(who, repos.permission(view.tx, repo, who.id)) for who in users.everyone(view.tx)]
    wanted = call.query.get("permission", "")
    least = _PERMISSIONS.get(wanted, wanted) or "read"
    if least not in repos.LEVELS:
        raise invalid("Collaborator", "permission")
    own = "SELECT user_id FROM collaborators WHERE repo_id = ?"
    named = {row["user_id"] for row in view.tx.execute(own, (repo.id,))}
    kept = [
        (who, level)
        for who, level in levels
        if who.type != "Organization"
        and repos.at_least(level, least)
        and (who.id in named or (level != "read" and not who.site_admin) or who.id == repo.owner_id)
    ]
    return paged(call, kept, lambda pair: people_json.collaborator(view, *pair))


def add_collaborator(call: Call) -> Reply:
    """There is no mail here: an invitation is accepted at once, and shown as GitHub's 201 (204 when it changes one)."""
    view, repo = call.view, call.repo
    who = users.find(view.tx, call.path["username"])
    if who is None or who.type == "Organization":
        raise not_found()
    if who.id == repo.owner_id:
        raise RefusalError(422, "Repository owner cannot be a collaborator")
    asked = call.body(Invitation).permission
    level = _PERMISSIONS.get(asked, asked)
    if level not in repos.LEVELS[1:]:
        raise invalid("Invitation", "permission", "invalid", value=asked)
    before = view.tx.execute(
        "SELECT 1 FROM collaborators WHERE repo_id = ? AND user_id = ?", (repo.id, who.id)
    ).fetchone()
    repos.set_collaborator(view.tx, repo.id, who.id, level)
    if before is not None:
        return Reply(status=204)
    number = repo.id * 1_000_000 + who.id
    return Reply(
        {
            "id": number,
            "node_id": people_json.node_id("Invitation", number),
            "repository": people_json.repository(view, repo),
            "invitee": people_json.user(view, who),
            "inviter": people_json.user(view, call.by.user),
            "permissions": level,
            "created_at": call.sandbox.now(),
            "expired": False,
            "url": f"{people_json.repo_api(view, repo)}/invitations/{number}",
            "html_url": f"{people_json.repo_web(view, repo)}/invitations",
        },
        201,
    )


def permission(call: Call) -> Reply:
    view, repo = call.view, call.repo
    who = users.find(view.tx, call.path["username"])
    if who is None:
        raise not_found()
    level = repos.permission(view.tx, repo, who.id)
    shown = people_json.collaborator(view, who, level)
    return Reply({"permission": _COARSE[level], "role_name": level, "user": shown})


def codeowners_errors(call: Call) -> Reply:
    view, repo = call.view, call.repo
    bare = repos.path(call.sandbox, repo)
    sha = gitview.find_commit(bare, call.query.get("ref") or repo.default_branch)
    if sha is None:
        raise not_found()
    parsed, text = judging.read_codeowners(bare, sha)
    if not parsed.path:
        raise not_found()
    full = codeowners.with_unknown(parsed, text, lambda word: bool(judging.owner_ids(view, repo, (word,))))
    return Reply({"errors": [_mistake(m) for m in full.mistakes]})


def _mistake(mistake: codeowners.Mistake) -> dict[str, Any]:
    names = ("line", "column", "kind", "source", "suggestion", "message", "path")
    return {name: getattr(mistake, name) for name in names}


_TYPES: dict[str, Literal["branch_creation", "branch_deletion", "push", "force_push"]] = {
    "created": "branch_creation",
    "deleted": "branch_deletion",
    "forced": "force_push",
}


def activity(call: Call) -> Reply:
    """Who moved which ref, newest first, from the events of pushes. Pages by cursor: before and after are ids."""
    view, repo = call.view, call.repo
    who = users.find(view.tx, call.query["actor"]) if call.query.get("actor") else None
    if call.query.get("actor") and who is None:
        raise RefusalError(422, "Validation Failed")
    ref = call.query.get("ref", "")
    wanted = ref if ref.startswith("refs/") or not ref else f"refs/heads/{ref}"
    rows = view.tx.execute(
        "SELECT id, actor_id, ref, pull_id, payload, created_at FROM events WHERE repo_id = ?1 AND name = 'push'"
        " AND (?2 = '' OR ref = ?2) AND (?3 IS NULL OR actor_id = ?3) ORDER BY id DESC",
        (repo.id, wanted, who.id if who else None),
    ).fetchall()
    shown = [_activity(call, row) for row in rows]
    kind = call.query.get("activity_type")
    return _by_cursor(call, [s for s in shown if not kind or s["activity_type"] == kind])


def _activity(call: Call, row: Any) -> dict[str, Any]:
    payload = json.loads(row["payload"])
    moved = next((name for flag, name in _TYPES.items() if payload.get(flag)), "push")
    kind = moved if row["pull_id"] is None else "pr_merge"
    return {
        "id": row["id"],
        "node_id": people_json.node_id("Activity", row["id"]),
        "before": payload["before"],
        "after": payload["after"],
        "ref": row["ref"],
        "timestamp": row["created_at"],
        "activity_type": kind,
        "actor": people_json.user_id(call.view, row["actor_id"]),
    }


def _by_cursor(call: Call, items: list[dict[str, Any]]) -> Reply:
    _, size = page_bounds(call)
    after, before = (call.query.get(n, "") for n in ("after", "before"))
    ascending = call.query.get("direction") == "asc"
    ordered = items[::-1] if ascending else items
    numbers = [i["id"] for i in ordered]
    start = numbers.index(int(after)) + 1 if after.isdigit() and int(after) in numbers else 0
    if before.isdigit() and int(before) in numbers:
        start = max(numbers.index(int(before)) - size, 0)
    page = ordered[start : start + size]
    links = []
    if start + size < len(ordered):
        links.append(f'<{call.url}?per_page={size}&after={page[-1]["id"]}>; rel="next"')
    if start > 0:
        links.append(f'<{call.url}?per_page={size}&before={page[0]["id"] if page else ""}>; rel="prev"')
    return Reply(page, headers={"Link": ", ".join(links)} if links else {})


_ONE = "/repos/{owner}/{repo}"
OPERATIONS = (
    Operation("GET", _ONE, one),
    Operation("PATCH", _ONE, edit, scope="administration", role="admin", tx="write", body=Edit),
    Operation("GET", f"{_ONE}/collaborators", collaborators, role="write"),
    Operation(
        "PUT",
        f"{_ONE}/collaborators/{{username}}",
        add_collaborator,
        scope="administration",
        role="admin",
        tx="write",
        body=Invitation,
    ),
    Operation("GET", f"{_ONE}/collaborators/{{username}}/permission", permission, role="write"),
    Operation("GET", f"{_ONE}/codeowners/errors", codeowners_errors, scope="contents"),
    Operation("GET", f"{_ONE}/activity", activity, scope="contents"),
)
