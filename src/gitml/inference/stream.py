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

from gitml.engines.places import place_of
from gitml.errors import GitmlError, OutsideError, UsageError
from gitml.inference.clone import loader
from gitml.inference.scorefiles import Inputs, Notes, refuse_overlap
from gitml.inference.scorework import column_types
from gitml.inference.serve import TrialPlan, wanted_of
from gitml.inference.streamfolder import FolderBroker, FolderColumns
from gitml.models.cores import leave_out_of_collections
from gitml.serving.metrics import Metrics
from gitml.serving.state import ServerState
from gitml.streaming.kafka import KafkaBroker, kafka_place
from gitml.streaming.labels import LabelTopic
from gitml.streaming.messages import Broker
from gitml.streaming.run import StreamBounds, StreamGauges, StreamLoop
from gitml.streaming.scoring import MessageScoring
from gitml.traffic.labels import LabelStore
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.writing import writing

FOLDER = "folder:"


@dataclass(frozen=True)
class StreamCall:
    """``source`` and ``target``: topics, as ``kafka://HOST:PORT/TOPIC``, or folders, as ``folder:/path``. ``labels``: a
    topic of them. ``key`` and ``id``: columns of a folder's files, the unit and the request id.

    ``dead``: topic of dead letters. ``group``: of consumers; '' for one named by model and environment. ``settings``
    are librdkafka's. ``metrics``: a port, 0 for none. ``every``: seconds between looks at the environment's file."""

    source: str
    target: str
    labels: str = ""
    key: str = ""
    id: str = ""
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
    _refuse_mixed(call)
    plan = wanted_of(root, reference)
    state = ServerState(plan.environment)
    follow = _Follow(root, reference, state, call.every, call.note)
    follow.load(plan)
    leave_out_of_collections()
    local = root / ".dvc" / "tmp" / "gitml"
    origin = LogOrigin(environment=plan.environment)
    with writing(call.log, origin, local / "log" if "://" in call.log else None) as writers:
        metrics = Metrics(state, writers.log.stats)
        with (
            _brokering(root, plan, state, call) as broker,
            _labelling(call, plan, writers.taken.labels) as take_labels,
            _metrics_at(call.metrics, metrics),
        ):
            gauges = StreamGauges(metrics.registry, call.bounds.p99, call.note)
            scoring = MessageScoring(metrics, state.limits, narrow=call.source.startswith(FOLDER))

            def between() -> None:
                follow()
                gauges.labels.inc(take_labels())

            loop = StreamLoop(plan.record.model, state, broker, scoring, writers.log, gauges, call.bounds, between)
            ready(plan.record.reference)
            loop.run(stop)


def _refuse_mixed(call: StreamCall) -> None:
    """Raises UsageError for what does not go together."""
    folders = [url.startswith(FOLDER) for url in (call.source, call.target)]
    if any(folders) and not all(folders):
        raise UsageError(
            "one step does not advance a topic and a folder together",
            "name two topics, or two folders, with --from and --to",
        )
    if all(folders) and call.bounds.p99:
        raise UsageError("a row of a file has no time that --p99 would count from", "leave it out")
    if all(folders) and (call.dead or call.group):
        raise UsageError("--dead and --group are for topics", "a folder keeps what is not answered below _rejected")
    if not all(folders) and (call.key or call.id):
        raise UsageError("--key and --id name columns of a folder's files", "a message of a topic has both itself")
    if call.labels and not call.log:
        raise UsageError("labels are kept beside the answers", "name the traffic's folder with --log")


@contextmanager
def _brokering(root: Path, plan: TrialPlan, state: ServerState, call: StreamCall) -> Iterator[Broker]:
    made = _folders if call.source.startswith(FOLDER) else _topics
    with made(root, plan, state, call) as broker:
        try:
            yield broker
        finally:
            broker.close()


@contextmanager
def _topics(root: Path, plan: TrialPlan, _: ServerState, call: StreamCall) -> Iterator[Broker]:
    source, target = kafka_place(call.source), kafka_place(call.target)
    if source.topic == target.topic:
        raise UsageError("answers would be asked again: both topics are the same", "name another one with --to")
    dead, group = call.dead or f"{target.topic}.dead", _group(plan, call)
    with _named(root, f"gitml-{plan.record.model}-{plan.environment}") as name:
        yield KafkaBroker(source, target, dead, group=group, name=name, settings=call.settings)


@contextmanager
def _folders(_: Path, plan: TrialPlan, state: ServerState, call: StreamCall) -> Iterator[Broker]:
    source, target = (place_of(url.removeprefix(FOLDER)) for url in (call.source, call.target))
    if not source.is_folder():
        raise UsageError(f"{source.path} is not a folder", "make it, or see the address given to --from")
    refuse_overlap(Inputs(source, ()), target)
    model, notes = plan.record.model, Notes(target)

    def inputs() -> frozenset[str]:
        served = state.served[model].variants.values()
        return frozenset(f.name for variant in served for f in variant.model.signature.inputs)

    types = column_types(state.served[model].champion.model.signature)
    with notes.held():
        notes.bind({"format": "gitml stream 1", "model": model, "environment": plan.environment})
        yield FolderBroker(source, notes, FolderColumns(inputs, call.key, call.id, types), say=call.note)


@contextmanager
def _labelling(call: StreamCall, plan: TrialPlan, store: LabelStore | None) -> Iterator[Callable[[], int]]:
    if not call.labels or store is None:
        yield lambda: 0
        return
    group = f"{_group(plan, call)}-labels"
    with LabelTopic(kafka_place(call.labels), plan.record.model, store, group=group, settings=call.settings) as topic:
        yield topic.take


def _group(plan: TrialPlan, call: StreamCall) -> str:
    return call.group or f"gitml-{plan.record.model}-{plan.environment}"


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
