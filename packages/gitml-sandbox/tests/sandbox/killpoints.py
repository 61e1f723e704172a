"""Places where tests kill a process of the sandbox, as if by kill -9: before or after a function of its code is called.

The code knows nothing of it: the function is replaced in the process that is to die.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGKILL
from typing import Any


@dataclass(frozen=True)
class Point:
    """``when`` sees what an ``after`` function returned; ``call`` counts those that ``when`` lets pass."""

    module: str
    name: str
    after: bool = False
    call: int = 1
    when: Callable[[Any], bool] = lambda _: True


RECEIVE, REFS, GIT = "githttp.receive", "changes.refs", "git.repository"
_DONE = Point(REFS, "settle", after=True, when=bool)
# In the order in which a push, a change from inside, the record of both, and a new repository pass them.
POINTS = {
    "push-spooled": Point("githttp.http", "receive"),
    "push-before-journal": Point(RECEIVE, "_verdict"),
    "push-journaled": Point(RECEIVE, "_verdict", after=True, when=b"ok\n".__eq__),
    "push-refused": Point(RECEIVE, "_verdict", after=True, when=b"ok\n".__ne__),
    "push-hook-answered": Point(RECEIVE, "_wait"),
    "push-received": Point(RECEIVE, "_wait", after=True),
    "push-before-answer": Point("githttp.http", "receive", after=True),
    "update-before-journal": Point(REFS, "intend"),
    "update-journaled": Point(GIT, "update_refs"),
    "update-refs-moved": Point(GIT, "update_refs", after=True),
    "update-recorded": Point(REFS, "update", after=True),
    "settle-before-record": Point(REFS, "_adopt_default_branch"),
    "settle-before-commit": Point("changes.pull_follow", "follow", after=True),
    "settle-recorded": _DONE,
    "repo-before-commit": Point(GIT, "create", after=True),
    "repo-created": Point("forge.repos", "create", after=True),
    # The first call is of the creation, which clears the place.
    "repo-rows-deleted": Point(GIT, "remove", call=2),
    "merge-before-delete": Point("changes.merge", "_delete_head"),
    "review-before-commit": Point("changes.announce", "review", after=True),
    "rest-committed": Point("rest.serve", "RestRoute._answer", after=True),
}


def install(name: str) -> None:
    """Let this process die at the point. Raises AttributeError when the code has no such function any more."""
    point = POINTS[name]
    *path, last = point.name.split(".")
    owner = functools.reduce(getattr, path, importlib.import_module(f"gitml_sandbox.{point.module}"))
    setattr(owner, last, _deadly(point, getattr(owner, last)))


def _deadly(point: Point, function: Callable[..., Any]) -> Callable[..., Any]:
    left = [point.call]

    def pass_by(result: Any) -> None:
        if point.when(result):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), SIGKILL)

    @functools.wraps(function)
    def called(*words: Any, **named: Any) -> Any:
        if not point.after:
            pass_by(None)
        result = function(*words, **named)
        if point.after:
            pass_by(result)
        return result

    return called
