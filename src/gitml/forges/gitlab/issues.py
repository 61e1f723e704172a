"""Issues of a project."""

from __future__ import annotations

from gitml.forges.base import ForgeIssue
from gitml.forges.rest import Rest, Shape


class GitlabIssues:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def labelled(self, label: str) -> tuple[ForgeIssue, ...]:
        found = self._rest.pages("issues", labels=label, scope="all", order_by="created_at", sort="desc")
        return tuple(map(_issue, found))

    def open(self, title: str, body: str, label: str) -> ForgeIssue:
        """Not repeated: an answer that was lost may have opened it."""
        told = {"title": title, "description": body, "labels": label}
        return _issue(self._rest.one("POST", "issues", told, repeatable=False))


def _issue(shape: Shape) -> ForgeIssue:
    is_open = shape.text("state") == "opened"
    words = shape.text("title"), shape.text("web_url")
    return ForgeIssue(shape.number("iid"), *words, is_open, shape.text_or("description"))
