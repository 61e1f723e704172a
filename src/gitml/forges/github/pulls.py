"""Pull requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gitml.forges.base import ChangedFile, LabelPut, NewPull, PullRequest, Side
from gitml.forges.github.rest import GithubRest
from gitml.forges.rest import Shape
from gitml.http import HttpError, UnsureError

_READY = "mutation($id: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $id}) { pullRequest { isDraft } } }"


class GithubPulls:
    def __init__(self, rest: GithubRest) -> None:
        self._rest = rest

    def of_branch(self, branch: str, owner: str = "", *, closed: bool = False) -> tuple[PullRequest, ...]:
        home = self._rest.repository
        head = f"{owner or home.partition('/')[0]}:{branch}"
        found = (pull_of(s) for s in self._rest.pages("pulls", state="all" if closed else "open", head=head))
        # A server that does not know the filter answers with all of them.
        same = [p for p in found if p.head.branch == branch and _owner(p) == (owner or home.partition("/")[0]).lower()]
        if not owner:
            same = [p for p in same if p.head.repository.lower() == home.lower()]
        return tuple(sorted(same, key=lambda p: p.number))

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        return tuple(pull_of(s) for s in self._rest.pages(f"commits/{commit}/pulls"))

    def get(self, number: int) -> PullRequest:
        return pull_of(self._rest.one("GET", f"pulls/{number}"))

    def all_open(self) -> tuple[PullRequest, ...]:
        found = (pull_of(s) for s in self._rest.pages("pulls", state="open"))
        return tuple(sorted(found, key=lambda p: p.number))

    def files(self, number: int) -> tuple[ChangedFile, ...]:
        return tuple(
            ChangedFile(s.text("filename"), s.text("status"), s.text_or("previous_filename"))
            for s in self._rest.pages(f"pulls/{number}/files")
        )

    def open(self, new: NewPull) -> PullRequest:
        body = {"title": new.title, "head": new.head, "base": new.base, "body": new.body, "draft": new.draft}
        try:
            return pull_of(self._rest.one("POST", "pulls", body, repeatable=False))
        except HttpError as exc:
            # Lost on the way, or there is one already: either way it can be looked up.
            if not isinstance(exc, UnsureError) and exc.status != 422:
                raise
            there = [p for p in self.of_branch(new.head) if p.base.branch == new.base]
            if there:
                return there[0]
            # Private repositories of some plans have none, and say so in words alone.
            if new.draft and "draft" in exc.message.lower():
                return self.open(replace(new, draft=False))
            raise

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> PullRequest:
        wanted: dict[str, Any] = {k: v for k, v in {"title": title, "body": body}.items() if v is not None}
        return pull_of(self._rest.one("PATCH", f"pulls/{number}", wanted))

    def ready(self, number: int) -> PullRequest:
        found = self._rest.one("GET", f"pulls/{number}")
        if not found.flag("draft"):
            return pull_of(found)
        # REST has no operation for it.
        self._rest.graphql(_READY, id=found.text("node_id"))
        return self.get(number)

    def label(self, number: int, labels: Sequence[str]) -> None:
        self._rest.call("POST", f"issues/{number}/labels", {"labels": list(labels)})

    def labelled(self, number: int) -> tuple[LabelPut, ...]:
        events = (s for s in self._rest.pages(f"issues/{number}/events") if s.text_or("event") == "labeled")
        found = (LabelPut(s.text("label", "name"), s.text_or("actor", "login"), s.text("created_at")) for s in events)
        return tuple(sorted(found, key=lambda one: one.time))


def _owner(pull: PullRequest) -> str:
    return pull.head.repository.partition("/")[0].lower()


def _side(shape: Shape, side: str) -> Side:
    return Side(shape.text_or(side, "repo", "full_name"), shape.text(side, "ref"), shape.text(side, "sha"))


def pull_of(shape: Shape) -> PullRequest:
    return PullRequest(
        number=shape.number("number"),
        title=shape.text_or("title"),
        url=shape.text("html_url"),
        author=shape.text_or("user", "login"),
        head=_side(shape, "head"),
        base=_side(shape, "base"),
        is_open=shape.text("state") == "open",
        is_draft=shape.flag("draft"),
        is_merged=bool(shape.text_or("merged_at")),
        labels=tuple(label.text("name") for label in shape.objects("labels")),
        body=shape.text_or("body"),
    )
