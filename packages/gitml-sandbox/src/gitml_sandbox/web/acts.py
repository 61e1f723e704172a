"""What the forms of a pull request do: each is an operation of the REST API, with its rules and its events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

from gitml_sandbox.changes.merge import HEAD_MOVED
from gitml_sandbox.forge import judging, pulls, repos, reviews
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.refusals import RefusalError, conflict, forbidden, not_found, unprocessable
from gitml_sandbox.rest import issues as rest_issues
from gitml_sandbox.rest import pulls as rest_pulls
from gitml_sandbox.rest import reviews as rest_reviews
from gitml_sandbox.rest.call import Call, Handler, Operation, Reply
from gitml_sandbox.web.serve import Visit, perform


def operation(table: Sequence[Operation], handler: Handler) -> Operation:
    """The row of a table of operations that has this handler."""
    return next(row for row in table if row.handler is handler)


def act(visit: Visit) -> str:
    """Do what the button ``do`` says; returns the page to go to."""
    chosen = _ACTS.get(visit.form.get("do", ""))
    if chosen is None:
        raise RefusalError(400, "This form says nothing that can be done.")
    return chosen(visit, visit.number("number"))


def _page(visit: Visit, number: int, anchor: str = "") -> str:
    return f"{visit.home}/pull/{number}{anchor}"


def _pull(visit: Visit, number: int) -> Pull:
    with visit.sandbox.store.read() as tx:
        return pulls.get(tx, visit.repo.id, number)


def _comment(visit: Visit, number: int) -> str:
    body = visit.form.get("body", "")
    if body.strip() or not visit.form.get("then"):
        text = rest_issues.Text(body=body)
        reply = perform(visit, operation(rest_issues.OPERATIONS, rest_issues.add_comment), text, issue_number=number)
        anchor = f"#issuecomment-{reply.body['id']}"
    else:
        anchor = ""
    then = visit.form.get("then", "")
    if then == "draft":
        return _draft(visit, number, draft=True)
    if then in ("close", "reopen"):
        return _edit(visit, number, state="closed" if then == "close" else "open")
    return _page(visit, number, anchor)


def _edit(visit: Visit, number: int, **changes: Any) -> str:
    edit = operation(rest_pulls.OPERATIONS, rest_pulls.edit)
    perform(visit, edit, rest_pulls.EditPull(**changes), pull_number=number)
    return _page(visit, number)


def _close(visit: Visit, number: int) -> str:
    return _edit(visit, number, state="closed")


def _reopen(visit: Visit, number: int) -> str:
    return _edit(visit, number, state="open")


def _ready(visit: Visit, number: int) -> str:
    return _draft(visit, number, draft=False)


def _draft(visit: Visit, number: int, *, draft: bool) -> str:
    def handler(call: Call) -> Reply:
        return Reply(rest_pulls.shown(call, rest_pulls.drafted(call, rest_pulls.pull_of(call), draft=draft)))

    perform(visit, Operation("POST", "", handler, tx="write"), None, pull_number=number)
    return _page(visit, number)


def _review(visit: Visit, number: int) -> str:
    """Only for the commit that the reviewer had on the screen."""
    seen, event = visit.form.get("commit_id", ""), visit.form.get("event", "")
    if event not in ("APPROVE", "REQUEST_CHANGES", "COMMENT"):
        raise unprocessable("Choose what your review says: comment, approve or request changes.")
    if event == "APPROVE" and seen != _pull(visit, number).head_sha:
        raise conflict("The head moved while you were looking. See what is new, then review again.")
    text = visit.form.get("body", "")
    if begun := _begun(visit, number):
        submission = rest_reviews.Submission(event=_event(event), body=text or None)
        row = operation(rest_reviews.OPERATIONS, rest_reviews.submit)
        reply = perform(visit, row, submission, pull_number=number, review_id=begun)
    else:
        body = rest_reviews.NewReview(event=_event(event), body=text, commit_id=seen or None)
        reply = perform(visit, operation(rest_reviews.OPERATIONS, rest_reviews.create), body, pull_number=number)
    return _page(visit, number, f"#pullrequestreview-{reply.body['id']}")


def _begun(visit: Visit, number: int) -> int:
    """The visitor's pending review, which the next one ends; 0: there is none."""
    with visit.sandbox.store.read() as tx:
        pull, who = pulls.get(tx, visit.repo.id, number), visit.actor
        row = reviews.pending(tx, pull.id, who.user.id) if who else None
    return int(row["id"]) if row else 0


