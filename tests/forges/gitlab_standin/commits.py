"""Commits, branches and files; statuses and discussions of commits."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from typing import Any

from forges.gitlab_standin import shapes
from forges.gitlab_standin.table import ID as _ID
from forges.gitlab_standin.table import REPOSITORY as _REPO
from forges.gitlab_standin.table import op
from forges.gitlab_standin.world import Ask, RefusedError
from gitml.forges.base import Status

_DRAFT = re.compile(r"^draft:\s*", re.I)


def _commit(ask: Ask, name: str = "") -> str:
    named = name or ask.path["sha"]
    host = ask.hub.session.host
    found = host.head("main", ask.project) if named == "HEAD" else None
    found = found or (named if host.history().find(named) else host.head(named, ask.project))
    if found is None:
        raise RefusedError(404, "404 Commit Not Found")
    return found


@op("GET", f"{_REPO}/commits/{{sha}}")
def one_commit(ask: Ask) -> Any:
    return shapes.commit(ask.hub.session.host.history().of(_commit(ask)))


@op("GET", f"{_REPO}/commits/{{sha}}/merge_requests")
def of_commit(ask: Ask) -> Any:
    name = _commit(ask)
    return [shapes.merge_request(ask, ask.state.pulls[p.number]) for p in ask.hub.pulls.of_commit(name)]


@op("GET", f"{_REPO}/commits/{{sha}}/statuses")
def statuses(ask: Ask) -> Any:
    every = ask.state.statuses.get(_commit(ask), [])
    newest = {status.context: shapes.status(ask, number, status) for number, status in enumerate(every, 1)}
    return list(newest.values())


@op("POST", f"{_ID}/statuses/{{sha}}")
def post_status(ask: Ask) -> Any:
    name, state = ask.body["name"], shapes.STATES.get(ask.body["state"], shapes.State.ERROR)
    said = [s for s in ask.state.statuses.get(_commit(ask), []) if s.context == name]
    if said and said[-1].state is state is shapes.State.PENDING:
        raise RefusedError(400, "Cannot transition status via :enqueue from :pending")
    wanted = Status(name, state, ask.body.get("description", ""), ask.body.get("target_url", ""))
    made = ask.hub.commits.post(_commit(ask), wanted)
    return shapes.status(ask, len(ask.state.statuses[_commit(ask)]), made)


@op("GET", f"{_REPO}/commits/{{sha}}/discussions")
def discussions(ask: Ask) -> Any:
    return ask.world.discussions.get(_commit(ask), [])


@op("POST", f"{_REPO}/commits/{{sha}}/discussions")
def discuss(ask: Ask) -> Any:
    talk = {"id": secrets.token_hex(20), "individual_note": False, "notes": [_said(ask)]}
    ask.world.discussions.setdefault(_commit(ask), []).append(talk)
    return talk


def _said(ask: Ask) -> dict[str, Any]:
    if not ask.body.get("body"):
        raise RefusedError(400, "400 Bad request - Note can't be blank")
    return shapes.note(ask, next(ask.world.numbers), ask.body["body"], ask.login, ask.now)


def _talk(ask: Ask) -> dict[str, Any]:
    for talk in ask.world.discussions.get(_commit(ask), []):
        if talk["id"] == ask.path["discussion_id"]:
            return talk
    raise RefusedError(404, "404 Discussion Not Found")


_TALK = f"{_REPO}/commits/{{sha}}/discussions/{{discussion_id}}/notes"


@op("POST", _TALK)
def reply(ask: Ask) -> Any:
    _talk(ask)["notes"].append(_said(ask))
    return _talk(ask)["notes"][-1]


@op("PUT", f"{_TALK}/{{note_id}}")
def edit_reply(ask: Ask) -> Any:
    (found,) = [n for n in _talk(ask)["notes"] if n["id"] == int(ask.path["note_id"])]
    found |= {"body": ask.body["body"], "updated_at": ask.now}
    return found


@op("DELETE", f"{_TALK}/{{note_id}}")
def delete_reply(ask: Ask) -> Any:
    talk = _talk(ask)
    talk["notes"] = [n for n in talk["notes"] if n["id"] != int(ask.path["note_id"])]
    if not talk["notes"]:
        ask.world.discussions[_commit(ask)].remove(talk)
    return None


@op("GET", f"{_REPO}/merge_base")
def merge_base(ask: Ask) -> Any:
    one, two = (_commit(ask, name) for name in ask.query["refs[]"])
    history = ask.hub.session.host.history()
    found = history.find(history.merge_base(one, two))
    if found is None:
        raise RefusedError(404, "404 Merge Base Not Found")
    return shapes.commit(found)


@op("GET", f"{_REPO}/branches/{{branch}}")
def branch(ask: Ask) -> Any:
    head = ask.hub.session.host.head(ask.path["branch"], ask.project)
    if head is None:
        raise RefusedError(404, "404 Branch Not Found")
    return shapes.branch(ask, ask.path["branch"], head)


@op("GET", f"{_REPO}/files/{{file_path}}")
def file(ask: Ask) -> Any:
    content = ask.hub.commits.file(ask.path["file_path"], _commit(ask, ask.one("ref", "HEAD")))
    if content is None:
        raise RefusedError(404, "404 File Not Found")
    return {"file_path": ask.path["file_path"], "encoding": "base64", "content": b64encode(content).decode()}
