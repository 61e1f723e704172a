"""Each host tells how far its rows are complete, so that a window is judged when nothing of it is missing.

``hosts/date=D/HOST.json`` holds what one host said on a day. Nothing said is taken back, so what was known at a moment
of the past can be told later.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from gitml import clock
from gitml.engines.places import StoragePlace, place_of
from gitml.traffic.files import FORMAT, SETTLE

FOLDER = "hosts"
# Seconds that a request may be in work: a row that arrived earlier than this is written, or counted as dropped.
HOLD = 60.0
GRACE = timedelta(hours=1)


class Progress(NamedTuple):
    """From ``published`` on it is known that all rows are there that arrived before ``complete`` (microseconds since
    1970), but for ``dropped`` ones since the last word. ``ended``: the server stopped, and no row will follow."""

    published: int
    complete: int
    dropped: int = 0
    ended: bool = False


class HostMarks:
    """What this process says. Two servers of one machine have different names: the second is ``HOST.1``."""

    def __init__(
        self,
        target: StoragePlace,
        spool: Path,
        host: str,
        environment: str = "",
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self._now, self._environment = now, environment
        self.host, self._lock = _slot(spool, host)
        self._target = target / FOLDER
        self._day = ""
        self._said: list[Progress] = []

    def tell(self, complete: float, dropped: int = 0, *, ended: bool = False) -> None:
        """Publish it. Raises what the target raises."""
        now = self._now()
        day = f"{datetime.fromtimestamp(max(now, 0), UTC):%Y-%m-%d}"
        place = self._target / f"date={day}" / f"{self.host}.json"
        if day != self._day:
            self._said = list(_read(place)[1]) if place.exists() else []
            self._day = day
        fresh = Progress(int((now + SETTLE) * 1e6), int(complete * 1e6), dropped, ended)
        told = {"format": FORMAT, "environment": self._environment, "marks": [*self._said, fresh]}
        place.write(lambda stream: stream.write(json.dumps(told, separators=(",", ":")).encode()))
        self._said.append(fresh)

    def close(self) -> None:
        """Let go of the name."""
        self._lock.close()


def _slot(spool: Path, host: str) -> tuple[str, IO[bytes]]:
    # A killed server's name is taken by the next one that finds its journals.
    spool.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        lock = (spool / f"host.{number}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return f"{host}.{number}" if number else host, lock
        except BlockingIOError:
            lock.close()
            number += 1


@dataclass(frozen=True)
class Completeness:
    """Of a window. `waiting`: ``missing`` hosts have not passed its end; `incomplete`: they did not within the grace,
    or no host served at all. ``dropped`` rows were lost to full memory, about that many in the window."""

    state: Literal["complete", "waiting", "incomplete"]
    hosts: tuple[str, ...]
    missing: tuple[str, ...]
    dropped: int

    def __str__(self) -> str:
        words = {
            "complete": f"complete: {len(self.hosts)} of {len(self.hosts)} hosts have passed its end",
            "waiting": f"waiting for {', '.join(self.missing) or 'any host'}",
            "incomplete": f"incomplete: {', '.join(self.missing) or 'no host'} did not pass its end",
        }
        return words[self.state] + (f"; about {self.dropped:,} rows were dropped" if self.dropped else "")


def completeness(
    folder: str | Path,
    since: datetime,
    until: datetime,
    *,
    at: datetime,
    environment: str = "",
    grace: timedelta = GRACE,
) -> Completeness:
    """Whether all rows that arrived from ``since`` to ``until`` could be read at ``at``.

    A host counts if it said something from ``grace`` before the window on, and did not end before it.
    """
    low, high, moment = _micros(since), _micros(until), _micros(at)
    early = _micros(since - grace)
    hosts, missing, dropped = [], [], 0
    for host, said in _hosts(place_of(folder), since - grace, at, environment).items():
        known = [mark for mark in said if mark.published <= moment]
        if not _served(known, early, low, high):
            continue
        hosts.append(host)
        if not (known[-1].ended or any(mark.complete >= high for mark in known)):
            missing.append(host)
        dropped += sum(
            mark.dropped
            for before, mark in zip([None, *known], known, strict=False)
            if mark.complete > low and (before is None or before.complete < high)
        )
    if hosts and not missing:
        return Completeness("complete", tuple(hosts), (), dropped)
    state: Literal["waiting", "incomplete"] = "waiting" if at < until + grace else "incomplete"
    return Completeness(state, tuple(hosts), tuple(missing), dropped)


def _served(said: list[Progress], early: int, low: int, high: int) -> bool:
    alive = [mark for mark in said if early <= mark.complete]
    if not alive or said[0].complete >= high:
        return False
    before = [mark for mark in said if mark.complete <= low]
    after = [mark for mark in said if low < mark.complete]
    return not (before and before[-1].ended and (not after or after[0].complete >= high))


def _hosts(target: StoragePlace, since: datetime, at: datetime, environment: str) -> dict[str, list[Progress]]:
    found: dict[str, list[Progress]] = {}
    for place, host in _listed(target / FOLDER, since, at):
        told, said = _read(place)
        if not environment or told.get("environment") in ("", environment):
            found.setdefault(host, []).extend(said)
    return {host: sorted(said) for host, said in sorted(found.items())}


def _listed(target: StoragePlace, since: datetime, at: datetime) -> Iterator[tuple[StoragePlace, str]]:
    first, last = f"date={since:%Y-%m-%d}", f"date={at:%Y-%m-%d}"
    for name, *_ in target.files():
        day, _, file = name.rpartition("/")
        if first <= day <= last and file.endswith(".json"):
            yield target / name, file.removesuffix(".json")


def _read(place: StoragePlace) -> tuple[dict[str, Any], list[Progress]]:
    told = json.loads(place.read_bytes())
    return told, [Progress(*mark) for mark in told["marks"]]


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)
