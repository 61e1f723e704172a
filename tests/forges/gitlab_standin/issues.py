"""Issues of the project."""

from __future__ import annotations

from typing import Any

from forges.gitlab_standin.table import ID, op
from forges.gitlab_standin.world import Ask
from gitml.forges.base import ForgeIssue


@op("GET", f"{ID}/issues")
def issues(ask: Ask) -> Any:
    return [_shape(one) for one in ask.hub.issues.labelled(ask.one("labels"))]


@op("POST", f"{ID}/issues")
def open_issue(ask: Ask) -> Any:
    return _shape(ask.hub.issues.open(ask.body["title"], ask.body.get("description", ""), ask.body["labels"]))


def _shape(one: ForgeIssue) -> dict[str, Any]:
    state = "opened" if one.is_open else "closed"
    return {"iid": one.number, "title": one.title, "description": one.body, "web_url": one.url, "state": state}
