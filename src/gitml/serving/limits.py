"""What one server takes on; beyond it, it says no at once instead of getting stuck."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """``body`` in bytes, ``head`` of a request's first lines. ``rows`` of one request. ``requests`` in work at once,
    ``waiting`` rows before one model. ``seconds`` for an answer, ``body_seconds`` for a body to arrive,
    ``head_seconds`` for a request's first lines. ``connections`` at once: beyond them the one that waited longest for a
    request is closed; ``idle_seconds`` after which each is. ``batch`` rows that a model is given at once. ``shadows``:
    requests that wait for shadow versions.
    """

    body: int = 16 << 20
    head: int = 64 << 10
    rows: int = 10_000
    requests: int = 1024
    waiting: int = 20_000
    seconds: float = 10.0
    body_seconds: float = 10.0
    head_seconds: float = 10.0
    connections: int = 4096
    idle_seconds: float = 75.0
    batch: int = 1024
    shadows: int = 256
