"""Tasks on Ray: on this machine, or on a cluster at an address. Runs in the environment of Ray.

Actors keep what they loaded, and a pool of them takes the tasks; one that dies is started again, and the task that it
had is tried again. They are asked one task at a time, so that a lost one costs no other file.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from typing import Any

from gitml.engines.base import Task
from gitml.engines.host import EngineOrder
from gitml.engines.worker import digest_of, run_numbered
from gitml.errors import OutsideError

_TRIES = 4
# Of the folder of a session, where sockets lie, whose paths have at most 107 bytes.
_LONGEST = 40


def run(order: EngineOrder) -> Iterator[dict[str, Any]]:
    """What each task said, as it ends."""
    address = order.settings.master
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DEDUP_LOGS="0", **({} if address else _closed()))
    import ray

    ours: dict[str, Any] = {"num_cpus": order.settings.workers, "include_dashboard": False, "_temp_dir": os.getcwd()}
    if len(ours["_temp_dir"]) > _LONGEST:
        del ours["_temp_dir"]
    sent = {"py_modules": [f"{order.source}/gitml"], "env_vars": {"OMP_NUM_THREADS": "1"}}
    # On another machine the environment is where it is on this one, or the cluster was started from it.
    ray.init(address=address or "local", runtime_env=sent, log_to_driver=False, **({} if address else ours))
    try:
        yield from _mapped(ray, order)
    finally:
        ray.shutdown()


def _closed() -> dict[str, str]:
    """Nobody else talks to a Ray that is ours alone: whoever reaches its ports runs code.

    The first is what Ray itself sets where firewalls ask about ports. Without it, even `_node_ip_address="127.0.0.1"`
    listens on all addresses (Ray 2.60).
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


class _Worker:
    """What an actor is: it gets the job when it starts, and keeps what it made of it."""

    def __init__(self, job: bytes, digest: str) -> None:
        self._job, self._digest = job, digest

    def run(self, number: int, task: Task) -> dict[str, Any]:
        return run_numbered(number, task, self._digest, lambda: self._job)


def _mapped(ray: Any, order: EngineOrder) -> Iterator[dict[str, Any]]:
    job, digest = ray.put(order.job), digest_of(order.job)
    count = order.settings.workers if not order.settings.master else int(ray.cluster_resources().get("CPU", 1))
    options: dict[str, Any] = {"num_cpus": 1, "max_restarts": -1, "max_task_retries": _TRIES - 1}
    if order.settings.memory:
        options["memory"] = _bytes(order.settings.memory)
    actor = ray.remote(**options)(_Worker)
    idle = [actor.remote(job, digest) for _ in range(min(count, len(order.tasks)))]
    waiting = iter(enumerate(order.tasks))
    running: dict[Any, Any] = {}
    while True:
        while idle and (found := next(waiting, None)) is not None:
            worker = idle.pop()
            running[worker.run.remote(*found)] = worker
        if not running:
            return
        done, _ = ray.wait(list(running), num_returns=1)
        idle.append(running.pop(done[0]))
        try:
            yield ray.get(done[0])
        except ray.exceptions.RayError as exc:
            # The last line is the exception, if one was raised there; Ray colours some.
            last = re.sub(r"\x1b\[[0-9;]*m", "", str(exc).strip()).splitlines()[-1:]
            raise OutsideError(
                f"Ray gave up on a file: {''.join(last)[:500]}",
                "do workers see the same files, and have enough memory? Call it again: it resumes",
            ) from exc


def _bytes(size: str) -> int:
    """
    >>> _bytes("4g")
    4294967296
    """
    return int(size[:-1]) << {"m": 20, "g": 30}[size[-1]]
