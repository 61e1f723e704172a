"""From messages to answers: the routing of the server, one call of the model for many, dead letters for the rest.

Nothing here knows a broker, and nothing is remembered: the same messages by the same versions are the same answers.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from gitml import clock
from gitml.models.model import Answers, ModelError, UnknownWordError
from gitml.models.signature import InputError, Rows, said_unknown
from gitml.serving import plainjson
from gitml.serving.answering import misfit, outcome_of
from gitml.serving.limits import Limits
from gitml.serving.metrics import Metrics
from gitml.serving.plainjson import AskedRows, outputs
from gitml.serving.state import Served, Variant
from gitml.serving.wire import RequestError, parse_json
from gitml.streaming.messages import StreamAnswer, StreamMessage
from gitml.traffic.exchange import Arm, Encoded, Exchange

ARROW = b"application/vnd.apache.arrow.stream"
_ERRORS = 1000  # characters of an error in a header


@dataclass(frozen=True)
class ScoredMessages:
    """``answers`` in the order of the messages; ``events`` for the traffic, to be told once they are sent."""

    answers: tuple[StreamAnswer, ...] = ()
    events: tuple[Exchange, ...] = ()


@dataclass
class _Asking:
    """One message on its way. ``spare``: who answers where the canary cannot."""

    message: StreamMessage
    name: str
    unit: str = ""
    arm: Arm = field(default_factory=lambda: Arm(""))
    asked: AskedRows | None = None
    variant: Variant | None = None
    rows: Rows | None = None
    answers: Answers | None = None
    error: RequestError | None = None

    @property
    def is_arrow(self) -> bool:
        return self.message.headers.get("content-type", b"").lower() == ARROW


class MessageScoring:
    """Scores for what ``served`` is when it is called. ``limits``: those of one message, as of one request. ``narrow``:
    messages hold more than the versions take, as the rows of a table do."""

    def __init__(self, metrics: Metrics, limits: Limits | None = None, *, narrow: bool = False) -> None:
        self._metrics, self._limits, self._narrow = metrics, limits or Limits(), narrow

    def scored(self, served: Served, messages: Sequence[StreamMessage]) -> ScoredMessages:
        """Never raises for what is in a message: that becomes a dead letter with the reason."""
        began, now = time.perf_counter(), clock.timestamp()
        asking = [self._read(served, message) for message in messages]
        for variant in served.variants.values():
            mine = [one for one in asking if one.variant is variant and one.error is None]
            self._call(served, variant, mine)
        events = [event for one in asking for event in self._events(served, one, time.perf_counter() - began, now)]
        return ScoredMessages(tuple(_answer(served, one) for one in asking), tuple(events))

    def _read(self, served: Served, message: StreamMessage) -> _Asking:
        own = message.headers.get("x-request-id", b"").decode(errors="replace")
        one = _Asking(message, own or str(message.position), arm=served.unrouted)
        try:
            one.asked = self._asked(one)
            named = one.asked.id
            if isinstance(named, str) and 0 < len(named) <= 128 and named.isascii() and named.isprintable():
                one.name = named
            key = (message.key or b"").decode("utf-8", "surrogateescape")
            one.unit = one.asked.unit or key
            variant = served.choose(one.unit or one.name)
            one.arm = served.arms[variant.version]
            if variant is served.canary and served.breaker.is_open:
                variant = served.champion
                one.arm = served.asked[variant.version]
            one.variant = variant
            one.rows = self._encoded(served, one.asked, variant)
        except RequestError as exc:
            one.error = exc
        return one

    def _asked(self, one: _Asking) -> AskedRows:
        body = one.message.value
        if body is None:
            raise RequestError(400, "json", "the message has no value")
        if len(body) > self._limits.body:
            raise RequestError(413, "large", f"the message has {len(body):,} bytes, {self._limits.body:,} are allowed")
        if one.is_arrow:
            return _arrow(body, self._limits)
        found = parse_json(body)
        if isinstance(found, dict) and not {"rows", "columns"} & set(found):
            # A row alone, as most topics have them.
            return AskedRows([found], None, "", None)
        return plainjson.asked(body, self._limits)

    def _encoded(self, served: Served, asked: AskedRows, variant: Variant) -> Rows:
        signature = variant.model.signature
        try:
            narrow = self._narrow or signature.inputs != served.champion.model.signature.inputs
            return asked.encoded(signature, narrow=narrow)
        except InputError as exc:
            raise misfit(exc) from None

    def _call(self, served: Served, variant: Variant, mine: Sequence[_Asking]) -> None:
        """All at once, and where that fails, one by one: only the message at fault gets the error."""
        for some in _portions(mine, self._limits.rows):
            try:
                _shared(some, variant.model.answers(np.concatenate([one.rows for one in some if one.rows is not None])))
            except ModelError:
                for one in some:
                    self._alone(served, variant, one)
            else:
                if variant is served.canary:
                    served.breaker.count(failed=False)

    def _alone(self, served: Served, variant: Variant, one: _Asking) -> None:
        assert one.rows is not None
        try:
            one.answers = variant.model.answers(one.rows)
        except ModelError as exc:
            one.error = misfit(exc) if isinstance(exc, UnknownWordError) else RequestError(500, "model", exc.message)
            if variant is served.canary:
                self._spared(served, one)
                # A word that the champion refuses too says nothing of the canary.
                if one.error is None or not isinstance(exc, UnknownWordError):
                    served.breaker.count(failed=True)

    def _spared(self, served: Served, one: _Asking) -> None:
        """The champion answers what its canary cannot; that is nobody's arm."""
        assert one.asked is not None
        try:
            rows = self._encoded(served, one.asked, served.champion)
            answers = served.champion.model.answers(rows)
        except (RequestError, ModelError):
            return
        one.variant, one.rows, one.answers, one.error = served.champion, rows, answers, None
        one.arm = served.asked[served.champion.version]

    def _events(self, served: Served, one: _Asking, seconds: float, now: float) -> list[Exchange]:
        caller, unit = one.message.position.topic, one.unit or None
        size = len(one.message.value or b"")
        if one.error is not None or one.variant is None or one.rows is None or one.answers is None:
            error = one.error or RequestError(500, "bug", "the message was not answered")
            if one.variant is not None:
                self._metrics.answered(served.name, one.variant, error.code, 0, 0.0)
            return [
                Exchange(
                    one.name, caller, unit, one.arm, {}, {}, seconds, now, now + seconds, 0,
                    outcome_of(error), error.reason, one.asked.length if one.asked else 0,
                )
            ]  # fmt: skip
        signature = one.variant.model.signature
        self._metrics.answered(served.name, one.variant, 200, len(one.rows), seconds)
        unknown = signature.unknown(one.rows)
        if unknown:
            self._metrics.unknown(served.name, unknown)
        features: Any = one.asked.raw(signature) if unknown and one.asked else Encoded(one.rows, signature.arrays)
        output = Encoded(one.answers, signature.named)
        return [Exchange(one.name, caller, unit, one.arm, features, output, seconds, now, now + seconds, size)]