def _event(word: str) -> Any:
    """Checked against the field's own words, so that both cannot part."""
    return word if word in get_args(rest_reviews.NewReview.model_fields["event"].annotation) else ""


def _note(visit: Visit, number: int) -> str:
    """A comment on a line is a review with one comment, as on GitHub."""
    form = visit.form
    line = form.get("line", "")
    if not (line.isascii() and line.isdigit() and len(line) < 8 and form.get("path")):
        raise unprocessable("This line is not part of the difference.")
    if not form.get("body", "").strip():
        raise unprocessable("The comment is empty.")
    note = rest_reviews.Comment(path=form["path"], body=form["body"], line=int(line), side=form.get("side") or "RIGHT")
    body = rest_reviews.NewReview(event="COMMENT", commit_id=form.get("commit_id") or None, comments=(note,))
    perform(visit, operation(rest_reviews.OPERATIONS, rest_reviews.create), body, pull_number=number)
    return _page(visit, number, "/files")


def _dismiss(visit: Visit, number: int) -> str:
    dismissal = rest_reviews.Dismissal(message=visit.form.get("message", ""))
    row = operation(rest_reviews.OPERATIONS, rest_reviews.dismiss)
    perform(visit, row, dismissal, pull_number=number, review_id=visit.form.get("review_id", "-"))
    return _page(visit, number)


def _resolve(visit: Visit, number: int) -> str:
    """Resolved conversations: by the author or who may write. On GitHub only GraphQL and the page can do it."""
    word = visit.form.get("note", "")
    with visit.sandbox.store.write() as tx:
        pull = pulls.get(tx, visit.repo.id, number)
        actor = visit.actor
        if actor is None:
            raise RefusalError(401, "Log in first.")
        level = repos.permission(tx, repos.by_id(tx, visit.repo.id), actor.user.id)
        if level == "none":
            raise not_found()
        if actor.user.id != pull.author_id and not repos.at_least(level, "write"):
            raise forbidden("Must have push access to resolve conversations.")
        if not any(str(row["id"]) == word for row in reviews.conversation(tx, pull.id)):
            raise not_found()
        now = visit.sandbox.now() if visit.form["do"] == "resolve" else None
        reviews.resolve(tx, int(word), by=actor, now=now)
    return _page(visit, number, f"#discussion_r{word}")


def _merge(visit: Visit, number: int) -> str:
    """With the head that the page showed, so that nobody merges what they have not seen."""
    sha = visit.form.get("sha", "")
    if sha != _pull(visit, number).head_sha:
        raise conflict(HEAD_MOVED)
    method: Any = visit.form.get("method", "merge")
    _check_bypass(visit, number, method)
    order = rest_pulls.MergeOrder(sha=sha, merge_method=method)
    perform(visit, operation(rest_pulls.OPERATIONS, rest_pulls.do_merge), order, pull_number=number)
    return _page(visit, number, "#merged")


def _check_bypass(visit: Visit, number: int, method: str) -> None:
    """An administrator who passes over rules has to say so; the API does not ask."""
    with visit.sandbox.store.read() as tx:
        pull = pulls.get(tx, visit.repo.id, number)
        view = View(visit.sandbox, tx, visit.user.id if visit.user else None)
        passed = judging.judge(view, pull, by=visit.actor, method=method).bypassed
    if passed and visit.form.get("bypass") != "1":
        raise unprocessable("Requirements are not met. Tick the box to merge as an administrator without waiting.")


_ACTS: dict[str, Callable[[Visit, int], str]] = {
    "comment": _comment,
    "close": _close,
    "reopen": _reopen,
    "ready": _ready,
    "review": _review,
    "note": _note,
    "dismiss": _dismiss,
    "resolve": _resolve,
    "unresolve": _resolve,
    "merge": _merge,
}
