"""Requests at a steady rate, on kept connections and new ones, while versions are swapped underneath."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

MODELS = ("m", "n")


@dataclass
class Counted:
    """``answers``: (model, version) → how many; ``wrong`` and ``failed`` hold the first few, in words."""

    answers: dict[tuple[str, str], int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Seconds within which this share of the requests was answered."""
        return sorted(self.times)[min(len(self.times) - 1, int(share * len(self.times)))]

    @property
    def total(self) -> int:
        return sum(self.answers.values())


@dataclass(frozen=True)
class Load:
    """``slopes``: version → the slope of its model, so that each answer can be held against the version it names."""

    host: str
    port: int
    slopes: dict[str, float]
    rate: float = 200.0
    connections: int = 8

    async def run(self, counted: Counted, meanwhile: Callable[[], Awaitable[None]]) -> float:
        """Half of the requests on kept connections, half each on one of its own, until ``meanwhile`` is over.

        The seconds that it took.
        """
        began, over = time.monotonic(), asyncio.Event()
        kept = [self._kept(over, number, counted) for number in range(self.connections)]
        fresh = [self._fresh(over, number, counted) for number in range(self.connections)]

        async def until() -> None:
            try:
                await meanwhile()
                await asyncio.sleep(0.5)
            finally:
                over.set()

        await asyncio.gather(*kept, *fresh, until())
        return time.monotonic() - began

    async def _kept(self, over: asyncio.Event, number: int, counted: Counted) -> None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            async for turn in self._turns(over, number):
                await self._one(reader, writer, turn, counted, close=False)
        finally:
            writer.close()

    async def _fresh(self, over: asyncio.Event, number: int, counted: Counted) -> None:
        async for turn in self._turns(over, number):
            reader, writer = await asyncio.open_connection(self.host, self.port)
            await self._one(reader, writer, turn, counted, close=True)
            writer.close()

    async def _turns(self, over: asyncio.Event, number: int) -> AsyncIterator[int]:
        """At a rate that does not wait for slow answers: what is late is made up for."""
        gap = 2 * self.connections / self.rate
        due, turn = time.monotonic() + gap * number / self.connections, number
        while not over.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield turn
            due, turn = due + gap, turn + 1

    async def _one(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        turn: int,
        counted: Counted,
        *,
        close: bool,
    ) -> None:
        model, a, rows = MODELS[turn % 2], float(turn % 17), 1 + turn % 3
        body = json.dumps({"rows": [{"a": a, "b": 0.0}] * rows, "id": f"r{turn}"}).encode()
        head = f"POST /models/{model}/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        began = time.monotonic()
        try:
            writer.write(f"{head}{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n".encode() + body)
            await writer.drain()
            status, answer = await asyncio.wait_for(_answer(reader), 20)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as exc:
            counted.failed.append(f"{model}: {type(exc).__name__} {exc}")
            return
        counted.times.append(time.monotonic() - began)
        if status != 200:
            counted.failed.append(f"{model}: {status} {answer}")
            return
        version, wanted = str(answer["version"]), self.slopes[str(answer["version"])] * a
        counted.answers[model, version] = counted.answers.get((model, version), 0) + 1
        if answer["outputs"]["y"] != [wanted] * rows:
            counted.wrong.append(f"{model} {version}: {answer['outputs']['y']} instead of {wanted}")


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, Any]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    length = next(int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:"))
    return status, json.loads(await reader.readexactly(length))
