"""REST: labels of a repository, and on issues and pull requests."""

from __future__ import annotations

import sqlite3
from typing import Any

from gitml_sandbox.changes import announce
from gitml_sandbox.forge import issues
from gitml_sandbox.forge.refusals import forbidden, invalid, not_found
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, paged
from gitml_sandbox.serial import pulls as json_of


class Label(Body):
    name: str
    color: str | None = None
    description: str | None = None


class Names(Body):
    """An object with labels, or a bare list of names or of objects with a name."""

    labels: tuple[str | dict[str, Any], ...] = ()
    root: tuple[str | dict[str, Any], ...] = ()

    def names(self) -> list[str]:
        found = [n if isinstance(n, str) else n.get("name") for n in (*self.labels, *self.root)]
        if not all(isinstance(n, str) and n for n in found):
            raise invalid("Label", "name", "missing_field")
        return [str(n) for n in found]


# What is said and labelled on a pull request needs either permission, on an issue that of issues.
EITHER = "issues|pull-requests"


def permitted(call: Call, row: sqlite3.Row) -> sqlite3.Row:
    """The row, unless the token is for pull requests alone and this is none. Raises RefusalError 403."""
    token, level = call.caller.token if call.caller else None, "read" if call.method == "GET" else "write"
    wanted = "pull-requests" if row["is_pull"] else "issues"
    public_read = level == "read" and not call.repo.private
    allowed = token is None or public_read or token.allows("issues", level, call.repo.id)
    if not allowed and not (token and token.allows(wanted, level, call.repo.id)):
        raise forbidden("Resource not accessible by integration")
    return row


def issue_of(call: Call) -> sqlite3.Row:
    return permitted(call, issues.get(call.view.tx, call.repo.id, call.number("issue_number")))


def listing(call: Call) -> Reply:
    rows = issues.repo_labels(call.view.tx, call.repo.id)
    return paged(call, rows, lambda r: json_of.label(call.view, call.repo, r))


def create(call: Call) -> Reply:
    wanted = call.body(Label)
    row = issues.add_label(call.view.tx, call.repo.id, wanted.name, wanted.color, wanted.description)
    return created(json_of.label(call.view, call.repo, row))


def one(call: Call) -> Reply:
    row = issues.find_label(call.view.tx, call.repo.id, call.path["name"])
    if row is None:
        raise not_found()
    return Reply(json_of.label(call.view, call.repo, row))


def of_issue(call: Call) -> Reply:
    rows = issues.labels_of(call.view.tx, issue_of(call)["id"])
    return paged(call, rows, lambda r: json_of.label(call.view, call.repo, r))


def add(call: Call) -> Reply:
    view, row = call.view, issue_of(call)
    added = issues.put_labels(view.tx, row, call.body(Names).names())
    issues.touch(view.tx, row["id"], call.sandbox.now())
    announce.labels(view, row, added, "labeled", call.by)
    return Reply([json_of.label(view, call.repo, r) for r in issues.labels_of(view.tx, row["id"])])


def remove(call: Call) -> Reply:
    view, row = call.view, issue_of(call)
    gone = issues.drop_label(view.tx, row, call.path["name"])
    issues.touch(view.tx, row["id"], call.sandbox.now())
    announce.labels(view, row, [gone], "unlabeled", call.by)
    return Reply([json_of.label(view, call.repo, r) for r in issues.labels_of(view.tx, row["id"])])


_ONE = "/repos/{owner}/{repo}"
_ISSUE = f"{_ONE}/issues/{{issue_number}}/labels"
OPERATIONS = (
    Operation("GET", f"{_ONE}/labels", listing, scope="issues"),
    Operation("POST", f"{_ONE}/labels", create, scope="issues", role="write", tx="write", body=Label),
    Operation("GET", f"{_ONE}/labels/{{name}}", one, scope="issues"),
    Operation("GET", _ISSUE, of_issue, scope=EITHER),
    Operation("POST", _ISSUE, add, scope=EITHER, role="triage", tx="write", body=Names),
    Operation("DELETE", f"{_ISSUE}/{{name}}", remove, scope=EITHER, role="triage", tx="write"),
)
