"""``gitml stream``: a topic through what an environment's file pins, which may change while messages flow."""

from __future__ import annotations

import fcntl
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from prometheus_client import start_http_server

from gitml.errors import GitmlError, OutsideError, UsageError
from gitml.inference.clone import loader
from gitml.inference.serve import TrialPlan, wanted_of
from gitml.models.cores import leave_out_of_collections
from gitml.serving.metrics import Metrics
from gitml.serving.state import ServerState
from gitml.streaming.kafka import KafkaBroker, kafka_place
from gitml.streaming.run import StreamBounds, StreamGauges, StreamLoop
from gitml.streaming.scoring import MessageScoring
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.writing import writing


@dataclass(frozen=True)
class StreamCall:
    """``source`` and ``target``: topics, as ``kafka://HOST:PORT/TOPIC``. ``dead``: that of dead letters. ``group``: of
    consumers; '' for one named by model and environment. ``settings`` are librdkafka's. ``metrics``: a port, 0 for
    none. ``every``: seconds between looks at the environment's file."""

    source: str
    target: str
    dead: str = ""
    group: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    bounds: StreamBounds = field(default_factory=StreamBounds)
    log: str = ""
    metrics: int = 0
    every: float = 5.0
    note: Callable[[str], None] = lambda _: None


def stream(root: Path, reference: str, call: StreamCall, stop: threading.Event, ready: Callable[[str], None]) -> None:
    """Until ``stop``. ``ready`` is told the champion's reference once messages flow. Raises as ``gitml serve``, and
    OutsideError where Kafka does not let it go on."""
    plan = wanted_of(root, reference)
    source, target = kafka_place(call.source), kafka_place(call.target)
    if source.topic == target.topic:
        raise UsageError("answers would be asked again: both topics are the same", "name another one with --to")
    state, model = ServerState(plan.environment), plan.record.model
    follow = _Follow(root, reference, state, call.every, call.note)
    follow.load(plan)
    leave_out_of_collections()
    group = call.group or f"gitml-{model}-{plan.environment}"
    local = root / ".dvc" / "tmp" / "gitml"
    origin = LogOrigin(environment=plan.environment)
    with (
        _named(root, f"gitml-{model}-{plan.environment}") as name,
        writing(call.log, origin, local / "log" if "://" in call.log else None) as writers,
    ):
        metrics = Metrics(state, writers.log.stats)
        broker = KafkaBroker(
            source, target, call.dead or f"{target.topic}.dead", group=group, name=name, settings=call.settings
        )
        try:
            with _metrics_at(call.metrics, metrics):
                gauges, scoring = StreamGauges(metrics.registry), MessageScoring(metrics, state.limits)
                loop = StreamLoop(model, state, broker, scoring, writers.log, gauges, call.bounds, follow)
                ready(plan.record.reference)
                loop.run(stop)
        finally:
            broker.close()


@dataclass
class _Follow:
    """Looks at the environment's file at times, and loads what is new beside what answers. One load at a time."""

    root: Path
    reference: str
    state: ServerState
    every: float
    note: Callable[[str], None]
    _next: float = 0.0
    _seen: TrialPlan | None = None
    _load: threading.Thread | None = None

    def __call__(self) -> None:
        if time.monotonic() < self._next or (self._load and self._load.is_alive()):
            return
        self._next = time.monotonic() + self.every
        try:
            plan = wanted_of(self.root, self.reference)
        except GitmlError as exc:
            self._say(f"what serves goes on: {exc.message}")
            return
        if self._seen is None or plan.deployment != self._seen.deployment:
            self._seen = plan
            self._load = threading.Thread(target=self._try, args=(plan,), name="gitml-load", daemon=True)
            self._load.start()

    def _try(self, plan: TrialPlan) -> None:
        try:
            self.load(plan)
        except Exception as exc:  # a stranger's model is loaded: whatever it raises, what serves goes on serving
            self._say(f"what serves goes on: {plan.record.reference} was not loaded: {exc}")
        else:
            self._say(f"{plan.record.reference} answers from now on")

    def load(self, plan: TrialPlan) -> None:
        """Raises what the loader raises."""
        self._seen = plan
        models, before = plan.application.models, self.state.served.get(plan.record.model)
        known = {variant.digest: variant.model for variant in before.variants.values()} if before else {}
        ready = loader(self.root, models)
        pins = plan.deployment.pins
        found = {pin.version: known.get(pin.digest) or ready.pinned(plan.record.model, pin).model for pin in pins}
        private = frozenset(plan.application.private)
        self.state.swap(self.state.prepare(plan.record.model, plan.deployment, found, private=private))

    def _say(self, text: str) -> None:
        self.note(text)


@contextmanager
def _named(root: Path, what: str) -> Iterator[str]:
    """A name for transactions that no other process has; that of a killed one is taken by the next of this clone, which
    ends what it left open."""
    folder = root / ".dvc" / "tmp" / "gitml" / "stream"
    place = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:8]
    folder.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().partition(".")[0] or "host"
    for number in range(1000):
        lock: IO[bytes] = (folder / f"{number}.lock").open("ab")
        with lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield f"{what}.{host}.{place}.{number}"
            return
    raise OutsideError("a thousand streams run here already")


@contextmanager
def _metrics_at(port: int, metrics: Metrics) -> Iterator[None]:
    """Raises OutsideError if the port is taken."""
    if not port:
        yield
        return
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry=metrics.registry)
    except OSError as exc:
        raise OutsideError(f"127.0.0.1:{port} cannot be listened on: {exc.strerror}", "choose another port") from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def settings_of(text: str) -> Mapping[str, str]:
    """A file of librdkafka's settings: lines of ``name=value``, ``#`` begins a comment. Raises UsageError.

    >>> settings_of("# of operations\\nsasl.username=ada\\n")
    {'sasl.username': 'ada'}
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, is_there, value = line.strip().partition("=")
        if not line.strip() or line.strip().startswith("#"):
            continue
        if not is_there or not name.strip():
            raise UsageError(f"line {number} of the settings is no name=value")
        found[name.strip()] = value.strip()
    return found
