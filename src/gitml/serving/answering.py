"""From a request to an answer: version chosen, inputs checked, model called, counted, logged, shown to the shadows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gitml import clock
from gitml.models.model import Answers, ModelError
from gitml.models.signature import InputError, Rows
from gitml.serving.batching import BusyError, SlowError
from gitml.serving.limits import Limits
from gitml.serving.metrics import Metrics
from gitml.serving.plainjson import Asked, outputs
from gitml.serving.shadows import Shadows
from gitml.serving.state import Served, Variant
from gitml.serving.wire import HttpError
from gitml.traffic.eventcolumns import Encoded, Event
from gitml.traffic.predictionlog import Sink

# Requests of more bytes are read and checked on a thread, so that others are answered meanwhile.
LARGE = 64 << 10


class Ask(NamedTuple):
    """One request for one model. ``read`` makes sense of its body; ``version`` is empty unless the path names one."""

    served: Served
    version: str
    read: Callable[[], Asked]
    size: int
    header_unit: str
    name_it: Callable[[object], str]
    began: float


class Answered(NamedTuple):
    """``head``: id, model, version, variant."""

    head: dict[str, str]
    variant: Variant
    answers: Answers
    asked: Asked


class Answering:
    """Answers requests of one server."""

    def __init__(self, metrics: Metrics, log: Sink, limits: Limits) -> None:
        self._metrics, self._log = metrics, log
        self._shadows = Shadows(metrics, log, limits)

    async def answer(self, ask: Ask) -> Answered:
        """Raises HttpError; whatever reached a version is counted under it."""
        served, large = ask.served, ask.size > LARGE
        served.in_flight.count += 1
        try:
            asked = await asyncio.to_thread(ask.read) if large else ask.read()
            request_id = ask.name_it(asked.id)
            unit = asked.unit or ask.header_unit
            variant = served.variants[ask.version] if ask.version else served.choose(unit or request_id)
            head = {"id": request_id, "model": served.name, "version": variant.version, "variant": variant.role}
            try:
                rows, answers = await self._called(served, variant, asked, large=large)
            except HttpError as exc:
                self._metrics.answered(served.name, variant, exc.code, 0, 0.0)
                exc.headers = [*exc.headers, *head_lines(head)]
                raise
            self._note(ask, head, unit, variant, asked, rows, answers)
            return Answered(head, variant, answers, asked)
        finally:
            served.in_flight.count -= 1

    async def _called(self, served: Served, variant: Variant, asked: Asked, *, large: bool) -> tuple[Rows, Answers]:
        signature = variant.model.signature
        narrow = signature.inputs != served.champion.model.signature.inputs

        def encode() -> Rows:
            return asked.encoded(signature, narrow=narrow)

        try:
            rows = await asyncio.to_thread(encode) if large else encode()
            return rows, await variant.runner.answers(rows)
        except InputError as exc:
            problems = [{"input": p.field, "expected": p.expected, "got": p.got, "row": p.row} for p in exc.problems]
            raise HttpError(422, "input", f"the request does not fit the signature: {exc}", problems=problems) from None
        except BusyError as exc:
            raise HttpError(429, "busy", exc.message, hint=exc.hint, headers=[(b"retry-after", b"1")]) from None
        except SlowError as exc:
            raise HttpError(504, "slow", exc.message, hint=exc.hint) from None
        except ModelError as exc:
            raise HttpError(500, "model", exc.message, hint="the request is sound; the model is not") from None

    def _note(
        self, ask: Ask, head: dict[str, str], unit: str, variant: Variant, asked: Asked, rows: Rows, answers: Answers
    ) -> None:
        seconds = time.perf_counter() - ask.began
        signature = variant.model.signature
        self._metrics.answered(ask.served.name, variant, 200, len(rows), seconds)
        unknown = signature.unknown(rows)
        if unknown:
            self._metrics.unknown(ask.served.name, unknown)
        # An unknown word is lost in the encoded rows, and the log must keep it: drift is found there.
        features: Any = asked.raw(signature) if unknown else Encoded(rows, signature.arrays)
        event = Event(
            head["id"], unit or None, ask.served.name, variant.role, variant.version, features,
            outputs(signature, answers), seconds, clock.timestamp(), ask.size,
        )  # fmt: skip
        self._log.put(event)
        if ask.served.shadows and not ask.version:
            self._shadows.show(ask.served, unit or head["id"], asked, event)


def head_lines(head: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Response headers that name what answered."""
    return [
        (b"x-request-id", head["id"].encode()),
        (b"gitml-model", head["model"].encode()),
        (b"gitml-version", head["version"].encode()),
        (b"gitml-variant", head["variant"].encode()),
    ]
