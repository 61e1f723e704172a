"""Messages a second through ``gitml stream`` beside a naive loop with one predict each; and how late answers are.

A broker of Kafka's protocol in a process of its own (`make test-kafka` installs it), four partitions, one process that
answers. Both drain a topic that is full; then messages come at ``PACE`` a second to a process that was started with
``--p99 BOUND``, and each answer's time from being sent to being read, committed, is taken, beside what the process
itself says of it. ``MESSAGES=100000 BOUND=100ms python -m benchmarks.stream``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

TESTS = Path(__file__).parent.parent / "tests"
MESSAGES, PACE, SECONDS = int(os.environ.get("MESSAGES", "20000")), 200, 15
BOUND = os.environ.get("BOUND", "100ms")
_NAIVE = """
import json, sys
import pandas as pd, skops.io
from confluent_kafka import Consumer, Producer
broker, place, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = skops.io.load(place, trusted=skops.io.get_untrusted_types(file=place))
names = ["carrier", "distance", "origin", "age"]
consumer = Consumer({"bootstrap.servers": broker, "group.id": "naive", "auto.offset.reset": "earliest"})
producer = Producer({"bootstrap.servers": broker})
consumer.subscribe(["asked"])
print("ready", flush=True)
for _ in range(count):
    while (message := consumer.poll(1.0)) is None or message.error():
        pass
    asked = json.loads(message.value())
    p = model.predict_proba(pd.DataFrame(asked["rows"])[names])[:, 1]
    producer.produce("naive", json.dumps({"id": asked["id"], "outputs": {"p_late": p.tolist()}}), message.key())
    producer.poll(0)
producer.flush()
consumer.close()
"""


def naive(broker: str, model: Path, count: int) -> float:
    """Messages a second, from the first one on."""
    words = [sys.executable, "-c", _NAIVE, broker, str(model), str(count)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        assert process.stdout
        process.stdout.readline()
        began = time.perf_counter()
        process.wait()
    return count / (time.perf_counter() - began)


def main() -> None:
    sys.path.append(str(TESTS))
    from cli.test_serve import APPLICATION, register
    from conftest import write
    from inference.clusters import free_ports
    from serving_models import fitted, saved
    from serving_server import ROW
    from streaming.test_kafka import deploy, send, streaming
    from streamkit import Reader, broker_command, running_broker, topics

    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        root, place = folder / "app", folder / "broker"
        place.mkdir()
        write(root, {"gitml.yaml": APPLICATION})
        saved(fitted("boosting"), root / "model.skops")
        deploy(root, register(root, "delay", root / "model.skops"))
        with running_broker(broker_command() or "noida-db", place) as broker:
            topics(broker, "asked", "told", "told.dead", "naive")
            send(broker, 0, MESSAGES)
            few = min(MESSAGES, 1_000)
            slow = naive(broker, root / "model.skops", few)
            reader = Reader(broker, "told", lambda m: (json.loads(m.value())["id"], time.time()))
            with streaming(root, broker, "--log", str(folder / "log")):
                began = time.perf_counter()
                reader.until(MESSAGES, 3600)
                rate = MESSAGES / (time.perf_counter() - began - 1.0)  # the reader listens for a second more
            [port] = free_ports(1)
            with streaming(root, broker, "--log", str(folder / "log"), "--p99", BOUND, "--metrics", str(port)):
                late = paced(broker, ROW, reader)
                page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    print(f"{MESSAGES:,} messages: gitml {rate:,.0f}/s, naive loop {slow:,.0f}/s, {rate / slow:.1f} ×")
    told = dict(line.rsplit(" ", 1) for line in page.splitlines() if line.startswith("gitml_stream_latency_"))
    own, bound = (float(told[f"gitml_stream_latency_{name}_seconds"]) for name in ("p99", "bound"))
    print(f"p99 {own * 1000:.0f} ms to the commit, bound {bound * 1000:.0f} ms: {'kept' if own <= bound else 'missed'}")
    print(f"at {PACE}/s: " + ", ".join(f"{n} {1000 * late[int(q * (len(late) - 1))]:.0f} ms" for n, q in QUANTILES))


QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("most", 1.0))


def paced(broker: str, row: dict[str, object], reader: Any) -> list[float]:
    """Seconds from sent to read, sorted."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker, "linger.ms": 0})
    reader.found.clear()
    began = time.time()
    for number in range(PACE * SECONDS):
        while time.time() < began + number / PACE:
            reader.poll(0.001)
        producer.produce("asked", json.dumps({"rows": [row], "id": repr(time.time())}), f"N{number % 40}")
        producer.poll(0)
    reader.until(PACE * SECONDS)
    return sorted(read - float(sent) for sent, read in reader.found)


if __name__ == "__main__":
    main()
