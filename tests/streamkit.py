"""What tests of streams share: topics, and a reader of what is committed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def topics(broker: str, *names: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic

    client = AdminClient({"bootstrap.servers": broker})
    for one in client.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        one.result(300)


def forget(broker: str, places: Sequence[Any]) -> None:
    """What lies before these places is not asked for again. The broker writes all that it holds into one file again
    and again."""
    from confluent_kafka.admin import AdminClient

    if places:
        # Without a name it is gone before it has an answer.
        client = AdminClient({"bootstrap.servers": broker})
        for one in client.delete_records(list(places)).values():
            one.result(60)


@contextmanager
def running_broker(command: str, folder: Path) -> Iterator[str]:
    """The address of a broker that keeps transactions, in a process of its own."""
    from confluent_kafka.admin import AdminClient

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["start", "--data-dir", str(folder), "--only", "kafka", "--kafka-port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([command, *words], stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=60)
        yield f"127.0.0.1:{port}"
    finally:
        # What was started is a wrapper: the broker is its child.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def broker_command() -> str | None:
    return shutil.which("noida-db", path=str(Path(sys.executable).parent))


class Reader:
    """A consumer of committed messages that reads a topic from its beginning; ``kept``: what it keeps of each."""

    def __init__(self, broker: str, topic: str, kept: Callable[[Any], Any] = lambda message: message) -> None:
        from confluent_kafka import Consumer

        self.found: list[Any] = []
        self._kept = kept
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker,
                "group.id": f"reader-{os.urandom(4).hex()}",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe([topic])

    def until(self, count: int, quiet: float = 120.0, more: float = 1.0) -> None:
        """Read on until there are so many, and for ``more`` seconds. Given up when nothing came for ``quiet`` seconds:
        a machine that is busy is slow, and not wrong."""
        came = time.monotonic()
        while len(self.found) < count and time.monotonic() < came + quiet:
            before = len(self.found)
            self.poll(0.5)
            if len(self.found) > before:
                came = time.monotonic()
        if more:
            self.poll(more)

    def places(self) -> list[Any]:
        """How far each partition was read."""
        return [one for one in self._consumer.position(self._consumer.assignment()) if one.offset > 0]

    def poll(self, seconds: float) -> None:
        self.found += [self._kept(one) for one in self._consumer.consume(500, seconds) if one.error() is None]