def _portions(mine: Sequence[_Asking], most: int) -> list[list[_Asking]]:
    found: list[list[_Asking]] = []
    room = 0
    for one in mine:
        length = len(one.rows) if one.rows is not None else 0
        if not found or length > room:
            found.append([])
            room = most
        found[-1].append(one)
        room -= length
    return found


def _shared(some: Sequence[_Asking], answers: Answers) -> None:
    begin = 0
    for one in some:
        end = begin + (len(one.rows) if one.rows is not None else 0)
        one.answers = answers[begin:end]
        begin = end


def _answer(served: Served, one: _Asking) -> StreamAnswer:
    position = one.message.position
    headers = {"x-request-id": one.name.encode(), "gitml-position": str(position).encode()}
    if one.error is not None or one.variant is None or one.answers is None:
        error = one.error or RequestError(500, "bug", "the message was not answered")
        kept = {k: v for k, v in one.message.headers.items() if k not in headers}
        told = {"gitml-reason": error.reason.encode(), "gitml-error": error.message[:_ERRORS].encode()}
        return StreamAnswer(position, one.message.key, one.message.value, {**kept, **headers, **told}, dead=True)
    variant = one.variant
    head = {"id": one.name, "model": served.name, "version": variant.version, "variant": variant.role}
    headers |= {f"gitml-{name}": head[name].encode() for name in ("model", "version", "variant")}
    headers["gitml-digest"] = variant.digest.encode()
    signature = variant.model.signature
    unknown = signature.unknown(one.rows) if one.rows is not None else {}
    if one.is_arrow:
        headers["content-type"] = ARROW
        if unknown:
            headers["gitml-warnings"] = "; ".join(said_unknown(unknown)).encode()
        return StreamAnswer(position, one.message.key, _to_arrow(outputs(signature, one.answers)), headers)
    return StreamAnswer(position, one.message.key, plainjson.answer(head, signature, one.answers, unknown), headers)


def _arrow(body: bytes, limits: Limits) -> AskedRows:
    """Raises RequestError for what is no stream of Arrow, or more rows than one message may have."""
    try:
        with pa.ipc.open_stream(io.BytesIO(body)) as reader:
            table = reader.read_all()
        doubled = next((name for name in table.column_names if table.column_names.count(name) > 1), None)
        if doubled is not None:
            raise ValueError(f"it has two columns {doubled[:100]}")
        columns = table.to_pydict()
    except (pa.ArrowException, ValueError, OSError) as exc:
        raise RequestError(400, "arrow", f"the value cannot be read as a stream of Arrow: {exc}"[:300]) from None
    plainjson.bounded(table.num_rows, limits)
    return AskedRows(None, columns, "", None)


def _to_arrow(columns: Mapping[str, Sequence[Any]]) -> bytes:
    table, sink = pa.table(dict(columns)), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()
