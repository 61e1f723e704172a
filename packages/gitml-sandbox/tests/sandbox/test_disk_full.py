"""A disk without room: whoever asked is told, nothing goes on unwatched, and what was cut short ends with a reason."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from gitml_sandbox.actions.act import MARK, mark_of
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.errors import OutsideError
from gitml_sandbox.rest.serve import as_refusal, outside
from sandbox.runner_kit import Works

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
SLEEPER = """
on: push
jobs:
  a: {runs-on: ubuntu-latest, steps: [{run: 'echo one'}, {run: 'sleep 600'}, {run: 'echo two'}]}
"""


def _of_job(mark: str) -> list[int]:
    """Processes of a job."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(mark):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


def test_a_job_that_cannot_be_followed_is_ended(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(self: Runner, job_id: int) -> Callable[[Any], None]:
        def changed(steps: Any) -> None:
            if len(steps) == 2:
                raise FULL

        return changed

    monkeypatch.setattr(Runner, "_steps", no_room)
    works.flow(SLEEPER)
    (run,) = works.done()
    assert run["conclusion"] == "failure"
    assert "No space left" in works.jobs(run)["a"]["reason"]
    assert _of_job(mark_of(works.kit.sandbox.root, run["id"], works.jobs(run)["a"]["id"])) == []


def test_a_job_whose_end_could_not_be_written_ends_when_there_is_room(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    end = Runner._end
    failed = Runner._failed

    def no_room(self: Runner, *words: Any) -> None:
        calls.append(words)
        raise sqlite3.OperationalError("database or disk is full")

    def no_room_once(self: Runner, *words: Any) -> None:
        (failed if len(calls) > 1 else no_room)(self, *words)

    monkeypatch.setattr(Runner, "_end", no_room)
    monkeypatch.setattr(Runner, "_failed", no_room_once)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    works.flow("on: push\njobs: {a: {runs-on: ubuntu-latest, steps: [{run: 'echo one'}]}}\n")
    (run,) = works.done()
    assert len(calls) == 2
    assert "could not be written down" in works.jobs(run)["a"]["reason"]
    monkeypatch.setattr(Runner, "_end", end)
    works.push({"x": "y"})
    assert works.done(count=2)[1]["conclusion"] == "success"


def test_the_answer_says_what_is_full() -> None:
    assert outside(FULL).status == 507
    words = "git hash-object failed with exit code 128: fatal: unable to write: No space left on device"
    assert as_refusal(OutsideError(words)).status == 507
    assert as_refusal(OutsideError("git show failed")).status == 500
    with pytest.raises(PermissionError):
        outside(PermissionError(errno.EACCES, "no"))
