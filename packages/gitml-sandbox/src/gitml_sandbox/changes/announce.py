"""Events of everything but pushes, in GitHub's webhook format, in the transaction of the change."""

from __future__ import annotations

import sqlite3
from typing import Any

from gitml_sandbox.changes import payloads
from gitml_sandbox.forge import events, issues, judging, pulls, repos
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.serial import checks as checks_json
from gitml_sandbox.serial import git as git_json
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial import pulls as pulls_json
from gitml_sandbox.serial.people import JSON


def _emit(view: View, repo: Repo, name: str, by: Actor, *, ref: str, sha: str, body: JSON) -> None:
    common = {"repository": payloads.repository(view, repo), "sender": people_json.user(view, by.user)}
    events.emit(
        view.tx,
        repo_id=repo.id,
        name=name,
        action=body.get("action", "") or "",
        actor_id=by.user.id,
        token_kind=by.token_kind,
        ref=ref,
        sha=sha,
        payload={**body, **common},
    )


def pull(view: View, pull_: Pull, action: str, by: Actor, **more: Any) -> None:
    """pull_request: opened, synchronize, closed, ... ``more`` are the keys that GitHub adds for the action."""
    repo = repos.by_id(view.tx, pull_.repo_id)
    shown = pulls_json.pull(view, repo, pull_, judging.mergeable_state(view, pull_))
    body = {"action": action, "number": pull_.number, "pull_request": shown, **more}
    ref = f"refs/heads/{pull_.base_ref}" if pull_.merged else pull_.merge_name
    _emit(view, repo, "pull_request", by, ref=ref, sha=pull_.head_sha, body=body)


def review(view: View, pull_: Pull, row: sqlite3.Row, action: str, by: Actor) -> None:
    """pull_request_review: submitted or dismissed; its state is in lower case there, as on GitHub."""
    repo = repos.by_id(view.tx, pull_.repo_id)
    shown = pulls_json.review(view, repo, pull_, row)
    body = {
        "action": action,
        "review": {**shown, "state": shown["state"].lower()},
        "pull_request": pulls_json.pull_simple(view, repo, pull_),
    }
    _emit(view, repo, "pull_request_review", by, ref=pull_.merge_name, sha=pull_.head_sha, body=body)


def issue(view: View, row: sqlite3.Row, action: str, by: Actor, **more: Any) -> None:
    """issues: opened, edited, closed, reopened, labeled, ..."""
    repo = repos.by_id(view.tx, row["repo_id"])
    fresh = issues.by_id(view.tx, row["id"])
    body = {"action": action, "issue": pulls_json.issue(view, repo, fresh), **more}
    _emit(view, repo, "issues", by, ref=f"refs/heads/{repo.default_branch}", sha=_tip(view, repo), body=body)


def comment(view: View, row: sqlite3.Row, action: str, by: Actor, **more: Any) -> None:
    """issue_comment: created, edited or deleted; runs from the default branch, on pull requests too."""
    parent = issues.by_id(view.tx, row["issue_id"])
    repo = repos.by_id(view.tx, parent["repo_id"])
    body = {
        "action": action,
        "issue": pulls_json.issue(view, repo, parent),
        "comment": pulls_json.comment(view, repo, row),
        **more,
    }
    _emit(view, repo, "issue_comment", by, ref=f"refs/heads/{repo.default_branch}", sha=_tip(view, repo), body=body)


def commit_comment(view: View, repo: Repo, row: sqlite3.Row, by: Actor) -> None:
    """commit_comment: created."""
    body = {"action": "created", "comment": pulls_json.commit_comment(view, repo, row)}
    _emit(view, repo, "commit_comment", by, ref=f"refs/heads/{repo.default_branch}", sha=row["sha"], body=body)


def labels(view: View, row: sqlite3.Row, changed: list[sqlite3.Row], action: str, by: Actor) -> None:
    """One event per label, for the issue or the pull request that it is."""
    from_pull = bool(row["is_pull"])
    repo = repos.by_id(view.tx, row["repo_id"])
    for label in changed:
        more = {"label": pulls_json.label(view, repo, label)}
        if from_pull:
            pull(view, _pull_of(view, row), action, by, **more)
        else:
            issue(view, row, action, by, **more)


def _pull_of(view: View, row: sqlite3.Row) -> Pull:

    return pulls.by_id(view.tx, row["id"])


def status(view: View, repo: Repo, row: sqlite3.Row, by: Actor) -> None:
    """status: somebody posted a commit status."""
    bare = repos.path(view.sandbox, repo)
    commit = gitview.commit(bare, row["sha"])
    names = gitrepo.out(bare, "for-each-ref", "--format=%(refname:lstrip=2)", f"--points-at={row['sha']}", "refs/heads")
    body = {
        **{k: row[k] for k in ("id", "sha", "context", "state", "description", "target_url", "created_at")},
        "updated_at": row["created_at"],
        "name": repo.full_name,
        "avatar_url": checks_json.simple_status(view, repo, row)["avatar_url"],
        "commit": git_json.commit(view, repo, commit),
        "branches": [{"name": n, "commit": {"sha": row["sha"]}, "protected": False} for n in names.split("\n") if n][
            :10
        ],
    }
    _emit(view, repo, "status", by, ref=f"refs/heads/{repo.default_branch}", sha=row["sha"], body=body)


def check_run(view: View, repo: Repo, row: sqlite3.Row, action: str, by: Actor) -> None:
    """check_run: created or completed."""
    body = {"action": action, "check_run": checks_json.check_run(view, repo, row)}
    _emit(view, repo, "check_run", by, ref=f"refs/heads/{repo.default_branch}", sha=row["sha"], body=body)


def deployment(view: View, repo: Repo, row: sqlite3.Row, by: Actor) -> None:
    body = {
        "action": "created",
        "deployment": checks_json.deployment(view, repo, row),
        "workflow": None,
        "workflow_run": None,
    }
    _emit(view, repo, "deployment", by, ref=row["ref"], sha=row["sha"], body=body)


def deployment_status(view: View, repo: Repo, parent: sqlite3.Row, row: sqlite3.Row, by: Actor) -> None:
    body = {
        "action": "created",
        "deployment_status": checks_json.deployment_status(view, repo, row),
        "deployment": checks_json.deployment(view, repo, parent),
        "workflow": None,
        "workflow_run": None,
    }
    _emit(view, repo, "deployment_status", by, ref=parent["ref"], sha=parent["sha"], body=body)


def _tip(view: View, repo: Repo) -> str:
    bare = repos.path(view.sandbox, repo)
    return gitrepo.ref_sha(bare, f"refs/heads/{repo.default_branch}") or gitrepo.ZERO
