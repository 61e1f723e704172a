"""REST: reviews of pull requests, and who is asked for one."""

from __future__ import annotations

import sqlite3
from typing import Any, Literal

from gitml_sandbox.changes import announce
from gitml_sandbox.forge import access, protections, pulls, push_policy, repos, reviews, users
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.refusals import RefusalError, forbidden, invalid, unprocessable
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, paged
from gitml_sandbox.rest.pulls import pull_of
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial import pulls as json_of


class Comment(Body):
    path: str
    body: str
    line: int | None = None
    position: int | None = None
    side: str | None = None


class NewReview(Body):
    body: str | None = None
    event: Literal["APPROVE", "REQUEST_CHANGES", "COMMENT", ""] = ""
    commit_id: str | None = None
    comments: tuple[Comment, ...] = ()


class Submission(Body):
    event: Literal["APPROVE", "REQUEST_CHANGES", "COMMENT"]
    body: str | None = None


class ReviewText(Body):
    body: str


class Dismissal(Body):
    message: str
    event: Literal["DISMISS"] | None = None


class Reviewers(Body):
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()


def _show(call: Call, pull: Pull, row: sqlite3.Row) -> dict[str, Any]:
    return json_of.review(call.view, call.repo, pull, row)


def listing(call: Call) -> Reply:
    pull = pull_of(call)
    rows = reviews.listing(call.view.tx, pull.id, call.view.viewer_id)
    return paged(call, rows, lambda r: _show(call, pull, r))


def create(call: Call) -> Reply:
    view, wanted, pull = call.view, call.body(NewReview), pull_of(call)
    _may_say(call, wanted.event)
    new = reviews.New(
        event=wanted.event,
        body=wanted.body or "",
        commit_id=_commit(call, pull, wanted.commit_id),
        comments=[c.model_dump() for c in wanted.comments],
    )
    row = reviews.submit(view.tx, pull, new, call.by, call.sandbox.now())
    if wanted.event:
        announce.review(view, pulls.by_id(view.tx, pull.id), row, "submitted", call.by)
    return Reply(_show(call, pull, row))


def _may_say(call: Call, event: str) -> None:
    """Jobs approve only where the repository lets them."""
    allowed = call.repo.settings.get("can_approve_pull_request_reviews", False)
    if call.by_job and event == "APPROVE" and not allowed:
        raise forbidden("GitHub Actions is not permitted to create or approve pull requests.")


def review_of(call: Call, pull: Pull) -> sqlite3.Row:
    """The review that the URL names; somebody else's pending one is not there."""
    return reviews.get(call.view.tx, pull, call.number("review_id"), call.view.viewer_id)


def one(call: Call) -> Reply:
    pull = pull_of(call)
    return Reply(_show(call, pull, review_of(call, pull)))


def submit(call: Call) -> Reply:
    view, wanted, pull = call.view, call.body(Submission), pull_of(call)
    _may_say(call, wanted.event)
    row = reviews.finish(
        view.tx, pull, review_of(call, pull), event=wanted.event, body=wanted.body, by=call.by, now=call.sandbox.now()
    )
    announce.review(view, pulls.by_id(view.tx, pull.id), row, "submitted", call.by)
    return Reply(_show(call, pull, row))


def edit(call: Call) -> Reply:
    view, pull = call.view, pull_of(call)
    before = review_of(call, pull)
    row = reviews.edit(view.tx, pull, before, body=call.body(ReviewText).body, by=call.by)
    if row["state"] != "PENDING":
        announce.review(view, pull, row, "edited", call.by)
    return Reply(_show(call, pull, row))


def discard(call: Call) -> Reply:
    pull = pull_of(call)
    row = review_of(call, pull)
    shown = _show(call, pull, row)
    reviews.discard(call.view.tx, row)
    return Reply(shown)


def _commit(call: Call, pull: Pull, name: str | None) -> str | None:
    """The commit that was looked at must be one of the pull request's."""
    if name is None:
        return None
    bare = repos.path(call.sandbox, call.repo)
    sha = gitrepo.resolve(bare, name) if len(name) == 40 and name.isalnum() else None
    ours = sha is not None and (
        sha == pull.head_sha or _was_head(call, pull, sha) or gitrepo.is_ancestor(bare, sha, pull.head_sha)
    )
    if not ours:
        raise unprocessable("Unprocessable Entity", "commit_id is not part of the pull request")
    return sha


def _was_head(call: Call, pull: Pull, sha: str) -> bool:
    """A force push leaves heads behind that no branch holds any more; the events remember them."""
    rows = call.view.tx.execute(
        "SELECT 1 FROM events WHERE repo_id = ? AND name = 'pull_request' AND sha = ? AND"
        " json_extract(payload, '$.number') = ?",
        (pull.repo_id, sha, pull.number),
    )
    return rows.fetchone() is not None


