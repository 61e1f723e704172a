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
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.test_serve import APPLICATION, register
from conftest import write
from gitml.registry import Record
from gitml.spec.deployment import Deployment, Pin, render_deployment
from gitml.traffic.reader import requests
from serving_models import fitted, saved
from serving_server import ROW

BROKER = shutil.which("noida-db", path=str(Path(sys.executable).parent))
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.nightly,
    pytest.mark.slow,
    pytest.mark.skipif(BROKER is None, reason="needs a broker: make test-kafka installs one"),
]
KEYS, MESSAGES = 40, 3000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from confluent_kafka.admin import AdminClient

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("broker")
    words = ["start", "--data-dir", str(folder), "--only", "kafka", "--kafka-port", str(port)]
    assert BROKER
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([BROKER, *words], stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=60)
        yield f"127.0.0.1:{port}"
    finally:
        # What was started is a wrapper: the broker is its child.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def topics(broker: str, *names: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    client = AdminClient({"bootstrap.servers": broker})
    for one in client.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        one.result(60)


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


class Reader:
    """A consumer of committed messages that reads a topic from its beginning."""

    def __init__(self, broker: str, topic: str) -> None:
        from confluent_kafka import Consumer

        self.found: list[Any] = []

        self._consumer = Consumer(
            {
                "bootstrap.servers": broker,
                "group.id": f"reader-{os.urandom(4).hex()}",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe([topic])

    def until(self, count: int, seconds: float = 120.0) -> None:
        """Read on until there are so many, and for a second more."""
        end = time.monotonic() + seconds
        while len(self.found) < count and time.monotonic() < end:
            self._more(0.5)
        self._more(1.0)

    def _more(self, seconds: float) -> None:
        self.found += [one for one in self._consumer.consume(500, seconds) if one.error() is None]


def send(broker: str, first: int, last: int) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker})
    for number in range(first, last):
        row = {**ROW, "distance": 100 + number % 2900}
        producer.produce("asked", json.dumps({"rows": [row], "id": f"r-{number}"}), f"N{number % KEYS}")
        producer.poll(0)
    assert producer.flush(60) == 0


def test_nothing_is_lost_or_doubled_by_kills_a_second_process_and_a_swap(
    app: tuple[Path, list[Record]], broker: str, tmp_path: Path
) -> None:
    root, (first, second) = app
    topics(broker, "asked", "told", "told.dead")
    reader, log, part = Reader(broker, "told"), tmp_path / "log", MESSAGES // 4
    for number in range(3):
        group = taken_over(broker, number)
        with streaming(root, broker, "--log", str(log), "--batch", "50", "--group", group) as one:
            send(broker, number * part, (number + 1) * part)
            reader.until(number * part + part // 2)
            one.send_signal(signal.SIGKILL)
    with streaming(root, broker, "--log", str(log), "--batch", "50", "--group", taken_over(broker, 3)):
        reader.until(3 * part)
        with streaming(root, broker, "--log", str(log), "--batch", "50", "--group", "g3") as another:
            shutil.copy(root / "onehot.bytes", root / "model.skops")
            deploy(root, second)
            wait_for(root, f"delay@{second.version[-8:]} answers from now on", times=2)
            send(broker, 3 * part, MESSAGES)
            reader.until(3 * part + 20)
            another.send_signal(signal.SIGTERM)
            assert another.wait(60) == 0
        reader.until(MESSAGES)
    told = [(m.key(), json.loads(m.value()), dict(m.headers())) for m in reader.found]
    ids = [body["id"] for _, body, _ in told]
    assert sorted(ids) == sorted(f"r-{n}" for n in range(MESSAGES)), "each once"
    by_key = defaultdict(list)
    for key, body, _ in told:
        by_key[key].append(int(body["id"].removeprefix("r-")))
    assert all(numbers == sorted(numbers) for numbers in by_key.values()), "in the order of its key"
    versions = {int(body["id"].removeprefix("r-")): headers["gitml-version"].decode() for _, body, headers in told}
    assert {versions[n] for n in range(3 * part)} == {first.version}
    assert {versions[n] for n in range(3 * part, MESSAGES)} == {second.version}
    logged = [name for batch in requests(log, "delay") for name in batch["request_id"].to_pylist()]
    assert len(logged) == len(set(logged))
    assert len(logged) > MESSAGES * 0.8, "but for what was in memory when they were killed"


def taken_over(broker: str, number: int) -> str:
    """A group that goes on from what the one before committed. This broker waits for ever for a member that was killed,
    where Kafka gives its partitions to others when its session ends."""
    from confluent_kafka import Consumer, TopicPartition

    places = [TopicPartition("asked", place) for place in range(4)]
    before, after = (Consumer({"bootstrap.servers": broker, "group.id": f"g{n}"}) for n in (number - 1, number))
    committed = [place for place in before.committed(places, 60) if place.offset >= 0] if number else []
    if committed:
        after.commit(offsets=committed, asynchronous=False)
    before.close()
    after.close()
    return f"g{number}"


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
    end = time.monotonic() + 60
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
