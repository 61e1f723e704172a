"""What becomes of merge requests: merged, closed, pushed to by whom."""

from __future__ import annotations

from collections.abc import Iterator

from gitml.errors import FailedError, UsageError
from gitml.forges.base import OnPull, PullRequest
from gitml.forges.gitlab.comments import GitlabComments
from gitml.forges.gitlab.people import GitlabPeople
from gitml.forges.gitlab.pulls import GitlabPulls
from gitml.forges.gitlab.words import account, utc
from gitml.forges.governed import CommitIdentity, Merged, PullCommit, Pushed, Readiness
from gitml.forges.rest import Rest, Shape, word
from gitml.forges.words import co_authors
from gitml.http import HttpError, UnsureError

_ZERO = "0" * 40
_MANY = 2_000
# https://docs.gitlab.com/api/merge_requests/#merge-status; what is not here stands in the way by a rule.
_STATES: dict[str, tuple[bool | None, str]] = {
    "mergeable": (True, "clean"),
    "checking": (None, "unknown"),
    "unchecked": (None, "unknown"),
    "preparing": (None, "unknown"),
    "approvals_syncing": (None, "unknown"),
    "conflict": (False, "dirty"),
    "commits_status": (False, "dirty"),
    "draft_status": (True, "draft"),
    "need_rebase": (True, "behind"),
    "not_open": (None, "unknown"),
}
_KINDS = {"created": "branch_creation", "removed": "branch_deletion"}


class GitlabMerges:
    def __init__(self, rest: Rest, pulls: GitlabPulls, comments: GitlabComments, people: GitlabPeople) -> None:
        self._rest, self._pulls, self._comments, self._people = rest, pulls, comments, people

    def under(self, prefix: str) -> tuple[PullRequest, ...]:
        home = self._rest.repository.lower()
        return tuple(
            p for p in self._pulls.all_open() if p.head.branch.startswith(prefix) and p.head.repository.lower() == home
        )

    def readiness(self, number: int) -> Readiness:
        shape = self._rest.one("GET", f"merge_requests/{number}")
        mergeable, state = _STATES.get(shape.text_or("detailed_merge_status", default="checking"), (True, "blocked"))
        if state == "clean" and shape.text_or("head_pipeline", "status") in ("failed", "canceled"):
            state = "unstable"
        is_open = shape.text("state") == "opened"
        return Readiness(shape.text_or("sha"), mergeable, state, is_open, account(shape, "author"))

    def merge(self, number: int, head: str, *, method: str = "merge", title: str = "", message: str = "") -> str:
        if method == "rebase":
            hint = "let the project merge by fast-forward, or use merge or squash"
            raise UsageError("GitLab rebases by a setting of the project, not for one merge request", hint)
        words = "\n\n".join(part for part in (title, message) if part)
        body = {"sha": head, "squash": method == "squash"}
        body |= {"squash_commit_message" if method == "squash" else "merge_commit_message": words} if words else {}
        try:
            made = self._rest.one("PUT", f"merge_requests/{number}/merge", body, repeatable=False)
            return _commit_of(made)
        except UnsureError:
            # The answer was lost, not necessarily the merge.
            there = self.merged(number)
            if there is None:
                raise
            return there.commit
        except HttpError as exc:
            # 401 is what GitLab calls a merge that this account may not do.
            if exc.status not in (401, 405, 406, 409, 422):
                raise
            raise self._refusal(number, head, exc) from exc

    def _refusal(self, number: int, head: str, exc: HttpError) -> FailedError:
        shape = self._rest.one("GET", f"merge_requests/{number}")
        now, why = shape.text_or("sha"), shape.text_or("detailed_merge_status")
        if now != head:
            message = f"pull request {number} is at {now[:12]} by now, not at {head[:12]}: nothing was merged"
            return FailedError(message, "look at what came, and call it again")
        return FailedError(
            f"pull request {number} cannot be merged: {exc.message} ({why})", "see the merge request's page"
        )

    def merged(self, number: int) -> Merged | None:
        shape = self._rest.one("GET", f"merge_requests/{number}")
        if shape.text("state") != "merged":
            return None
        by = account(shape, "merge_user") if shape.has("merge_user") else account(shape, "merged_by")
        return Merged(_commit_of(shape), by, utc(shape.text("merged_at")))

    def close(self, number: int, comment: str = "") -> None:
        if self._rest.one("GET", f"merge_requests/{number}").text("state") != "opened":
            return
        if comment:
            self._comments.add(OnPull(number), comment)
        self._rest.call("PUT", f"merge_requests/{number}", {"state_event": "close"})

    def commits(self, number: int) -> tuple[PullCommit, ...]:
        found = [self._commit(s) for s in self._rest.pages(f"merge_requests/{number}/commits")]
        return tuple(reversed(found))

    def commit(self, commit: str) -> PullCommit:
        return self._commit(self._rest.one("GET", f"repository/commits/{word(commit)}"))

    def _commit(self, shape: Shape) -> PullCommit:
        message = shape.text("message").rstrip("\n")
        own = tuple(CommitIdentity(shape.text_or(f"{r}_name"), shape.text_or(f"{r}_email")) for r in _ROLES)
        author = self._people.of_address(own[0].email, shape.text("id"))
        committer = author if own[0].email == own[1].email else self._people.of_committer(own[1].email)
        claims = tuple(dict.fromkeys((*own, *co_authors(message))))
        return PullCommit(shape.text("id"), author, committer, claims, message)

    def pushes(self, branch: str, repository: str = "") -> tuple[Pushed, ...]:
        """GitLab keeps three years of them, of all branches in one list, and does not tell a forced push from others:
        that is looked up. Behind the first two thousand it is read until the branch was made."""
        home = f"/projects/{word(repository or self._rest.repository)}"
        found: list[Shape] = []
        for number, shape in enumerate(self._rest.pages(f"{home}/events", action="pushed")):
            if (shape.text_or("push_data", "ref"), shape.text_or("push_data", "ref_type")) == (branch, "branch"):
                found.append(shape)
            if number > _MANY and any(s.text_or("push_data", "action") == "created" for s in found):
                break
        found.sort(key=lambda s: s.number("id"), reverse=True)
        return tuple(self._pushed(home, shape) for shape in found)

    def _pushed(self, home: str, shape: Shape) -> Pushed:
        before = shape.text_or("push_data", "commit_from") or _ZERO
        after = shape.text_or("push_data", "commit_to") or _ZERO
        kind = _KINDS.get(shape.text("push_data", "action")) or self._kind(home, before, after)
        return Pushed(account(shape, "author"), before, after, utc(shape.text("created_at")), kind)

    def _kind(self, home: str, before: str, after: str) -> str:
        if any(_commit_of(s) == after for s in self._merged_as(home, after)):
            return "pr_merge"
        try:
            path = f"{home}/repository/merge_base?refs[]={before}&refs[]={after}"
            return "push" if self._rest.one("GET", path).text("id") == before else "force_push"
        except HttpError as exc:
            if exc.status not in (400, 404):
                raise
        return "force_push"

    def _merged_as(self, home: str, commit: str) -> Iterator[Shape]:
        pages = self._rest.pages(f"{home}/repository/commits/{commit}/merge_requests")
        return (s for s in pages if s.text("state") == "merged" and s.text_or("sha") != commit)


_ROLES = ("author", "committer")


def _commit_of(shape: Shape) -> str:
    """What a merge made: of a fast-forward, and of what reached the base by a push, the head itself."""
    return shape.text_or("merge_commit_sha") or shape.text_or("squash_commit_sha") or shape.text_or("sha")
