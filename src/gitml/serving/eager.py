"""Coroutines that run at once, until they wait for something for the first time.

Python 3.12 has such tasks; this does the same on 3.11, with one difference: until it waits, a coroutine has no current
task there, so it must not begin with ``asyncio.timeout``.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any


def begun(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Task[None] | None:
    """Run it; the task that ends it, or None if it has ended already. Raises what it raises before it waits."""
    if sys.version_info >= (3, 12):
        task = asyncio.Task(work, loop=loop, eager_start=True)
        return None if task.done() and task.exception() is None else task
    try:
        waits = work.send(None)
    except StopIteration:
        return None
    return loop.create_task(_ended(work, waits))


async def _ended(work: Coroutine[Any, Any, None], waits: Any) -> None:
    await _on(work, waits)


@types.coroutine
def _on(work: Coroutine[Any, Any, None], waits: Any) -> Generator[Any, Any, None]:
    """The rest of it, as if it had been awaited from its first step on."""
    while True:
        try:
            sent = yield waits
        except BaseException as exc:
            step = partial(work.throw, exc)
        else:
            step = partial(work.send, sent)
        try:
            waits = step()
        except StopIteration:
            return
