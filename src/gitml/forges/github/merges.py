"""What becomes of pull requests: merged, closed, pushed to by whom."""

from __future__ import annotations

from gitml.errors import FailedError
from gitml.forges.base import OnPull, PullRequest
from gitml.forges.github.comments import GithubComments
from gitml.forges.github.people import account
from gitml.forges.github.pulls import pull_of
from gitml.forges.governed import Account, CommitIdentity, Merged, PullCommit, Pushed, Readiness
from gitml.forges.rest import Rest, Shape, word
from gitml.forges.words import co_authors
from gitml.http import HttpError, UnsureError

_NOBODY = Account("", 0)


class GithubMerges:
    def __init__(self, rest: Rest) -> None:
        self._rest = rest

    def under(self, prefix: str) -> tuple[PullRequest, ...]:
        found = (pull_of(s) for s in self._rest.pages("pulls", state="open"))
        home = self._rest.repository.lower()
        mine = [p for p in found if p.head.branch.startswith(prefix) and p.head.repository.lower() == home]
        return tuple(sorted(mine, key=lambda p: p.number))

    def readiness(self, number: int) -> Readiness:
        shape = self._rest.one("GET", f"pulls/{number}")
        return Readiness(
            head=shape.text("head", "sha"),
            mergeable=shape.flag_or_none("mergeable"),
            state=shape.text_or("mergeable_state", default="unknown"),
            is_open=shape.text("state") == "open",
            author=account(shape, "user"),
        )

    def merge(self, number: int, head: str, *, method: str = "merge", title: str = "", message: str = "") -> str:
        body = {"sha": head, "merge_method": method}
        body |= {k: v for k, v in {"commit_title": title, "commit_message": message}.items() if v}
        try:
            return self._rest.one("PUT", f"pulls/{number}/merge", body, repeatable=False).text("sha")
        except UnsureError:
            # The answer was lost, not necessarily the merge.
            there = self.merged(number)
            if there is None:
                raise
            return there.commit
        except HttpError as exc:
            if exc.status not in (405, 409, 422):
                raise
            raise self._refusal(number, head, exc) from exc

    def _refusal(self, number: int, head: str, exc: HttpError) -> FailedError:
        now = self.readiness(number).head
        if now != head:
            message = f"pull request {number} is at {now[:12]} by now, not at {head[:12]}: nothing was merged"
            return FailedError(message, "look at what came, and call it again")
        return FailedError(f"pull request {number} cannot be merged: {exc.message}", "see the pull request's page")

    def merged(self, number: int) -> Merged | None:
        shape = self._rest.one("GET", f"pulls/{number}")
        if not shape.text_or("merged_at"):
            return None
        return Merged(shape.text_or("merge_commit_sha"), account(shape, "merged_by"), shape.text("merged_at"))

    def close(self, number: int, comment: str = "") -> None:
        if self._rest.one("GET", f"pulls/{number}").text("state") != "open":
            return
        if comment:
            GithubComments(self._rest).add(OnPull(number), comment)
        self._rest.call("PATCH", f"pulls/{number}", {"state": "closed"})

    def commits(self, number: int) -> tuple[PullCommit, ...]:
        told = self._rest.one("GET", f"pulls/{number}").number("commits")
        found = tuple(_commit(s) for s in self._rest.pages(f"pulls/{number}/commits"))
        if len(found) < told:
            raise HttpError(
                f"pull request {number} has {told} commits, of which the forge shows {len(found)}",
                "squash it, or make several pull requests of it",
            )
        return found

    def commit(self, commit: str) -> PullCommit:
        return _commit(self._rest.one("GET", f"commits/{word(commit)}"))

    def pushes(self, branch: str, repository: str = "") -> tuple[Pushed, ...]:
        home = f"/repos/{repository or self._rest.repository}"
        return tuple(_pushed(s) for s in self._rest.pages(f"{home}/activity", ref=f"refs/heads/{branch}"))


def _commit(shape: Shape) -> PullCommit:
    message = shape.text("commit", "message")
    roles = ("author", "committer")
    own = tuple(CommitIdentity(shape.text_or("commit", r, "name"), shape.text_or("commit", r, "email")) for r in roles)
    author, committer = (account(shape, role) for role in roles)
    return PullCommit(
        commit=shape.text("sha"),
        author=author if author != _NOBODY else None,
        committer=committer if committer != _NOBODY else None,
        claims=tuple(dict.fromkeys((*own, *co_authors(message)))),
        message=message,
    )


def _pushed(shape: Shape) -> Pushed:
    return Pushed(
        by=account(shape, "actor"),
        before=shape.text("before"),
        after=shape.text("after"),
        time=shape.text("timestamp"),
        kind=shape.text("activity_type"),
    )
