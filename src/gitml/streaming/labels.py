"""Labels from a topic: what really happened, kept beside the answers as callers of a server tell it.

At least once, which is enough: a label that comes again is the same correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from gitml.errors import OutsideError
from gitml.streaming.kafka import KafkaPlace, is_no_message, read_message, said
from gitml.streaming.messages import StreamMessage
from gitml.traffic.intake import LABEL_FIELDS, MOST, WrongEntry, checked_label
from gitml.traffic.labels import Label, LabelStore

_SECONDS = 30.0
# The partitions are another process's by now, which reads on from what was committed.
_GIVEN_AWAY = (
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError._NO_OFFSET,  # noqa: SLF001 — the name that the package gives it
)


class LabelTopic:
    """One member of the consumer group ``group``, which keeps labels of ``model`` in ``store``. Used by one thread.

    A message is what one entry of ``POST /models/MODEL/labels`` is; its key is the request id where it names none.
    What is none goes to the topic ``dead``, with the reason.
    """

    def __init__(
        self, place: KafkaPlace, model: str, store: LabelStore, *, group: str, settings: Sequence[tuple[str, str]] = ()
    ) -> None:
        common = {"bootstrap.servers": place.servers, **dict(place.settings), **dict(settings)}
        self._model, self._store, self.dead = model, store, f"{place.topic}.dead"
        self._failed = ""
        self._producer = Producer({**common, "enable.idempotence": True, "on_delivery": self._delivered})
        self._consumer = Consumer(
            {
                **common,
                "group.id": group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe([place.topic])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def take(self, seconds: float = 0.0) -> int:
        """Keep what has come, waiting so long for it at most; how many labels. Raises OutsideError."""
        kept, full = 0, True
        while full:
            messages = self._consumed(seconds)
            full = len(messages) == MOST
            if messages:
                kept += self._keep(messages)
        return kept

    def _consumed(self, seconds: float) -> list[StreamMessage]:
        try:
            raw = self._consumer.consume(MOST, seconds)
        except KafkaException as exc:
            raise OutsideError(f"Kafka gives no labels: {said(exc)}") from exc
        return [read_message(one) for one in raw if not is_no_message(one)]

    def _keep(self, messages: Sequence[StreamMessage]) -> int:
        found = [(message, label_of(message)) for message in messages]
        labels = [label for _, label in found if isinstance(label, Label)]
        for message, wrong in found:
            if isinstance(wrong, WrongEntry):
                self._reject(message, wrong)
        if self._producer.flush(_SECONDS) or self._failed:
            why = f"Kafka does not take dead letters of labels: {self._failed or 'it does not answer'}"
            raise OutsideError(why, f"is there a topic {self.dead}, and may it be written?")
        self._store.add(self._model, labels, "topic")
        # On the disk by now: what comes again after this is the same label.
        self._commit(messages)
        return len(labels)

    def _reject(self, message: StreamMessage, wrong: WrongEntry) -> None:
        reason = f"{wrong.field or 'value'}: expected {wrong.expected}, got {wrong.got}"
        headers: dict[str, Any] = {**message.headers, "gitml-position": str(message.position).encode()}
        headers["gitml-error"] = reason.encode()
        try:
            self._producer.produce(self.dead, message.value, message.key, headers=headers)
        except BufferError:
            self._producer.flush(_SECONDS)
            self._producer.produce(self.dead, message.value, message.key, headers=headers)

    def _delivered(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._failed = error.str()

    def _commit(self, messages: Sequence[StreamMessage]) -> None:
        last = {(one.position.topic, one.position.partition): one.position.offset + 1 for one in messages}
        offsets = [TopicPartition(topic, place, offset) for (topic, place), offset in last.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as exc:
            if exc.args[0].code() not in _GIVEN_AWAY and not exc.args[0].retriable():
                raise OutsideError(f"Kafka does not note which labels were kept: {said(exc)}") from exc


def label_of(message: StreamMessage) -> Label | WrongEntry:
    """The label in a message, or what is wrong with it.

    >>> from gitml.streaming.messages import Position
    >>> label_of(StreamMessage(Position("known", 0, 0), b"r-1", b'{"label": true}'))
    Label(request_id='r-1', value=1.0, row=0, caller=None)
    """
    try:
        entry = orjson.loads(message.value or b"")
    except orjson.JSONDecodeError as exc:
        return WrongEntry(0, "", "an object as JSON", str(exc)[:60])
    if not isinstance(entry, dict):
        return WrongEntry(0, "", "an object", type(entry).__name__)
    unknown = sorted(set(entry) - set(LABEL_FIELDS))
    if unknown:
        return WrongEntry(0, unknown[0][:60], " or ".join(LABEL_FIELDS), "another field")
    if "request_id" not in entry and message.key:
        entry["request_id"] = message.key.decode(errors="replace")
    return checked_label(0, entry)
