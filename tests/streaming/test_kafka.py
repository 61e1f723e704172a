"""`gitml stream` against a broker of Kafka's protocol: processes are killed, come back, swap, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from cli.test_serve import APPLICATION, register
from conftest import write
from gitml.registry import Record
from gitml.spec.deployment import Deployment, Pin, render_deployment
from gitml.traffic.reader import requests
from serving_models import fitted, saved
from serving_server import ROW
from streamkit import Reader, forget, topics

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.nightly,
    pytest.mark.slow,
]
# `make test-kafka-million` takes a million.
KEYS, MESSAGES = 40, int(os.environ.get("GITML_STREAM_MESSAGES", "3000"))
KILLS = 5
# Small ones, so that a process is killed between many of them.
BATCH = "50" if MESSAGES < 50_000 else "500"
# So many more may be asked than are answered.
BLOCK = 20_000


@pytest.fixture
def app(tmp_path: Path) -> tuple[Path, list[Record]]:
    """Two versions, and an environment's file that pins the first."""
    root = tmp_path / "app"
    write(root, {"gitml.yaml": APPLICATION})
    found = []
    for name in ("boosting", "onehot"):
        saved(fitted(name), root / "model.skops")
        shutil.copy(root / "model.skops", root / f"{name}.bytes")
        found.append(register(root, "delay", root / "model.skops"))
        keep = root / ".dvc" / "tmp" / "gitml" / "artifacts"
        keep.mkdir(parents=True, exist_ok=True)
    deploy(root, found[0])
    shutil.copy(root / "boosting.bytes", root / "model.skops")
    return root, found


def deploy(root: Path, record: Record) -> None:
    pin = Pin(version=record.version, digest=record.files[record.artifact].sha256)
    write(root, {"models/delay/production.yaml": render_deployment(Deployment(champion=pin))})


@contextmanager
def streaming(root: Path, broker: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    words = ["--from", f"kafka://{broker}/asked", "--to", f"kafka://{broker}/told", "--every", "0.2", *more]
    command = [sys.executable, "-m", "gitml", "-C", str(root), "stream", "delay@production", *words]
    with (root / "stream.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert "answers kafka://" in line, (root / "stream.log").read_text()
        yield process
    finally:
        process.kill()
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def send(broker: str, first: int, last: int) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker})
    for number in range(first, last):
        row = {**ROW, "distance": 100 + number % 2900}
        while True:
            try:
                producer.produce("asked", json.dumps({"rows": [row], "id": f"r-{number}"}), f"N{number % KEYS}")
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0


class Told(NamedTuple):
    key: int
    number: int
    version: str


def told(message: Any) -> Told:
    number = int(json.loads(message.value())["id"].removeprefix("r-"))
    version = dict(message.headers())["gitml-version"].decode()
    return Told(int(message.key().decode().removeprefix("N")), number, sys.intern(version))


def feed(broker: str, reader: Reader, group: str, first: int, last: int) -> None:
    """Send them, not many more than are answered, and have the broker forget what is done."""
    for begin in range(first, last, BLOCK):
        send(broker, begin, min(begin + BLOCK, last))
        reader.until(begin, more=0)
        forget(broker, committed(broker, group))
        forget(broker, reader.places())


