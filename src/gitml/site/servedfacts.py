"""What the pages say of servers: frozen records without behaviour. Hours end with the newest one that is known."""

from __future__ import annotations

from dataclasses import dataclass

# One for each hour, the oldest first; None where nobody told anything.
Hourly = tuple[float | None, ...]


@dataclass(frozen=True)
class VersionDay:
    """Requests that a version answered in the last day. ``rate``: a second; ``p50``, ``p95`` and ``p99``: in seconds,
    None without an answer.

    ``hourly``: requests of each hour of the week; ``slow``: the time within which 95 % of its answers came.
    """

    model: str
    environment: str
    version: str
    variant: str
    requests: int
    errors: int
    refused: int
    rate: float
    p50: float | None
    p95: float | None
    p99: float | None
    hourly: Hourly
    slow: Hourly


@dataclass(frozen=True)
class ServerDay:
    """One agent's server in the last day. ``uptime``: share of the time that was watched; ``cpu``: processors in use on
    average; ``memory``: the most bytes. ``hours``: of the 24 those of which something was told; ``untold``: hours
    of the week between the first and the last of which nothing was, as the server stood still or its word was lost."""

    agent: str
    environment: str
    until: str
    hours: int
    untold: int
    uptime: float
    restarts: int
    cpu: float
    memory: int
    hourly_up: Hourly
    hourly_cpu: Hourly
    hourly_memory: Hourly
