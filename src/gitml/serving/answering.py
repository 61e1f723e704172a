"""From a request to an answer: version chosen, inputs checked, model called, counted, logged, shown to the shadows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from gitml import clock
from gitml.models.model import Answers, ModelError, UnknownWordError
from gitml.models.signature import InputError, Rows
from gitml.serving.batching import BusyError, SlowError
from gitml.serving.limits import Limits
from gitml.serving.metrics import Metrics
from gitml.serving.plainjson import AskedRows
from gitml.serving.shadows import Shadows
from gitml.serving.state import Served, Variant
from gitml.serving.wire import RequestError
from gitml.traffic.exchange import Arm, Encoded, Exchange
from gitml.traffic.predictionlog import Sink

# Requests of more bytes are read and checked on a thread, so that others are answered meanwhile.
LARGE = 64 << 10


class Ask(NamedTuple):
    """One request for one model. ``read`` makes sense of its body; ``version`` is empty unless the path names one;
    ``strict`` refuses words that the model does not know."""

    served: Served
    version: str
    read: Callable[[], AskedRows]
    size: int
    header_unit: str
    name_it: Callable[[object], str]
    began: float
    strict: bool = False
    caller: str = ""


class Answered(NamedTuple):
    """``head``: id, model, version, variant. ``unknown``: how many words of each input are no category."""

    head: dict[str, str]
    variant: Variant
    answers: Answers
    asked: AskedRows
    unknown: dict[str, int]


class Answering:
    """Answers requests of one server."""

    def __init__(self, metrics: Metrics, log: Sink, limits: Limits) -> None:
        self._metrics, self._log = metrics, log
        self._shadows = Shadows(metrics, log, limits)

    async def answer(self, ask: Ask) -> Answered:
        """Raises HttpError; whatever reached a version is counted under it.

        What the canary cannot answer the champion is asked. Its answer is logged as `asked`: nobody was drawn for it.
        """
        served, large = ask.served, ask.size > LARGE
        served.in_flight.count += 1
        arm, unit, asked = _chosen(served, ask.version), ask.header_unit, None
        request_id = ""
        try:
            asked = await asyncio.to_thread(ask.read) if large else ask.read()
            request_id = ask.name_it(asked.id)
            unit = asked.unit or ask.header_unit
            variant = served.variants[ask.version] if ask.version else served.choose(unit or request_id)
            arm = served.asked[ask.version] if ask.version else served.arms[variant.version]
            spare = None if ask.version or variant is not served.canary else served.champion
            if spare and served.breaker.is_open:
                variant, arm, spare = spare, served.asked[spare.version], None
            try:
                rows, answers = await self._tried(ask, variant, asked, request_id, large=large)
                if spare:
                    served.breaker.count(failed=False)
            except RequestError as exc:
                if not spare or exc.code == 429:
                    raise
                try:
                    rows, answers = await self._tried(ask, spare, asked, request_id, large=large)
                except RequestError:
                    raise exc from None
                # The champion answers it, so it is the canary's failure, and the caller sees none.
                what = "timed out" if exc.code == 504 else "failed"
                self._failed(ask, exc, arm, request_id, unit, asked, what)
                served.breaker.count(failed=True)
                variant, arm = spare, served.asked[spare.version]
            head = _head(served, variant, request_id)
            unknown = variant.model.signature.unknown(rows)
            self._note(ask, head, unit, variant, arm, asked, rows, answers, unknown)
            return Answered(head, variant, answers, asked, unknown)
        except RequestError as exc:
            what = (
                "busy" if exc.code == 429 else ""
            )  # its own queue is full: a busy server refuses before it comes here
            self._failed(ask, exc, arm, request_id or ask.name_it(None), unit, asked, what)
            raise
        finally:
            served.in_flight.count -= 1

    async def _tried(
        self, ask: Ask, variant: Variant, asked: AskedRows, request_id: str, *, large: bool
    ) -> tuple[Rows, Answers]:
        try:
            return await self._called(ask, variant, asked, large=large)
        except RequestError as exc:
            self._metrics.answered(ask.served.name, variant, exc.code, 0, 0.0)
            exc.headers = [*exc.headers, *head_lines(_head(ask.served, variant, request_id))]
            raise

    def refused(self, ask: Ask, exc: RequestError) -> None:
        """Log a request that never reached ``answer``."""
        self._failed(ask, exc, _chosen(ask.served, ask.version), ask.name_it(None), ask.header_unit, None)

    def _failed(
        self, ask: Ask, exc: RequestError, arm: Arm, request_id: str, unit: str, asked: AskedRows | None,
        what: str = "",
    ) -> None:  # fmt: skip
        seconds, now = time.perf_counter() - ask.began, clock.timestamp()
        self._log.put(
            Exchange(
                request_id, ask.caller, unit or None, arm, {}, {}, seconds, now - seconds, now,
                0, what or outcome_of(exc), exc.reason, asked.length if asked else 0,
            )
        )  # fmt: skip

    async def _called(self, ask: Ask, variant: Variant, asked: AskedRows, *, large: bool) -> tuple[Rows, Answers]:
        signature = variant.model.signature
        narrow = signature.inputs != ask.served.champion.model.signature.inputs

        def encode() -> Rows:
            rows = asked.encoded(signature, narrow=narrow)
            if ask.strict:
                signature.refuse_unknown(rows)
            return rows

        try:
            rows = await asyncio.to_thread(encode) if large else encode()
            return rows, await variant.runner.answers(rows)
        except (InputError, UnknownWordError) as exc:
            raise misfit(exc) from None
        except BusyError as exc:
            raise RequestError(429, "busy", exc.message, hint=exc.hint, headers=[(b"retry-after", b"1")]) from None
        except SlowError as exc:
            raise RequestError(504, "slow", exc.message, hint=exc.hint) from None
        except ModelError as exc:
            raise RequestError(500, "model", exc.message, hint="the request is sound; the model is not") from None

    def _note(
        self,
        ask: Ask,
        head: dict[str, str],
        unit: str,
        variant: Variant,
        arm: Arm,
        asked: AskedRows,
        rows: Rows,
        answers: Answers,
        unknown: dict[str, int],
    ) -> None:
        seconds, now = time.perf_counter() - ask.began, clock.timestamp()
        signature = variant.model.signature
        self._metrics.answered(ask.served.name, variant, 200, len(rows), seconds)
        if unknown:
            self._metrics.unknown(ask.served.name, unknown)
        # An unknown word is lost in the encoded rows, and the log must keep it: drift is found there.
        features: Any = asked.raw(signature) if unknown else Encoded(rows, signature.arrays)
        event = Exchange(
            head["id"], ask.caller, unit or None, arm, features, Encoded(answers, signature.named),
            seconds, now - seconds, now, ask.size,
        )  # fmt: skip
        self._log.put(event)
        if ask.served.shadows and not ask.version:
            self._shadows.show(ask.served, unit or head["id"], asked, event)


def _head(served: Served, variant: Variant, request_id: str) -> dict[str, str]:
    return {"id": request_id, "model": served.name, "version": variant.version, "variant": variant.role}


def _chosen(served: Served, version: str) -> Arm:
    return served.asked[version] if version else served.unrouted


def misfit(exc: InputError | UnknownWordError) -> RequestError:
    """The answer to rows that do not fit the signature."""
    problems = [{"input": p.field, "expected": p.expected, "got": p.got, "row": p.row} for p in exc.problems]
    return RequestError(422, "input", f"the request does not fit the signature: {exc}", problems=problems)


def outcome_of(exc: RequestError) -> str:
    """The word of the log for an error."""
    if exc.code == 504:
        return "timed out"
    if exc.code >= 500:
        return "failed"
    return "invalid" if exc.code in (400, 415, 422) else "refused"


def head_lines(head: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Response headers that name what answered."""
    return [(b"x-request-id", head["id"].encode()), *_named(head["model"], head["version"], head["variant"])]


@lru_cache(maxsize=256)
def _named(model: str, version: str, variant: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"gitml-model", model.encode()),
        (b"gitml-version", version.encode()),
        (b"gitml-variant", variant.encode()),
    )