def dismiss(call: Call) -> Reply:
    view, pull = call.view, pull_of(call)
    row = review_of(call, pull)
    message = call.body(Dismissal).message
    if not message.strip():
        raise invalid("PullRequestReview", "message", "missing_field")
    _may_dismiss(call, pull)
    gone = reviews.dismiss(view.tx, row, message=message, by=call.by, now=call.sandbox.now())
    announce.review(view, pull, gone, "dismissed", call.by)
    return Reply(_show(call, pull, gone))


def _may_dismiss(call: Call, pull: Pull) -> None:
    """Writers may, or on a protected branch those whom it names; administrators always."""
    rule = protections.find(call.view.tx, call.repo.id, pull.base_ref)
    wanted = rule.required_pull_request_reviews if rule else None
    role = access.role(call.view.tx, call.repo, call.by.user.id, call.by.token)
    if wanted is None or wanted.dismissal_restrictions is None or role == "admin":
        return
    if not push_policy.listed(call.view.tx, call.repo, wanted.dismissal_restrictions, call.by.user):
        raise forbidden("Must be on the list of who may dismiss reviews of this branch.")


def requested(call: Call) -> Reply:
    return Reply(_requested(call, pull_of(call)))


def _requested(call: Call, pull: Pull) -> dict[str, Any]:
    view = call.view
    return {
        "users": [people_json.user_id(view, u) for u in pulls.requested_users(view.tx, pull.id)],
        "teams": [people_json.team(view, t) for t in pulls.requested_teams(view.tx, pull.id)],
    }


def request(call: Call) -> Reply:
    view, wanted, pull = call.view, call.body(Reviewers), pull_of(call)
    before = set(pulls.requested_users(view.tx, pull.id))
    people = [_reviewer(call, pull, login) for login in wanted.reviewers]
    teams = [_team(call, slug) for slug in wanted.team_reviewers]
    pulls.request_reviews(view.tx, pull, [p.id for p in people], [t["id"] for t in teams])
    for who in people:
        if who.id not in before:
            announce.pull(view, pull, "review_requested", call.by, requested_reviewer=people_json.user(view, who))
    for team in teams:
        announce.pull(view, pull, "review_requested", call.by, requested_team=people_json.team(view, team))
    return Reply(json_of.pull_simple(view, call.repo, pulls.by_id(view.tx, pull.id)), 201)


def _reviewer(call: Call, pull: Pull, login: str) -> users.User:
    who = users.find(call.view.tx, login)
    if who is not None and who.id == pull.author_id:
        raise RefusalError(422, "Review cannot be requested from pull request author.")
    level = repos.permission(call.view.tx, call.repo, who.id) if who else "none"
    named = "SELECT 1 FROM collaborators WHERE repo_id = ? AND user_id = ?"
    known = who and (repos.at_least(level, "triage") or call.view.tx.execute(named, (call.repo.id, who.id)).fetchone())
    if who is None or not known:
        words = "Reviews may only be requested from collaborators. One or more of the users or teams you specified"
        raise RefusalError(422, f"{words} is not a collaborator of the {call.repo.full_name} repository.")
    return who


def _team(call: Call, slug: str) -> sqlite3.Row:
    row: sqlite3.Row | None = call.view.tx.execute(
        "SELECT * FROM teams WHERE org_id = ? AND slug = ?", (call.repo.owner_id, slug)
    ).fetchone()
    if row is None:
        raise RefusalError(422, f"{slug} is no team of {call.repo.owner}")
    return row


_ONE = "/repos/{owner}/{repo}/pulls/{pull_number}"
_REVIEW = f"{_ONE}/reviews/{{review_id}}"
_SCOPE = "pull-requests"
OPERATIONS = (
    Operation("GET", f"{_ONE}/reviews", listing, scope=_SCOPE),
    Operation("POST", f"{_ONE}/reviews", create, scope=_SCOPE, tx="write", body=NewReview),
    Operation("GET", _REVIEW, one, scope=_SCOPE),
    Operation("PUT", _REVIEW, edit, scope=_SCOPE, tx="write", body=ReviewText),
    Operation("DELETE", _REVIEW, discard, scope=_SCOPE, tx="write"),
    Operation("POST", f"{_REVIEW}/events", submit, scope=_SCOPE, tx="write", body=Submission),
    Operation(
        "PUT",
        f"{_REVIEW}/dismissals",
        dismiss,
        scope=_SCOPE,
        role="write",
        tx="write",
        body=Dismissal,
    ),
    Operation("GET", f"{_ONE}/requested_reviewers", requested, scope=_SCOPE),
    Operation("POST", f"{_ONE}/requested_reviewers", request, scope=_SCOPE, role="write", tx="write", body=Reviewers),
)
