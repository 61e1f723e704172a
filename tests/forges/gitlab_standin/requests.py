"""Merge requests: their notes, approvals, versions, merges."""

from __future__ import annotations

import re
from typing import Any

from forges.gitlab_standin import shapes
from forges.gitlab_standin.shapes import record_of
from forges.gitlab_standin.table import ID as _ID
from forges.gitlab_standin.table import MR as _MR
from forges.gitlab_standin.table import op
from forges.gitlab_standin.world import Ask, RefusedError
from gitml.errors import FailedError
from gitml.forges.base import NewPull, OnPull
from gitml.forges.governed import Reviewers

_DRAFT = re.compile(r"^draft:\s*", re.I)


@op("GET", f"{_ID}/merge_requests")
def merge_requests(ask: Ask) -> Any:
    ask.hub.pulls.all_open()
    found = [shapes.merge_request(ask, record) for record in ask.state.pulls.values()]
    state, source = ask.one("state"), ask.one("source_branch")
    return [f for f in found if state in ("", f["state"]) and source in ("", f["source_branch"])][::-1]


@op("POST", f"{_ID}/merge_requests")
def create_merge_request(ask: Ask) -> Any:
    source, target, title = ask.body["source_branch"], ask.body["target_branch"], ask.body["title"]
    for record in ask.state.pulls.values():
        sides = (record.pull.head.repository, record.pull.head.branch, record.pull.base.branch)
        if record.pull.is_open and sides == (ask.project, source, target):
            raise RefusedError(
                409, [f"Another open merge request already exists for this source branch: !{record.pull.number}"]
            )
    new = NewPull(_DRAFT.sub("", title), source, target, ask.body.get("description") or "", bool(_DRAFT.match(title)))
    made = ask.hub.pulls.open(new)
    return shapes.merge_request(ask, ask.state.pulls[made.number], whole=True)


@op("GET", _MR)
def one_merge_request(ask: Ask) -> Any:
    return shapes.merge_request(ask, record_of(ask), whole=True)


@op("PUT", _MR)
def change_merge_request(ask: Ask) -> Any:
    record, body, hub = record_of(ask), ask.body, ask.hub
    title = body.get("title")
    if title is not None or "description" in body:
        plain = None if title is None else _DRAFT.sub("", title)
        hub.pulls.edit(ask.iid, title=plain, body=body.get("description"))
    if title is not None:
        hub.acts.draft(ask.iid, yes=bool(_DRAFT.match(title)))
    if body.get("add_labels"):
        hub.pulls.label(ask.iid, body["add_labels"].split(","))
    if body.get("state_event") == "close":
        hub.merges.close(ask.iid)
    if "reviewer_ids" in body:
        logins = [a.person.login for a in ask.state.accounts.values() if a.person.id in body["reviewer_ids"]]
        kept = logins if ask.world.premium else logins[:1]
        hub.reviews.ask(ask.iid, Reviewers(tuple(kept)))
    return shapes.merge_request(ask, ask.state.pulls[record.pull.number], whole=True)


@op("PUT", f"{_MR}/merge")
def merge(ask: Ask) -> Any:
    record, body = record_of(ask), ask.body
    if body.get("sha") and body["sha"] != record.pull.head.commit:
        raise RefusedError(409, f"SHA does not match HEAD of source branch: {record.pull.head.commit}")
    if not ask.hub.session.may("write"):
        raise RefusedError(401, "401 Unauthorized")
    if shapes.refusals(ask, record):
        raise RefusedError(405, "405 Method Not Allowed")
    method = "squash" if body.get("squash") else "merge"
    words = body.get("squash_commit_message" if body.get("squash") else "merge_commit_message") or ""
    title, _, message = words.partition("\n\n")
    try:
        ask.hub.merges.merge(ask.iid, record.pull.head.commit, method=method, title=title, message=message)
    except FailedError as exc:
        raise RefusedError(405, "405 Method Not Allowed") from exc
    return shapes.merge_request(ask, ask.state.pulls[ask.iid], whole=True)


@op("GET", f"{_MR}/diffs")
def diffs(ask: Ask) -> Any:
    record_of(ask)
    return [
        {
            "old_path": file.before or file.path,
            "new_path": file.path,
            "new_file": file.change == "added",
            "renamed_file": file.change == "renamed",
            "deleted_file": file.change == "removed",
        }
        for file in ask.hub.pulls.files(ask.iid)
    ]


@op("GET", f"{_MR}/commits")
def merge_request_commits(ask: Ask) -> Any:
    record_of(ask)
    history = ask.hub.session.host.history()
    return [shapes.commit(history.of(c.commit)) for c in ask.hub.merges.commits(ask.iid)][::-1]


@op("GET", f"{_MR}/versions")
def merge_request_versions(ask: Ask) -> Any:
    return shapes.versions(ask)


@op("GET", f"{_MR}/approvals")
def merge_request_approvals(ask: Ask) -> Any:
    record_of(ask)
    return {"approved": bool(found := shapes.approving(ask)), "approved_by": found}


@op("GET", f"{_MR}/reviewers")
def reviewers(ask: Ask) -> Any:
    return [{"user": ask.person(login), "state": "unreviewed"} for login in record_of(ask).asked.people]


@op("GET", f"{_MR}/resource_label_events")
def label_events(ask: Ask) -> Any:
    puts = record_of(ask).labelled
    return [
        {"id": n, "action": "add", "label": {"name": p.label}, "user": ask.person(p.by), "created_at": p.time}
        for n, p in enumerate(puts, 1)
    ]


@op("GET", f"{_MR}/notes")
def notes(ask: Ask) -> Any:
    return sorted(shapes.notes(ask), key=lambda n: -n["id"])


@op("POST", f"{_MR}/notes")
def add_note(ask: Ask) -> Any:
    record_of(ask)
    made = ask.hub.comments.add(OnPull(ask.iid), ask.body["body"])
    return shapes.note(ask, made.id, made.body, made.author, made.created, made.updated)


@op("PUT", f"{_MR}/notes/{{note_id}}")
def edit_note(ask: Ask) -> Any:
    made = ask.hub.comments.edit(OnPull(ask.iid), int(ask.path["note_id"]), ask.body["body"])
    if made is None:
        raise RefusedError(404, "404 Note Not Found")
    return shapes.note(ask, made.id, made.body, made.author, made.created, made.updated)


@op("DELETE", f"{_MR}/notes/{{note_id}}")
def delete_note(ask: Ask) -> Any:
    number = int(ask.path["note_id"])
    if number not in {c.id for c in ask.hub.comments.list(OnPull(ask.iid))}:
        raise RefusedError(404, "404 Note Not Found")
    ask.hub.comments.delete(OnPull(ask.iid), number)
    return None
