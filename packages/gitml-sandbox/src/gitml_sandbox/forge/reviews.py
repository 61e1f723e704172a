"""Reviews: what a person thinks of a pull request at one commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.forge import issues
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.refusals import forbidden, not_found, unprocessable

SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    pull_id INTEGER NOT NULL REFERENCES pulls(id) ON DELETE CASCADE,
    user_id INTEGER NOT NULL REFERENCES users(id),
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'COMMENTED', 'APPROVED', 'CHANGES_REQUESTED', 'DISMISSED')),
    body TEXT NOT NULL DEFAULT '',
    commit_id TEXT NOT NULL,
    covers TEXT NOT NULL,
    submitted_at TEXT,
    dismissed_at TEXT,
    dismissed_by INTEGER REFERENCES users(id),
    dismissal TEXT,
    dismissed_state TEXT
);
CREATE INDEX IF NOT EXISTS reviews_of ON reviews (pull_id);
CREATE TABLE IF NOT EXISTS review_comments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    review_id INTEGER NOT NULL REFERENCES reviews(id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    line INTEGER,
    side TEXT NOT NULL DEFAULT 'RIGHT',
    body TEXT NOT NULL,
    created_at TEXT NOT NULL,
    resolved_at TEXT,
    resolved_by INTEGER REFERENCES users(id)
);
"""

STATES: Mapping[str, str] = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


@dataclass(frozen=True)
class New:
    """``event``: APPROVE, REQUEST_CHANGES, COMMENT, or '' for a pending review that is submitted later."""

    event: str
    body: str = ""
    commit_id: str | None = None
    comments: Sequence[Mapping[str, Any]] = ()


def submit(tx: sqlite3.Connection, pull: Pull, new: New, by: Actor, now: str) -> sqlite3.Row:
    """Add a review. Emits no event: ``announce.review`` does.

    Nobody approves or requests changes on a pull request of their own, or has two pending reviews. Raises
    RefusalError 422.
    """
    _check(pull, new, by)
    if pending(tx, pull.id, by.user.id) is not None:
        raise unprocessable("Unprocessable Entity", "User can only have one pending review per pull request")
    state = STATES.get(new.event, "PENDING")
    sha = new.commit_id or pull.head_sha
    done = tx.execute(
        "INSERT INTO reviews (pull_id, user_id, state, body, commit_id, covers, submitted_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (pull.id, by.user.id, state, new.body, sha, sha, now if new.event else None),
    )
    review_id = int(done.lastrowid or 0)
    tx.executemany(
        "INSERT INTO review_comments (review_id, path, line, side, body, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (review_id, c["path"], c.get("line") or c.get("position"), c.get("side") or "RIGHT", c["body"], now)
            for c in new.comments
        ],
    )
    if new.event:
        _count(tx, pull, state, by, now)
    return get(tx, pull, review_id, by.user.id)


def _count(tx: sqlite3.Connection, pull: Pull, state: str, by: Actor, now: str) -> None:
    """What follows when others can see a review."""
    if state in ("APPROVED", "CHANGES_REQUESTED"):
        tx.execute("DELETE FROM review_requests WHERE pull_id = ? AND user_id = ?", (pull.id, by.user.id))
    issues.touch(tx, pull.id, now)


def pending(tx: sqlite3.Connection, pull_id: int, user_id: int) -> sqlite3.Row | None:
    """The review that somebody has begun and not submitted."""
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM reviews WHERE pull_id = ? AND user_id = ? AND state = 'PENDING'", (pull_id, user_id)
    ).fetchone()
    return row


def finish(
    tx: sqlite3.Connection, pull: Pull, review: sqlite3.Row, *, event: str, body: str | None, by: Actor, now: str
) -> sqlite3.Row:
    """Submit a pending review of one's own, by the rules of ``submit``. Raises RefusalError 422."""
    if review["state"] != "PENDING":
        raise unprocessable("Unprocessable Entity", "Can not submit a review that is not pending")
    text = review["body"] if body is None else body
    _check(pull, New(event, text, comments=[dict(row) for row in comments(tx, review["id"])]), by)
    tx.execute(
        "UPDATE reviews SET state = ?, body = ?, submitted_at = ? WHERE id = ?",
        (STATES[event], text, now, review["id"]),
    )
    _count(tx, pull, STATES[event], by, now)
    return get(tx, pull, review["id"], by.user.id)


def edit(tx: sqlite3.Connection, pull: Pull, review: sqlite3.Row, *, body: str, by: Actor) -> sqlite3.Row:
    """Another text for a review of one's own. Raises RefusalError 403 or 422."""
    if review["user_id"] != by.user.id:
        raise forbidden("Must be the author of the review.")
    if not body.strip():
        raise unprocessable("Unprocessable Entity", "Body cannot be blank")
    issues.checked_body("PullRequestReview", body)
    tx.execute("UPDATE reviews SET body = ? WHERE id = ?", (body, review["id"]))
    return get(tx, pull, review["id"], by.user.id)


def discard(tx: sqlite3.Connection, review: sqlite3.Row) -> None:
    """Take a pending review away, with its comments. Raises RefusalError 422 for one that was submitted."""
    if review["state"] != "PENDING":
        raise unprocessable("Unprocessable Entity", "Can not delete a non-pending pull request review")
    tx.execute("DELETE FROM reviews WHERE id = ?", (review["id"],))


def _check(pull: Pull, new: New, by: Actor) -> None:
    wants = {"APPROVE": "approve", "REQUEST_CHANGES": "request changes on"}.get(new.event)
    if wants and by.user.id == pull.author_id:
        raise unprocessable("Unprocessable Entity", f"Can not {wants} your own pull request")
    if new.event in ("REQUEST_CHANGES", "COMMENT") and not new.body.strip() and not new.comments:
        raise unprocessable("Unprocessable Entity", "Body cannot be blank")
    if wants and pull.state != "open" and pull.merged:
        raise unprocessable("Unprocessable Entity", "Can not review a merged pull request")
    issues.checked_body("PullRequestReview", new.body)


