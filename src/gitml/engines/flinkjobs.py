"""Jobs of a cluster of Flink, by its JobManager's REST API. Needs nothing of Flink's own environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import httpx

from gitml import clock
from gitml.errors import OutsideError

_OVER = ("CANCELED", "FAILED", "FINISHED", "SUSPENDED")
# A cluster that hears nothing for so long from the process that a job belongs to ends the job.
ABSENT_MS = 30_000
_SECONDS, _PAUSE = 120, 0.5


def job_name(target: str) -> str:
    """Of the stream into this folder: there is one at a time."""
    return f"gitml stream {target}"


def tell_alive(master: str, job: str) -> None:
    """The process of ``job`` is there. What does not arrive is told again."""
    until = int(clock.machine() * 1000) + ABSENT_MS
    with suppress(httpx.HTTPError):
        httpx.patch(f"http://{master}/jobs/{job}/clientHeartbeat", json={"expiredTimestamp": until}, timeout=10)


def end_jobs(master: str, name: str) -> None:
    """End the jobs of this name that run, and wait until they have ended: two would answer everything twice.

    Raises OutsideError.
    """
    until = time.monotonic() + _SECONDS
    while ours := [one["jid"] for one in _jobs(master) if one["name"] == name and one["state"] not in _OVER]:
        if time.monotonic() > until:
            raise OutsideError(f"the job {ours[0]} on {master} does not end", "cancel it there")
        for job in ours:
            with suppress(httpx.HTTPError):
                httpx.patch(f"http://{master}/jobs/{job}", params={"mode": "cancel"}, timeout=30)
        time.sleep(_PAUSE)


def _jobs(master: str) -> list[Mapping[str, str]]:
    try:
        return list(httpx.get(f"http://{master}/jobs/overview", timeout=30).raise_for_status().json()["jobs"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
        raise OutsideError(f"no JobManager of Flink answers at {master}: {exc}", "see --master") from exc
