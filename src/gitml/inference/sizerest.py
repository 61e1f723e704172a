"""What a server's process takes of a machine: time to start, memory, and CPU time for each request, measured."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil

from gitml.errors import FailedError
from gitml.inference.serve import ServeOptions
from gitml.inference.serveprocesses import serve_processes
from gitml.serving.listener import Listen

# Requests at a time: as many as keep one process busy, so that it answers those that come together by one call.
TOGETHER = 32
_WARM = 0.5  # seconds
_LEAST = 50


@dataclass(frozen=True)
class ServingCost:
    """Of one process with its log on, for requests of one row each.

    ``start``: seconds until it answers. ``memory``: MB after the load. ``alone``: seconds of one request that nobody
    disturbs, 99th percentile. ``cpu``: seconds of a core for each request, of many that come together.
    ``cpu_again``: the same in a second run. ``requests`` were made for it.
    """

    start: float
    memory: float
    alone: float
    cpu: float
    cpu_again: float
    requests: int


@dataclass
class _Load:
    """A closed loop of callers on kept connections: each asks again when it is answered."""

    url: str
    bodies: Sequence[bytes]
    until: float
    seconds: list[float] = field(default_factory=list)
    bad: str = ""

    async def run(self, callers: int) -> None:
        await asyncio.gather(*(self._caller(number) for number in range(callers)))
        if self.bad:
            raise FailedError(f"the server answers its samples with an error: {self.bad}")

    async def _caller(self, number: int) -> None:
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        requests = [_request(parts.netloc, parts.path, body) for body in self.bodies]
        try:
            while time.monotonic() < self.until and not self.bad:
                began = time.perf_counter()
                writer.write(requests[number % len(requests)])
                status, body = await _answer(reader)
                self.seconds.append(time.perf_counter() - began)
                number += 1
                if status != 200:
                    self.bad = body[:300].decode("utf-8", "replace")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def measured_serving(root: Path, reference: str, bodies: Sequence[bytes], seconds: float) -> ServingCost:
    """Serve ``reference`` on this machine as an agent does, and ask it for ``bodies`` in turn, each a request's JSON,
    for ``seconds`` in all.

    Raises FailedError where it does not answer them, and as ``gitml.inference.serve.serve``.
    """
    with TemporaryDirectory(prefix="gitml-size-") as log:
        began = time.monotonic()
        options = ServeOptions(Listen(port=0), log)
        with serve_processes(root, reference, options, note=lambda _: None) as served:
            start = time.monotonic() - began
            process = psutil.Process(served.crew.pids[0])
            url = f"{served.url}/models/{served.plan.record.model}/predict"
            _loaded(url, bodies, 1, _WARM)
            memory = process.memory_info().rss / 1e6
            alone = sorted(_loaded(url, bodies, 1, seconds / 4).seconds)
            _loaded(url, bodies, TOGETHER, _WARM)
            first, count = _cpu(process, url, bodies, seconds * 3 / 8)
            second, more = _cpu(process, url, bodies, seconds * 3 / 8)
    p99 = alone[math.ceil(0.99 * len(alone)) - 1]
    return ServingCost(start, memory, p99, first, second, len(alone) + count + more)


def _cpu(process: psutil.Process, url: str, bodies: Sequence[bytes], seconds: float) -> tuple[float, int]:
    before = sum(process.cpu_times()[:2])
    load = _loaded(url, bodies, TOGETHER, seconds)
    return (sum(process.cpu_times()[:2]) - before) / len(load.seconds), len(load.seconds)


def _loaded(url: str, bodies: Sequence[bytes], callers: int, seconds: float) -> _Load:
    load = _Load(url, bodies, time.monotonic() + seconds)
    asyncio.run(load.run(callers))
    if len(load.seconds) < _LEAST // (10 if callers == 1 else 1):
        # So slow a model is measured by fewer requests, and for longer.
        load.until = time.monotonic() + 10 * seconds
        asyncio.run(load.run(callers))
    return load


def _request(host: str, path: str, body: bytes) -> bytes:
    lines = f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", f"Content-Length: {len(body)}"
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)
