"""Members of a group of consumers in this process: who reads on where another one stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gitml.errors import OutsideError
from gitml.streaming.kafka import KafkaBroker, kafka_place
from gitml.streaming.labels import LabelTopic
from gitml.streaming.messages import StreamAnswer
from gitml.traffic.labels import LabelStore
from gitml.traffic.reader import orphans
from gitml.traffic.stored import storing
from streamkit import Reader, topics

pytestmark = [pytest.mark.kafka, pytest.mark.nightly, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[str]:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1})
    host = next(iter(producer.list_topics(timeout=30).brokers.values()))
    yield f"{host.host}:{host.port}"
    producer.flush(1)


def produce(cluster: str, topic: str, messages: list[tuple[str, bytes | None]]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": cluster})
    for key, value in messages:
        producer.produce(topic, value, key)
    assert producer.flush(60) == 0


def member(broker: str, name: str) -> KafkaBroker:
    source, target = (kafka_place(f"kafka://{broker}/{topic}") for topic in ("given", "taken"))
    return KafkaBroker(source, target, "taken.dead", group="given", name=name)


def answer(broker: KafkaBroker, most: int, seconds: float) -> int:
    """One batch, as the loop of `gitml stream` takes it; how many messages it answered."""
    messages = broker.receive(most, seconds)
    answers = [StreamAnswer(m.position, m.key, str(m.position).encode(), {}) for m in messages]
    return len(answers) if broker.send(answers) else 0


def until(broker: KafkaBroker, count: int) -> int:
    answered, end = 0, time.monotonic() + 60
    while answered < count and time.monotonic() < end:
        answered += answer(broker, 500, 0.1)
    return answered


def test_partitions_that_are_given_away_while_a_batch_gathers_are_answered_once(broker: str) -> None:
    topics(broker, "given", "taken", "taken.dead")
    with closing(member(broker, "first")) as first:
        produce(broker, "given", [(f"N{n}", b"1") for n in range(40)])
        assert until(first, 40) == 40, "all partitions are its own"
        produce(broker, "given", [(f"N{n}", b"2") for n in range(40)])
        thrown_away, found = [], list[int]()

        def gather() -> None:
            # Far more than there is, so that it waits for more while the other one joins.
            thrown_away.append(answer(first, 10_000, 12.0) == 0)

        gathering = threading.Thread(target=gather)
        gathering.start()
        with closing(member(broker, "second")) as second:
            while gathering.is_alive():
                found.append(answer(second, 500, 0.1))
            end = time.monotonic() + 30
            while sum(found) < 40 and time.monotonic() < end:
                found += [answer(first, 500, 0.1), answer(second, 500, 0.1)]
    assert thrown_away == [True]
    taken = Reader(broker, "taken")
    taken.until(80)
    counts = Counter(m.value() for m in taken.found)
    assert (len(counts), set(counts.values())) == (80, {1})


def test_labels_of_a_topic_are_kept_once_and_what_is_none_is_a_dead_letter(broker: str, tmp_path: Path) -> None:
    topics(broker, "known", "known.dead")
    entries: list[tuple[str, bytes | None]] = [
        ("r-1", b'{"label": 1}'),
        ("r-1", b'{"label": 0}'),
        ("any", b'{"request_id": "r-2", "label": "late", "row": 3}'),
        ("r-3", b'{"label": NaN}'),
        ("r-4", None),
        ("r-5", b'{"label": 1, "labels": []}'),
    ]
    produce(broker, "known", entries)
    place = kafka_place(f"kafka://{broker}/known")
    store = LabelStore(tmp_path)
    with LabelTopic(place, "delay", store, group="l") as topic:
        end, kept = time.monotonic() + 60, 0
        while kept < 3 and time.monotonic() < end:
            kept += topic.take(0.5)
        assert kept == 3
    with LabelTopic(place, "delay", store, group="l") as topic:
        produce(broker, "known", [("r-9", b'{"label": 1}')])
        while kept < 4 and time.monotonic() < end:
            kept += topic.take(0.5)
    store.close()
    with storing(tmp_path, "labels", "delay", None, None) as stored:
        told = [row for day in stored.days() for batch in stored.rows(day) for row in batch.to_pylist()]
    found = [(row["request_id"], row["label"], row["label_text"], row["row"], row["source"]) for row in told]
    assert sorted(found, key=str) == [
        ("r-1", 0.0, None, 0, "topic"),
        ("r-1", 1.0, None, 0, "topic"),
        ("r-2", None, "late", 3, "topic"),
        ("r-9", 1.0, None, 0, "topic"),
    ], "none again"
    assert [label for name, label, *_ in found if name == "r-1"] == [1.0, 0.0], "the correction came last"
    assert orphans(tmp_path, "delay") == 3
    reader = Reader(broker, "known.dead")
    reader.until(3)
    dead = reader.found
    assert sorted(m.key() for m in dead) == [b"r-3", b"r-4", b"r-5"]
    assert {dict(m.headers())["gitml-position"].decode().partition("/")[0] for m in dead} == {"known"}


def test_labels_of_a_topic_that_is_not_there_are_said(cluster: str, tmp_path: Path) -> None:
    place = kafka_place(f"kafka://{cluster}/there?allow.auto.create.topics=false")

    def take(store: LabelStore) -> None:
        end = time.monotonic() + 30
        with LabelTopic(place, "delay", store, group="l") as topic:
            while time.monotonic() < end:
                topic.take(0.5)

    with closing(LabelStore(tmp_path)) as store, pytest.raises(OutsideError, match="gives no messages"):
        take(store)
