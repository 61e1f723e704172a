"""Each host tells how far its rows are complete, so that a window is judged when nothing of it is missing.

``hosts/date=D/HOST.json`` holds what one host said on a day. Nothing said is taken back, so what was known at a moment
of the past can be told later.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Literal, NamedTuple

from gitml import clock
from gitml.engines.places import StoragePlace, place_of
from gitml.traffic.files import FORMAT, SETTLE
from gitml.traffic.journal import let_go

FOLDER = "hosts"
# No host is called so.
_MERGED = "merged,"
_TRIES = 4
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
            self._said = [mark for *_, marks in (_read(place) if place.exists() else ()) for mark in marks]
            self._day = day
        fresh = Progress(int((now + SETTLE) * 1e6), int(complete * 1e6), dropped, ended)
        told = {"format": FORMAT, "environment": self._environment, "marks": [*self._said, fresh]}
        place.write(lambda stream: stream.write(json.dumps(told, separators=(",", ":")).encode()))
        self._said.append(fresh)

    def close(self) -> None:
        """Let go of the name."""
        let_go(self._lock)


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
    found: dict[str, set[Progress]] = {}
    first, last = f"date={since:%Y-%m-%d}", f"date={at:%Y-%m-%d}"
    for day in (target / FOLDER).folders():
        for (host, where), said in _said(target / FOLDER / day).items() if first <= day <= last else ():
            if not environment or where in ("", environment):
                found.setdefault(host, set()).update(said)
    return {host: sorted(said) for host, said in sorted(found.items())}


Said = Mapping[tuple[str, str], set[Progress]]


def fold(target: StoragePlace, before: str) -> None:
    """One file instead of many for each day before ``before``, which must be long over: no host writes to it any more.

    A file that is merged while another one does the same, or is killed in between, says some things twice: that is
    all. ``target`` is the folder of the traffic.
    """
    for day in (target / FOLDER).folders():
        folder = target / FOLDER / day
        names = [name for name, *_ in folder.files()] if day.removeprefix("date=") < before else []
        if len(names) > 1:
            _fold_day(folder, names)


def _fold_day(folder: StoragePlace, names: Sequence[str]) -> None:
    hosts = [
        {"host": host, "environment": where, "marks": sorted(marks)}
        for (host, where), marks in sorted(_said(folder, names).items())
    ]
    raw = json.dumps({"format": FORMAT, "hosts": hosts}, separators=(",", ":")).encode()
    merged = f"{_MERGED}{hashlib.sha256(raw).hexdigest()[:16]}.json"
    (folder / merged).write(lambda stream: stream.write(raw))
    for name in names:
        if name != merged:
            with suppress(FileNotFoundError):
                (folder / name).delete()


def _said(folder: StoragePlace, names: Sequence[str] | None = None) -> Said:
    """Host and environment → what it said on a day."""
    for left in range(_TRIES, 0, -1):
        found: dict[tuple[str, str], set[Progress]] = {}
        try:
            for name in names or [name for name, *_ in folder.files()]:
                for host, where, marks in _read(folder / name):
                    found.setdefault((host, where), set()).update(marks)
            return found
        except FileNotFoundError:  # somebody merged it meanwhile
            if left == 1 or names:
                raise
    return {}


def _read(place: StoragePlace) -> list[tuple[str, str, list[Progress]]]:
    told = json.loads(place.read_bytes())
    hosts = told.get("hosts") or [{"host": place.name.removesuffix(".json"), **told}]
    return [(one["host"], one.get("environment", ""), [Progress(*mark) for mark in one["marks"]]) for one in hosts]


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)
