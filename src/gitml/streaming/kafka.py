"""Kafka as a broker: consumed and produced in transactions that carry the group's offsets (KIP-98, KIP-447).

A transaction is committed with the generation of the consumer group, so that a process whose partitions were given away
commits nothing. What a transaction that was not committed produced, readers with ``isolation.level=read_committed``
do not see.
"""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from gitml.errors import OutsideError, UsageError
from gitml.streaming.messages import Position, StreamAnswer, StreamMessage

_SECONDS = 30.0
# What a process that was killed leaves open is aborted after this, or when its name comes again.
_OPEN_MS, _SESSION_MS = 15_000, 10_000


@dataclass(frozen=True)
class KafkaPlace:
    """``kafka://HOST:PORT[,HOST:PORT]/TOPIC``; what follows a ``?`` are settings of librdkafka."""

    servers: str
    topic: str
    settings: tuple[tuple[str, str], ...] = ()


def kafka_place(url: str) -> KafkaPlace:
    """Raises UsageError.

    >>> kafka_place("kafka://a:9092,b:9092/requests?security.protocol=SSL")
    KafkaPlace(servers='a:9092,b:9092', topic='requests', settings=(('security.protocol', 'SSL'),))
    """
    parts = urlsplit(url)
    topic = parts.path.strip("/")
    if parts.scheme != "kafka" or not parts.netloc or not topic or "/" in topic:
        raise UsageError(f"{url!r} names no topic of Kafka", "write kafka://HOST:PORT/TOPIC")
    if "@" in parts.netloc:
        raise UsageError("a password does not belong into an address", "name a file of settings with --kafka")
    return KafkaPlace(parts.netloc, topic, tuple(parse_qsl(parts.query)))


