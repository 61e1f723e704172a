"""Issues. GitHub lists pull requests among them."""

from __future__ import annotations

from gitml.forges.base import ForgeIssue
from gitml.forges.rest import Rest, Shape


class GithubIssues:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def labelled(self, label: str) -> tuple[ForgeIssue, ...]:
        found = self._rest.pages("issues", labels=label, state="all", sort="created", direction="desc")
        return tuple(_issue(one) for one in found if not one.has("pull_request"))

    def open(self, title: str, body: str, label: str) -> ForgeIssue:
        """A label that is not there is made by this. Not repeated: an answer that was lost may have opened it."""
        told = {"title": title, "body": body, "labels": [label]}
        return _issue(self._rest.one("POST", "issues", told, repeatable=False))


def _issue(shape: Shape) -> ForgeIssue:
    words = shape.text("title"), shape.text("html_url")
    return ForgeIssue(shape.number("number"), *words, shape.text("state") == "open", shape.text_or("body"))