def get(tx: sqlite3.Connection, pull: Pull, review_id: int, viewer_id: int | None) -> sqlite3.Row:
    """One review, if the viewer may know of it. Raises RefusalError 404."""
    row: sqlite3.Row | None = tx.execute(
        "SELECT * FROM reviews WHERE pull_id = ? AND id = ? AND (state <> 'PENDING' OR user_id = ?)",
        (pull.id, review_id, viewer_id),
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def listing(tx: sqlite3.Connection, pull_id: int, viewer_id: int | None = None) -> list[sqlite3.Row]:
    """Oldest first; a pending review is seen by its author alone."""
    return tx.execute(
        "SELECT * FROM reviews WHERE pull_id = ? AND (state <> 'PENDING' OR user_id = ?) ORDER BY id",
        (pull_id, viewer_id),
    ).fetchall()


def dismiss(tx: sqlite3.Connection, review: sqlite3.Row, *, message: str, by: Actor | None, now: str) -> sqlite3.Row:
    """Take an approval or a request for changes out of the count. Raises RefusalError 422 for other reviews."""
    if review["state"] not in ("APPROVED", "CHANGES_REQUESTED"):
        raise unprocessable("Unprocessable Entity", "Can not dismiss a review that is neither approving nor blocking")
    tx.execute(
        "UPDATE reviews SET state = 'DISMISSED', dismissed_state = state, dismissed_at = ?, dismissed_by = ?,"
        " dismissal = ? WHERE id = ?",
        (now, by.user.id if by else None, message, review["id"]),
    )
    row: sqlite3.Row = tx.execute("SELECT * FROM reviews WHERE id = ?", (review["id"],)).fetchone()
    return row


def dismissed(tx: sqlite3.Connection, pull_id: int) -> list[sqlite3.Row]:
    """Those that were taken out of the count, the first one first."""
    wanted = "SELECT * FROM reviews WHERE pull_id = ? AND dismissed_at IS NOT NULL ORDER BY dismissed_at, id"
    return tx.execute(wanted, (pull_id,)).fetchall()


def dismissed_in(tx: sqlite3.Connection, repo_id: int) -> list[sqlite3.Row]:
    """Those of a whole repository."""
    return tx.execute(
        "SELECT reviews.* FROM reviews JOIN pulls ON pulls.id = pull_id JOIN issues ON issues.id = pulls.id"
        " WHERE repo_id = ? AND dismissed_at IS NOT NULL ORDER BY dismissed_at, reviews.id",
        (repo_id,),
    ).fetchall()


def carry_over(tx: sqlite3.Connection, pull: Pull, old: str, new: str) -> None:
    """Reviews of the head speak for a new head that changes the same blobs in the same way."""
    tx.execute("UPDATE reviews SET covers = ? WHERE pull_id = ? AND covers = ?", (new, pull.id, old))


def speak_for_nothing(tx: sqlite3.Connection, pull: Pull) -> None:
    """What was reviewed was another difference: no review speaks for the head as it stands now."""
    tx.execute("UPDATE reviews SET covers = '' WHERE pull_id = ?", (pull.id,))


_LINES = """
SELECT review_comments.*, reviews.user_id, commit_id, pull_id
FROM review_comments JOIN reviews ON reviews.id = review_id
"""


def comments(tx: sqlite3.Connection, review_id: int) -> list[sqlite3.Row]:
    """Comments on lines of one review, with who wrote them, oldest first."""
    return tx.execute(f"{_LINES} WHERE review_id = ? ORDER BY review_comments.id", (review_id,)).fetchall()


def conversations(tx: sqlite3.Connection, repo_id: int) -> list[sqlite3.Row]:
    """Comments on lines in a whole repository, but for those of pending reviews."""
    of = "JOIN issues ON issues.id = pull_id WHERE repo_id = ? AND reviews.state <> 'PENDING'"
    return tx.execute(f"{_LINES} {of} ORDER BY review_comments.id", (repo_id,)).fetchall()


def comment(tx: sqlite3.Connection, repo_id: int, comment_id: int, viewer_id: int | None) -> sqlite3.Row:
    """One comment on a line, if the viewer may know of it. Raises RefusalError 404."""
    of = "JOIN issues ON issues.id = pull_id WHERE repo_id = ? AND review_comments.id = ?"
    row: sqlite3.Row | None = tx.execute(
        f"{_LINES} {of} AND (reviews.state <> 'PENDING' OR reviews.user_id = ?)", (repo_id, comment_id, viewer_id)
    ).fetchone()
    if row is None:
        raise not_found()
    return row


def conversation(tx: sqlite3.Connection, pull_id: int) -> list[sqlite3.Row]:
    """Comments on lines, oldest first, with the login of who wrote them."""
    return tx.execute(
        f"{_LINES} WHERE pull_id = ? AND state <> 'PENDING' ORDER BY review_comments.id", (pull_id,)
    ).fetchall()


def resolve(tx: sqlite3.Connection, comment_id: int, *, by: Actor, now: str | None) -> None:
    """Mark a comment on a line as resolved; ``now`` None opens it again."""
    tx.execute(
        "UPDATE review_comments SET resolved_at = ?, resolved_by = ? WHERE id = ?",
        (now, by.user.id if now else None, comment_id),
    )


def unresolved(tx: sqlite3.Connection, pull_id: int) -> int:
    return sum(1 for row in conversation(tx, pull_id) if row["resolved_at"] is None)