class KafkaBroker:
    """One member of the consumer group ``group``. ``name``: of the producer's transactions, no two processes at a time
    may have it. ``settings``: of librdkafka, for both sides.

    Raises OutsideError where the broker cannot be had.
    """

    def __init__(
        self,
        source: KafkaPlace,
        target: KafkaPlace,
        dead: str,
        *,
        group: str,
        name: str,
        settings: Sequence[tuple[str, str]] = (),
    ) -> None:
        if target.servers != source.servers:
            raise UsageError(
                "one transaction does not reach two clusters", "mirror one of the topics, or name topics of one cluster"
            )
        common = {"bootstrap.servers": source.servers, **dict(source.settings), **dict(settings)}
        self._target, self._dead, self._source = target.topic, dead, source.topic
        self._received: dict[tuple[str, int], int] = {}
        self._lost = False
        self._producer = Producer(
            {
                **common,
                **dict(target.settings),
                "transactional.id": name,
                "transaction.timeout.ms": _OPEN_MS,
                "enable.idempotence": True,
                "linger.ms": 0,
            }
        )
        self._consumer = Consumer(
            {
                **common,
                "group.id": group,
                # One that was killed holds its partitions for so long.
                "session.timeout.ms": _SESSION_MS,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "partition.assignment.strategy": "range",
                # What waits in memory is bounded: a slow model is the brake.
                "queued.max.messages.kbytes": 65_536,
            }
        )
        try:
            self._producer.init_transactions(_SECONDS)
            self._consumer.subscribe([source.topic], on_revoke=self._revoked, on_lost=self._revoked)
        except KafkaException as exc:
            raise OutsideError(f"Kafka at {source.servers} does not answer: {said(exc)}") from exc

    def receive(self, most: int, seconds: float) -> Sequence[StreamMessage]:
        self._lost = False
        found = self._consumed(1, 1.0)
        if found and most > 1:
            found += self._consumed(most - 1, seconds)
        if self._lost:
            # Some may be another process's by now, and the generation is a new one: committing them would double them.
            self._rewind({(one.position.topic, one.position.partition) for one in found})
            return ()
        for message in found:
            self._received[message.position.topic, message.position.partition] = message.position.offset + 1
        return found

    def _consumed(self, most: int, seconds: float) -> list[StreamMessage]:
        try:
            raw = self._consumer.consume(most, seconds)
        except KafkaException as exc:
            raise OutsideError(f"Kafka gives no messages: {said(exc)}") from exc
        return [read_message(one) for one in raw if not is_no_message(one)]

    def send(self, answers: Sequence[StreamAnswer]) -> bool:
        if not self._received:
            return True
        offsets = [TopicPartition(topic, place, offset) for (topic, place), offset in self._received.items()]
        self._received = {}
        try:
            self._producer.begin_transaction()
            for answer in answers:
                self._produce(answer)
            # Whose partitions were given away meanwhile has an old generation, and commits nothing.
            group = self._consumer.consumer_group_metadata()
            self._retried(lambda: self._producer.send_offsets_to_transaction(offsets, group, _SECONDS))
            self._retried(lambda: self._producer.commit_transaction(_SECONDS))
        except KafkaException as exc:
            self._abort(exc)
            return False
        return True

    def _produce(self, answer: StreamAnswer) -> None:
        topic = self._dead if answer.dead else self._target
        until = time.monotonic() + _SECONDS
        while True:
            try:
                self._producer.produce(topic, answer.value, answer.key, headers=dict(answer.headers))
            except BufferError:
                if time.monotonic() > until:
                    raise OutsideError("Kafka takes no more messages") from None
                self._producer.poll(0.1)
            else:
                return

    def _retried(self, step: Any) -> None:
        until = time.monotonic() + 2 * _SECONDS
        while True:
            try:
                step()
            except KafkaException as exc:
                if not exc.args[0].retriable() or time.monotonic() > until:
                    raise
            else:
                return

    def _abort(self, exc: KafkaException) -> None:
        """Raises OutsideError where this process can commit nothing any more."""
        if exc.args[0].fatal():
            raise OutsideError(
                f"Kafka lets this process commit nothing more: {said(exc)}", "is there another one of the same name?"
            ) from exc
        with suppress(KafkaException):
            self._retried(lambda: self._producer.abort_transaction(_SECONDS))
        self._rewind()

    def _rewind(self, of: Container[tuple[str, int]] | None = None) -> None:
        """What was received and not committed comes again; ``of``: of these partitions alone, if they are ours."""
        try:
            mine = [one for one in self._consumer.assignment() if of is None or (one.topic, one.partition) in of]
            for place in self._consumer.committed(mine, _SECONDS) if mine else ():
                if place.offset < 0:
                    place.offset = self._consumer.get_watermark_offsets(place, _SECONDS)[0]
                self._consumer.seek(place)
        except KafkaException as exc:
            raise OutsideError(f"Kafka does not say where to go on: {said(exc)}") from exc

    def _revoked(self, _consumer: Consumer, _places: Sequence[TopicPartition]) -> None:
        # Between two batches nothing is open; another process goes on from what was committed.
        self._lost, self._received = True, {}

    def lag(self) -> int:
        waiting = 0
        with suppress(KafkaException):
            for place in self._consumer.position(self._consumer.assignment()):
                bounds = self._consumer.get_watermark_offsets(place, cached=True)
                if bounds and place.offset >= 0:
                    waiting += max(0, bounds[1] - place.offset)
        return waiting

    def close(self) -> None:
        self._consumer.close()


def said(exc: KafkaException) -> str:
    """Kafka's error in its own words."""
    error = exc.args[0]
    return str(error.str() if isinstance(error, KafkaError) else error)


def is_no_message(message: Message) -> bool:
    """The end of a partition is no message; any other error is nothing to go on with."""
    error = message.error()
    if error is None:
        return False
    if error.fatal() or error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED):
        raise OutsideError(f"Kafka gives no messages: {error.str()}", "does the topic exist, and may it be read?")
    return True


def read_message(message: Message) -> StreamMessage:
    told: Any = message.headers() or ()
    headers = {name: value for name, value in told if value is not None}
    kind, moment = message.timestamp()
    return StreamMessage(
        Position(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)),
        _bytes(message.key()),
        _bytes(message.value()),
        {name.lower(): value if isinstance(value, bytes) else value.encode() for name, value in headers.items()},
        moment / 1000 if kind else 0.0,
    )


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
