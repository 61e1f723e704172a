"""Events of pull requests in GitHub's webhook format, in the transaction of the change."""

from __future__ import annotations

import sqlite3
from typing import Any

from gitml_sandbox.changes import payloads
from gitml_sandbox.forge import events, judging, pulls, repos
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.repos import Repo
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


def labels(view: View, row: sqlite3.Row, changed: list[sqlite3.Row], action: str, by: Actor) -> None:
    """One pull_request event per label; labels of other issues start nothing."""
    for label in changed if row["is_pull"] else ():
        repo = repos.by_id(view.tx, row["repo_id"])
        pull(view, pulls.by_id(view.tx, row["id"]), action, by, label=pulls_json.label(view, repo, label))
