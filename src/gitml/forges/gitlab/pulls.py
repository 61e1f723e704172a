"""Merge requests, as pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gitml.forges.base import ChangedFile, LabelPut, NewPull, PullRequest, Side
from gitml.forges.gitlab.words import utc
from gitml.forges.rest import Rest, Shape, absent_is_none, word
from gitml.http import HttpError, UnsureError

_DRAFT = re.compile(r"^\s*(?:\[draft\]|\(draft\)|draft:|draft -)\s*", re.I)


class GitlabPulls:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._projects: dict[int, str] = {}

    def of_branch(self, branch: str, owner: str = "", *, closed: bool = False) -> tuple[PullRequest, ...]:
        query = {"source_branch": branch} | ({} if closed else {"state": "opened"})
        found = [p for p in self._all(**query) if p.head.branch == branch]
        home = self._rest.repository
        if owner and owner.lower() != _owner(home):
            return tuple(p for p in found if _owner(p.head.repository) == owner.lower())
        return tuple(p for p in found if p.head.repository.lower() == home.lower())

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        return self._told(self._rest.pages(f"repository/commits/{commit}/merge_requests"))

    def get(self, number: int) -> PullRequest:
        (found,) = self._told([self._rest.one("GET", f"merge_requests/{number}")])
        return found

    def all_open(self) -> tuple[PullRequest, ...]:
        return self._all(state="opened")

    def _all(self, **query: str) -> tuple[PullRequest, ...]:
        return self._told(self._rest.pages("merge_requests", **query))

    def _told(self, shapes: Iterable[Shape]) -> tuple[PullRequest, ...]:
        tips: dict[str, str] = {}
        found = [self._pull(shape, tips) for shape in shapes]
        return tuple(sorted(found, key=lambda p: p.number))

    def _pull(self, shape: Shape, tips: dict[str, str]) -> PullRequest:
        is_open = shape.text("state") in ("opened", "locked")
        base = shape.text("target_branch")
        if is_open and base not in tips:
            tips[base] = self._tip(base)
        started = shape.text_or("diff_refs", "start_sha")
        return PullRequest(
            number=shape.number("iid"),
            title=_DRAFT.sub("", shape.text_or("title")),
            url=shape.text("web_url"),
            author=shape.text_or("author", "username"),
            head=Side(
                self._project(shape.number_or("source_project_id")), shape.text("source_branch"), shape.text_or("sha")
            ),
            base=Side(self._rest.repository, base, tips[base] if is_open else started),
            is_open=is_open,
            is_draft=shape.flag("draft"),
            is_merged=shape.text("state") == "merged",
            labels=shape.words("labels"),
            body=shape.text_or("description"),
        )

    def _tip(self, branch: str) -> str:
        with absent_is_none():
            return self._rest.one("GET", f"repository/branches/{word(branch)}").text("commit", "id")
        return ""

    def _project(self, number: int) -> str:
        """The path of a project; empty when it is gone, or not to be seen."""
        if not self._projects:
            mine = self._rest.one("GET", "")
            self._projects[mine.number("id")] = mine.text("path_with_namespace")
        if number and number not in self._projects:
            with absent_is_none(403):
                self._projects[number] = self._rest.one("GET", f"/projects/{number}").text("path_with_namespace")
        return self._projects.get(number, "")

    def files(self, number: int) -> tuple[ChangedFile, ...]:
        return tuple(_file(s) for s in self._rest.pages(f"merge_requests/{number}/diffs"))

    def open(self, new: NewPull) -> PullRequest:
        body = {
            "title": f"Draft: {new.title}" if new.draft else new.title,
            "source_branch": new.head,
            "target_branch": new.base,
            "description": new.body,
        }
        try:
            made = self._rest.one("POST", "merge_requests", body, repeatable=False)
        except HttpError as exc:
            # Lost on the way, or there is one already: either way it can be looked up.
            if not isinstance(exc, UnsureError) and exc.status not in (409, 422):
                raise
            there = [p for p in self.of_branch(new.head) if p.base.branch == new.base]
            if there:
                return there[0]
            raise
        return self.get(made.number("iid"))

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> PullRequest:
        wanted: dict[str, Any] = {} if body is None else {"description": body}
        if title is not None:
            draft = self._rest.one("GET", f"merge_requests/{number}").flag("draft")
            wanted["title"] = f"Draft: {title}" if draft else title
        self._rest.call("PUT", f"merge_requests/{number}", wanted)
        return self.get(number)

    def ready(self, number: int) -> PullRequest:
        found = self._rest.one("GET", f"merge_requests/{number}")
        if found.flag("draft"):
            title = found.text("title")
            while _DRAFT.match(title):
                title = _DRAFT.sub("", title)
            self._rest.call("PUT", f"merge_requests/{number}", {"title": title})
        return self.get(number)

    def label(self, number: int, labels: Sequence[str]) -> None:
        self._rest.call("PUT", f"merge_requests/{number}", {"add_labels": ",".join(labels)})

    def labelled(self, number: int) -> tuple[LabelPut, ...]:
        events = (s for s in self._rest.pages(f"merge_requests/{number}/resource_label_events"))
        puts = [
            LabelPut(s.text_or("label", "name"), s.text_or("user", "username"), utc(s.text("created_at")))
            for s in events
            if s.text("action") == "add"
        ]
        return tuple(sorted(puts, key=lambda one: one.time))


def _owner(repository: str) -> str:
    """The group or person a project lies with, small."""
    return repository.rpartition("/")[0].lower()


def _file(shape: Shape) -> ChangedFile:
    kinds = {"new_file": "added", "deleted_file": "removed", "renamed_file": "renamed"}
    change = next((said for flag, said in kinds.items() if shape.flag(flag)), "modified")
    before = shape.text("old_path")
    return ChangedFile(shape.text("new_path"), change, before if change == "renamed" else "")
