"""REST: comments on lines, to read. They come in with a review."""

from __future__ import annotations

from gitml_sandbox.forge import pulls, reviews
from gitml_sandbox.rest.call import Call, Operation, Reply, paged
from gitml_sandbox.rest.pulls import pull_of
from gitml_sandbox.rest.reviews import review_of
from gitml_sandbox.serial import pulls as json_of


def of_pull(call: Call) -> Reply:
    pull = pull_of(call)
    rows = reviews.conversation(call.view.tx, pull.id)
    return paged(call, rows, lambda r: json_of.review_comment(call.view, call.repo, pull, r))


def of_review(call: Call) -> Reply:
    pull = pull_of(call)
    rows = reviews.comments(call.view.tx, review_of(call, pull)["id"])
    return paged(call, rows, lambda r: json_of.review_comment(call.view, call.repo, pull, r))


def of_repository(call: Call) -> Reply:
    tx = call.view.tx
    rows = reviews.conversations(tx, call.repo.id)
    return paged(call, rows, lambda r: json_of.review_comment(call.view, call.repo, pulls.by_id(tx, r["pull_id"]), r))


def one(call: Call) -> Reply:
    tx = call.view.tx
    row = reviews.comment(tx, call.repo.id, call.number("comment_id"), call.view.viewer_id)
    return Reply(json_of.review_comment(call.view, call.repo, pulls.by_id(tx, row["pull_id"]), row))


_PULLS = "/repos/{owner}/{repo}/pulls"
_SCOPE = "pull-requests"
OPERATIONS = (
    Operation("GET", f"{_PULLS}/comments", of_repository, scope=_SCOPE),
    Operation("GET", f"{_PULLS}/comments/{{comment_id}}", one, scope=_SCOPE),
    Operation("GET", f"{_PULLS}/{{pull_number}}/comments", of_pull, scope=_SCOPE),
    Operation("GET", f"{_PULLS}/{{pull_number}}/reviews/{{review_id}}/comments", of_review, scope=_SCOPE),
)
