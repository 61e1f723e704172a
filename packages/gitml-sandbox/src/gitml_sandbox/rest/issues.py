"""REST: issues, comments on them and on pull requests, comments on commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from gitml_sandbox.changes import announce
from gitml_sandbox.forge import comments, events, issues, pulls, repos, reviews, users
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.refusals import forbidden, invalid
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, paged
from gitml_sandbox.rest.git import commit_of
from gitml_sandbox.rest.labels import EITHER, Names, issue_of, permitted
from gitml_sandbox.serial import pulls as json_of


class NewIssue(Body):
    title: str | int
    body: str | None = None
    labels: tuple[str | dict[str, Any], ...] = ()
    assignees: tuple[str, ...] = ()
    assignee: str | None = None


class EditIssue(Body):
    title: str | int | None = None
    body: str | None = None
    state: Literal["open", "closed"] | None = None
    state_reason: Literal["completed", "not_planned", "duplicate", "reopened"] | None = None
    labels: tuple[str | dict[str, Any], ...] | None = None
    assignees: tuple[str, ...] | None = None


class Text(Body):
    body: str


class CommitText(Text):
    path: str | None = None
    line: int | None = None
    position: int | None = None


def may_triage(call: Call) -> bool:
    """By role in the repository; an app or job that got here has the permission itself."""
    if call.by_job:
        return True
    return repos.at_least(repos.permission(call.view.tx, call.repo, call.by.user.id), "triage")


def people(call: Call, logins: Sequence[str]) -> list[int]:
    """Ids of users who can see the repository. Raises RefusalError 422."""
    found = [users.find(call.view.tx, login) for login in logins]
    if not all(found):
        raise invalid("Issue", "assignees")
    return [who.id for who in found if who and repos.permission(call.view.tx, call.repo, who.id) != "none"]


def listing(call: Call) -> Reply:
    view, asked = call.view, call.query

    def who(name: str) -> int | None:
        login = asked.get(name, "")
        user = users.find(view.tx, login) if login and login != "*" else None
        return user.id if user else (-1 if login and login != "*" else None)

    state, sort = asked.get("state", "open"), asked.get("sort", "created")
    if state not in ("open", "closed", "all") or sort not in ("created", "updated", "comments"):
        raise invalid("Search", "state" if sort in ("created", "updated", "comments") else "sort")
    wanted = issues.Wanted(
        state=state,
        labels=tuple(n for n in asked.get("labels", "").split(",") if n),
        creator=who("creator"),
        assignee=who("assignee"),
        since=asked.get("since", ""),
        sort=sort,
        ascending=asked.get("direction") == "asc",
    )
    rows = issues.listing(view.tx, call.repo.id, wanted)
    return paged(call, rows, lambda r: json_of.issue(view, call.repo, r))


def create(call: Call) -> Reply:
    view, wanted = call.view, call.body(NewIssue)
    row = issues.create(
        view.tx,
        repo_id=call.repo.id,
        by=call.by,
        title=str(wanted.title),
        body=wanted.body,
        now=call.sandbox.now(),
    )
    # Like GitHub: labels and people that somebody without triage rights names are left out without a word.
    if may_triage(call):
        issues.put_labels(view.tx, row, Names(labels=wanted.labels).names())
        issues.set_assignees(view.tx, row["id"], people(call, wanted.assignees))
    return created(json_of.issue(view, call.repo, issues.by_id(view.tx, row["id"])))


def one(call: Call) -> Reply:
    return Reply(json_of.issue(call.view, call.repo, issue_of(call)))


def edit(call: Call) -> Reply:
    view, wanted, row = call.view, call.body(EditIssue), issue_of(call)
    if row["user_id"] != call.by.user.id and not may_triage(call):
        raise forbidden("Must have triage access to edit the issue of somebody else.")
    title = str(wanted.title) if wanted.title is not None else None
    if title is not None or wanted.body is not None:
        issues.edit(view.tx, row, title=title, body=wanted.body, now=call.sandbox.now())
        _say(call, row, "edited")
    if may_triage(call):
        _replace(call, row, wanted)
    if wanted.state is not None and wanted.state != row["state"]:
        _set_state(call, row, wanted)
    return Reply(json_of.issue(view, call.repo, issues.by_id(view.tx, row["id"])))


def _say(call: Call, row: sqlite3.Row, action: str) -> None:
    if row["is_pull"]:
        announce.pull(call.view, pulls.by_id(call.view.tx, row["id"]), action, call.by, changes={})


def _replace(call: Call, row: sqlite3.Row, wanted: EditIssue) -> None:
    view = call.view
    if wanted.labels is not None:
        names = Names(labels=wanted.labels).names()
        kept = {n.lower() for n in names}
        gone = [r for r in issues.labels_of(view.tx, row["id"]) if r["name"].lower() not in kept]
        for label in gone:
            issues.drop_label(view.tx, row, label["name"])
        announce.labels(view, row, issues.put_labels(view.tx, row, names), "labeled", call.by)
        announce.labels(view, row, gone, "unlabeled", call.by)
    if wanted.assignees is not None:
        issues.set_assignees(view.tx, row["id"], people(call, wanted.assignees))


def _set_state(call: Call, row: sqlite3.Row, wanted: EditIssue) -> None:
    closing = wanted.state == "closed"
    if row["is_pull"]:
        change_state(call, pulls.by_id(call.view.tx, row["id"]), str(wanted.state))
        return
    reason = wanted.state_reason or ("completed" if closing else "reopened")
    issues.set_state(
        call.view.tx, row["id"], state=str(wanted.state), reason=reason, by=call.by, now=call.sandbox.now()
    )


def change_state(call: Call, pull: Pull, state: str) -> Pull:
    """Close a pull request, or open it again, and say so."""
    view = call.view
    if state == "closed":
        pull = pulls.close(view.tx, pull, by=call.by, now=call.sandbox.now())
        announce.pull(view, pull, "closed", call.by)
    else:
        pull = pulls.reopen(call.sandbox, view.tx, pull, by=call.by)
        announce.pull(view, pull, "reopened", call.by)
    return pull


def comments_of(call: Call) -> Reply:
    rows = comments.of_issue(call.view.tx, issue_of(call)["id"], call.query.get("since", ""))
    return paged(call, rows, lambda r: json_of.comment(call.view, call.repo, r))


def timeline_of(call: Call) -> Reply:
    """Of all that GitHub tells here, reviews that were dismissed, and labels of pull requests that were put on."""
    issue = issue_of(call)
    gone = [json_of.review_dismissed(call.view, call.repo, r) for r in reviews.dismissed(call.view.tx, issue["id"])]
    put = [
        json_of.labeled(call.view, call.repo, r) for r in events.labeled(call.view.tx, call.repo.id, issue["number"])
    ]
    return paged(call, sorted([*gone, *put], key=lambda one: str(one["created_at"])), lambda one: one)


def add_comment(call: Call) -> Reply:
    view, row = call.view, issue_of(call)
    made = comments.add(view.tx, issue_id=row["id"], by=call.by, body=call.body(Text).body, now=call.sandbox.now())
    return created(json_of.comment(view, call.repo, made))


def _comment(call: Call) -> sqlite3.Row:
    row = comments.get(call.view.tx, call.repo.id, call.number("comment_id"))
    permitted(call, issues.by_id(call.view.tx, row["issue_id"]))
    return row


def one_comment(call: Call) -> Reply:
    return Reply(json_of.comment(call.view, call.repo, _comment(call)))


def _own_or_writer(call: Call, row: sqlite3.Row) -> None:
    """A comment is changed by who wrote it, or by somebody who may write to the repository."""
    mine = row["user_id"] == call.by.user.id
    level = repos.permission(call.view.tx, call.repo, call.by.user.id)
    if not mine and not repos.at_least(level, "write"):
        raise forbidden("Must have push access to change the comment of somebody else.")


def edit_comment(call: Call) -> Reply:
    view, row = call.view, _comment(call)
    _own_or_writer(call, row)
    comments.edit(view.tx, row["id"], body=call.body(Text).body, now=call.sandbox.now())
    fresh = _comment(call)
    return Reply(json_of.comment(view, call.repo, fresh))


def delete_comment(call: Call) -> Reply:
    row = _comment(call)
    _own_or_writer(call, row)
    comments.delete(call.view.tx, row["id"])
    return Reply(status=204)


def commit_comments(call: Call) -> Reply:
    rows = comments.of_commit(call.view.tx, call.repo.id, commit_of(call, call.path["commit_sha"]))
    return paged(call, rows, lambda r: json_of.commit_comment(call.view, call.repo, r))


def add_commit_comment(call: Call) -> Reply:
    view, wanted = call.view, call.body(CommitText)
    sha = commit_of(call, call.path["commit_sha"])
    made = comments.add_to_commit(
        view.tx,
        repo_id=call.repo.id,
        sha=sha,
        by=call.by,
        body=wanted.body,
        now=call.sandbox.now(),
        place=(wanted.path, wanted.line, wanted.position),
    )
    return created(json_of.commit_comment(view, call.repo, made))


def _commit_comment(call: Call) -> sqlite3.Row:
    return comments.commit_comment(call.view.tx, call.repo.id, call.number("comment_id"))


def one_commit_comment(call: Call) -> Reply:
    return Reply(json_of.commit_comment(call.view, call.repo, _commit_comment(call)))


def edit_commit_comment(call: Call) -> Reply:
    row = _commit_comment(call)
    _own_or_writer(call, row)
    comments.edit_commit_comment(call.view.tx, row["id"], body=call.body(Text).body, now=call.sandbox.now())
    return Reply(json_of.commit_comment(call.view, call.repo, _commit_comment(call)))


def delete_commit_comment(call: Call) -> Reply:
    row = _commit_comment(call)
    _own_or_writer(call, row)
    comments.delete_commit_comment(call.view.tx, row["id"])
    return Reply(status=204)


_ONE = "/repos/{owner}/{repo}"
_ISSUES, _COMMENT, _COMMIT = (
    f"{_ONE}/issues",
    f"{_ONE}/issues/comments/{{comment_id}}",
    f"{_ONE}/comments/{{comment_id}}",
)
_NUMBER, _ON_COMMIT = f"{_ISSUES}/{{issue_number}}", f"{_ONE}/commits/{{commit_sha}}/comments"
OPERATIONS = (
    Operation("GET", _ISSUES, listing, scope="issues"),
    Operation("POST", _ISSUES, create, scope="issues", tx="write", body=NewIssue),
    Operation("GET", _NUMBER, one, scope=EITHER),
    Operation("PATCH", _NUMBER, edit, scope=EITHER, tx="write", body=EditIssue),
    Operation("GET", f"{_NUMBER}/comments", comments_of, scope=EITHER),
    Operation("GET", f"{_NUMBER}/timeline", timeline_of, scope=EITHER),
    Operation("POST", f"{_NUMBER}/comments", add_comment, scope=EITHER, tx="write", body=Text),
    Operation("GET", _COMMENT, one_comment, scope=EITHER),
    Operation("PATCH", _COMMENT, edit_comment, scope=EITHER, tx="write", body=Text),
    Operation("DELETE", _COMMENT, delete_comment, scope=EITHER, tx="write"),
    Operation("GET", f"{_ISSUES}/{{issue_number}}/events", timeline_of, scope=EITHER),
    Operation("GET", _ON_COMMIT, commit_comments, scope="contents"),
    Operation("POST", _ON_COMMIT, add_commit_comment, scope="contents", tx="write", body=CommitText),
    Operation("GET", _COMMIT, one_commit_comment, scope="contents"),
    Operation("PATCH", _COMMIT, edit_commit_comment, scope="contents", tx="write", body=Text),
    Operation("DELETE", _COMMIT, delete_commit_comment, scope="contents", tx="write"),
)