# The last resort: what makes no progress is given up by itself.
@pytest.mark.timeout(1800 + MESSAGES / 50)
def test_nothing_is_lost_or_doubled_by_kills_a_second_process_and_a_swap(
    app: tuple[Path, list[Record]], broker: str, tmp_path: Path
) -> None:
    root, (first, second) = app
    topics(broker, "asked", "told", "told.dead")
    reader, log, part = Reader(broker, "told", told), tmp_path / "log", MESSAGES // (KILLS + 1)
    options = ["--log", str(log), "--batch", BATCH, "--group"]
    for number in range(KILLS):
        with streaming(root, broker, *options, taken_over(broker, number)) as one:
            feed(broker, reader, f"g{number}", number * part, (number + 1) * part)
            reader.until(number * part + part // 2, more=0)
            one.send_signal(signal.SIGKILL)
    begun = KILLS * part
    with streaming(root, broker, *options, taken_over(broker, KILLS)):
        reader.until(begun)
        with streaming(root, broker, *options, f"g{KILLS}") as another:
            shutil.copy(root / "onehot.bytes", root / "model.skops")
            deploy(root, second)
            wait_for(root, f"delay@{second.version[-8:]} answers from now on", times=2)
            feed(broker, reader, f"g{KILLS}", begun, MESSAGES)
            reader.until(begun + 20, more=0)
            another.send_signal(signal.SIGTERM)
            assert another.wait(60) == 0
        reader.until(MESSAGES)
    assert Counter(one.number for one in reader.found) == dict.fromkeys(range(MESSAGES), 1), "each once"
    last = dict.fromkeys(range(KEYS), -1)
    for one in reader.found:
        assert last[one.key] < one.number, "in the order of its key"
        last[one.key] = one.number
    assert {one.version for one in reader.found if one.number < begun} == {first.version}
    assert {one.version for one in reader.found if one.number >= begun} == {second.version}
    logged = [
        name for batch in requests(log, "delay", columns=["request_id"]) for name in batch["request_id"].to_pylist()
    ]
    assert len(logged) == len(set(logged))
    # What was in memory when they were killed: a second at most, of some thousands a second.
    assert MESSAGES - len(logged) < max(MESSAGES * 0.2, KILLS * BLOCK)


def taken_over(broker: str, number: int) -> str:
    """A group that goes on from what the one before committed. This broker waits for ever for a member that was killed,
    where Kafka gives its partitions to others when its session ends."""
    from confluent_kafka import Consumer

    if number and (places := committed(broker, f"g{number - 1}")):
        after = Consumer({"bootstrap.servers": broker, "group.id": f"g{number}"})
        after.commit(offsets=places, asynchronous=False)
        after.close()
    return f"g{number}"


def committed(broker: str, group: str) -> list[Any]:
    """The places that the group goes on at."""
    from confluent_kafka import Consumer, TopicPartition

    asked = Consumer({"bootstrap.servers": broker, "group.id": group})
    try:
        places = asked.committed([TopicPartition("asked", place) for place in range(4)], 60)
    finally:
        asked.close()
    return [place for place in places if place.offset >= 0]


def test_partitions_of_a_killed_process_go_to_another_one(app: tuple[Path, list[Record]]) -> None:
    """On librdkafka's own broker, which has sessions but shows what was taken back."""
    from confluent_kafka import Producer

    cluster = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1})
    host = next(iter(cluster.list_topics(timeout=30).brokers.values()))
    root, broker = app[0], f"{host.host}:{host.port}"
    reader = Reader(broker, "told")
    with streaming(root, broker) as one:
        send(broker, 0, 200)
        reader.until(50)
        one.send_signal(signal.SIGKILL)
    with streaming(root, broker):
        send(broker, 200, 400)
        end = time.monotonic() + 90
        while len(answered(reader)) < 400 and time.monotonic() < end:
            reader.until(len(reader.found) + 1, 5.0)
    assert answered(reader) == {f"r-{n}" for n in range(400)}


def answered(reader: Reader) -> set[str]:
    return {json.loads(m.value())["id"] for m in reader.found}


def wait_for(root: Path, words: str, times: int = 1) -> None:
    """Until the processes said so, all together, so many times."""
    end = time.monotonic() + 300
    while (root / "stream.log").read_text().count(words) < times:
        assert time.monotonic() < end, (root / "stream.log").read_text()
        time.sleep(0.05)


def test_dead_letters_metrics_and_a_graceful_end(app: tuple[Path, list[Record]], broker: str) -> None:
    from confluent_kafka import Producer

    root, _ = app
    topics(broker, "odd", "odd-told", "odd-told.dead")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    producer = Producer({"bootstrap.servers": broker})
    for value in (b"no json", json.dumps(ROW).encode(), None, json.dumps({**ROW, "distance": "far"}).encode()):
        producer.produce("odd", value, b"k")
    producer.flush(60)
    places = [
        "--from",
        f"kafka://{broker}/odd",
        "--to",
        f"kafka://{broker}/odd-told",
        "--metrics",
        str(port),
        "--group",
        "odd",
    ]
    with streaming(root, broker, *places) as process:
        dead, told = Reader(broker, "odd-told.dead"), Reader(broker, "odd-told")
        told.until(1)
        dead.until(3)
        page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert [dict(m.headers())["gitml-reason"] for m in dead.found] == [b"json", b"json", b"input"]
    assert [m.value() for m in dead.found][:2] == [b"no json", None]
    assert len(told.found) == 1
    assert "gitml_stream_dead_letters_total 3.0" in page
    assert "gitml_stream_messages_total 1.0" in page
    assert "gitml_stream_lag 0.0" in page


def test_a_broker_that_is_not_there_is_said(app: tuple[Path, list[Record]]) -> None:
    root, _ = app
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        words = ["--from", f"kafka://127.0.0.1:{closed.getsockname()[1]}/a", "--to"]
        words += [f"kafka://127.0.0.1:{closed.getsockname()[1]}/b"]
        command = [sys.executable, "-m", "gitml", "-C", str(root), "stream", "delay@production", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "does not answer" in done.stderr
