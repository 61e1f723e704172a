"""Topics of Kafka through a job of Flink, with its own connector and a broker that keeps transactions."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gitml.engines.streamed import StreamTopics
from gitml.errors import OutsideError, UsageError
from gitml.inference.scoreengine import EngineWish
from gitml.inference.streamengine import EngineStreamCall, engine_stream
from inference.clusters import python_of
from inference.test_engines import first_below
from inference.test_streamengine import HEAVY, Running, Served, served
from scorekit import expected, rows
from streamkit import Reader, broker_command, running_broker, topics

__all__ = ["served"]
TOPICS = StreamTopics("127.0.0.1:9", "asked", "told", "told.dead", "g")


@pytest.fixture
def flink_topics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StreamTopics]:
    """Topics of a broker, with the files of the connector, which no package of Flink's own has."""
    folder = Path(sys.executable).parent.parent / "flink-kafka/pyflink/lib"
    jars = tuple(str(folder / f"{name}.jar") for name in ("flink-connector-kafka", "kafka-clients"))
    command = broker_command()
    if command is None or not all(os.path.exists(jar) for jar in jars):
        pytest.skip("needs a broker and Flink's connector for Kafka: make test-engines installs both")
    with running_broker(command, tmp_path_factory.mktemp("broker")) as address:
        topics(address, TOPICS.source, TOPICS.target, TOPICS.dead)
        yield replace(TOPICS, servers=address, jars=jars)


def send(broker: str, table: pd.DataFrame, *more: bytes | None) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker})
    for line in table.to_json(orient="records", lines=True).splitlines():
        producer.produce(TOPICS.source, line.encode())
    for value in more:
        producer.produce(TOPICS.source, value)
    assert producer.flush(120) == 0


def value_of(message: Any) -> dict[str, Any]:
    return dict(json.loads(message.value()))


@pytest.mark.parametrize("kind", [pytest.param("local", marks=[*HEAVY, pytest.mark.kafka])])
def test_flink_answers_each_message_of_a_topic_once_over_killed_processes_and_another_version(
    served: Served, flink_topics: StreamTopics, kind: str
) -> None:
    broker = flink_topics.servers
    told, dead = Reader(broker, TOPICS.target, value_of), Reader(broker, TOPICS.dead, value_of)
    wish = EngineWish("flink", workers=2, python=python_of("flink"))

    def running() -> Running:
        return Running(served.root, served.data, served.output, wish, flink_topics)

    def until(stream: Running, count: int) -> None:
        def is_so() -> bool:
            told.poll(0.5)
            return len(told.found) >= count

        stream.until(is_so)

    wrong = rows(100, 1).astype({"distance": "Int64"})
    wrong.loc[[3, 98], "distance"] = None
    send(broker, rows(100, 0), None, b"no json", b"\xff")
    send(broker, wrong)
    first = running()
    until(first, 198)
    send(broker, pd.concat([rows(100, 2)] * 100))
    first_below("gitml.engines.flinkworker", lambda p: not p.children()).kill()
    until(first, 10_198)
    send(broker, pd.concat([rows(100, 3)] * 100))
    first_below("gitml.engines.host", lambda p: p.ppid() == os.getpid()).kill()
    first.end()
    assert isinstance(first.raised, OutsideError), first.said

    again = running()
    until(again, 20_198)
    served.pin("onehot", "2026-02-01T00:00:00Z")
    again.until(lambda: any("answers from now on" in words for words in again.said))
    send(broker, rows(100, 4))
    until(again, 20_298)
    again.end()
    assert again.raised is None, again.said
    told.poll(5.0)
    dead.until(5)
    counts = Counter(one["flight"] for one in told.found)
    left_out = {"1-0003", "1-0098"}
    wanted = {f"{seed}-{n:04}": 100 if seed in (2, 3) else 1 for seed in range(5) for n in range(100)}
    assert counts == {name: count for name, count in wanted.items() if name not in left_out}
    given = [json.loads(one["line"])["flight"] for one in dead.found if (one["line"] or "").startswith("{")]
    assert sorted(given) == sorted(left_out)
    assert len(dead.found) == 5
    answered = pd.DataFrame(told.found).drop_duplicates("flight").set_index("flight")
    table = pd.concat([expected(0), expected(1).drop([3, 98]), expected(2), expected(3)])
    assert answered.loc[table["flight"], "p_late"].to_numpy() == pytest.approx(table["p_late"].to_numpy(), abs=1e-9)
    assert answered.loc["4-0000", "gitml_version"] != answered.loc["0-0000", "gitml_version"]


@pytest.mark.parametrize(
    ("engine", "changes", "words"),
    [
        ("spark", {}, "would answer some messages twice"),
        ("flink", {"target": "asked"}, "both topics are the same"),
        ("flink", {}, "has no connector for Kafka of its own"),
        ("flink", {"jars": ("/none.jar",)}, r"/none\.jar is not a file"),
    ],
)
def test_an_engine_that_cannot_answer_topics_is_refused(
    tmp_path: Path, engine: str, changes: dict[str, Any], words: str
) -> None:
    call = EngineStreamCall("", str(tmp_path), EngineWish(engine), topics=replace(TOPICS, **changes))
    with pytest.raises(UsageError, match=words):
        engine_stream(tmp_path, "delay@production", call, threading.Event(), print)
