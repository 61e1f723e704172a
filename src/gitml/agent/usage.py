"""What the server's process did while it was looked at: requests as it tells them, time and memory from outside.

A process counts from nought, and only ever up. What it did after the last look before its end is lost with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import psutil

from gitml.agent.messages import VersionCount

_Key = tuple[str, str, str]


@dataclass(frozen=True)
class Usage:
    """Of a stretch of time, in seconds and bytes. ``counts``: what was added to each version's, by model, version and
    variant."""

    watched: float = 0.0
    up: float = 0.0
    restarts: int = 0
    cpu: float = 0.0
    memory: int = 0
    counts: Mapping[_Key, VersionCount] = field(default_factory=dict)

    def __add__(self, other: Usage) -> Usage:
        counts = dict(self.counts)
        for key, count in other.counts.items():
            counts[key] = counts[key].plus(count) if key in counts else count
        return Usage(
            self.watched + other.watched,
            self.up + other.up,
            self.restarts + other.restarts,
            self.cpu + other.cpu,
            max(self.memory, other.memory),
            counts,
        )


def together(used: Iterable[Usage]) -> Usage:
    """Of processes that answered at the same time behind one port."""
    all_of_them = list(used)
    return replace(
        sum(all_of_them, Usage()),
        watched=max((one.watched for one in all_of_them), default=0.0),
        up=max((one.up for one in all_of_them), default=0.0),
        memory=sum(one.memory for one in all_of_them),
    )


class UsageMeter:
    """Fed by the thread that looks at the process; any thread may take what it has."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._held = Usage()
        self._process: psutil.Process | None = None
        self._counts: dict[_Key, VersionCount] = {}
        self._known = set[_Key]()
        self._cpu, self._up = 0.0, False
        self._last = now()

    def began(self, pid: int) -> None:
        """A process of this number is there and counts from nought."""
        with self._lock:
            self._passes()
            with suppress(psutil.Error):
                self._process = psutil.Process(pid)
            self._counts, self._known, self._cpu, self._up = {}, set(), 0.0, True

    def ended(self) -> None:
        """It is gone."""
        with self._lock:
            self._passes()
            self._process, self._up = None, False
            self._held += Usage(restarts=1)

    def saw(self, told: Iterable[VersionCount], served: Iterable[_Key]) -> None:
        """It answered. ``served``: what it was told to serve; of what it never was its word is not taken."""
        now = set(served)
        with self._lock:
            self._passes()
            self._known |= now
            counts = {one.key: one for one in told if one.key in self._known}
            grown = {key: one.since(self._counts.get(key)) for key, one in counts.items()}
            none = {key: VersionCount.none(*key) for key in now}
            self._held += Usage(
                counts={**none, **{key: one for key, one in grown.items() if key in now or one.requests}}
            )
            self._counts |= counts
            self._measured()

    def taken(self) -> Usage:
        """What there is since this was asked last."""
        with self._lock:
            self._passes()
            held, self._held = self._held, Usage()
        return held

    def _passes(self) -> None:
        now = self._now()
        gone, self._last = now - self._last, now
        self._held += Usage(watched=gone, up=gone if self._up else 0.0)

    def _measured(self) -> None:
        if self._process is None:
            return
        with suppress(psutil.Error):
            times = self._process.cpu_times()
            spent = times.user + times.system
            self._held += Usage(cpu=max(0.0, spent - self._cpu), memory=int(self._process.memory_info().rss))
            self._cpu = spent
