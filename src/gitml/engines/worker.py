"""What the workers of every cluster do with a task, in whatever process the engine gives them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from typing import Any

from gitml.engines.base import Task, Work, run_task
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, OutsideError, UsageError

# What a process keeps from task to task: the work of one job, so that a model is loaded once.
_HERE: dict[str, Any] = {}
_KINDS: tuple[type[GitmlError], ...] = (UsageError, FailedError, InconclusiveError, IntegrityError, OutsideError)


def digest_of(job: bytes) -> str:
    """Tells one job from another in a process that engines use again."""
    return hashlib.sha256(job).hexdigest()


def run_numbered(number: int, task: Task, digest: str, job: Callable[[], bytes]) -> dict[str, Any]:
    """Run the task ``number``; what came of it, in plain words and numbers. ``job`` is asked once in a process.

    An error of gitml's own is an answer, not an exception: engines try those again, and a wrong row stays wrong.
    """
    try:
        work = work_of(digest, job)
        done = run_task(task, work, _HERE["rows"], lambda _: None)
    except GitmlError as exc:
        return said(exc)
    return {"task": number, "rows": done.rows, "facts": dict(done.facts), "rejected": done.rejected}


def work_of(digest: str, job: Callable[[], bytes]) -> Work:
    """That of the job with this digest, made once in a process."""
    if _HERE.get("digest") != digest:
        _HERE.clear()
        made = pickle.loads(job())  # noqa: S301 — sent by the process that was called by the user
        _HERE.update(digest=digest, rows=made.batch_rows, work=made.make())
    work: Work = _HERE["work"]
    return work


def said(exc: GitmlError) -> dict[str, Any]:
    """An error as it travels between processes; parts of its own do not."""
    kind = next((k for k in _KINDS if isinstance(exc, k)), OutsideError)
    return {"error": {"kind": kind.__name__, "message": exc.message, "hint": exc.hint}}


def raised(error: dict[str, str]) -> GitmlError:
    """The same error again.

    >>> raised({"kind": "UsageError", "message": "no", "hint": ""})
    UsageError('no')
    """
    kind = next((k for k in _KINDS if k.__name__ == error["kind"]), OutsideError)
    return kind(error["message"], error["hint"])
