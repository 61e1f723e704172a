"""``gitml serve``: one version behind HTTP on this machine, to try it out; no evidence is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gitml.flows.members import version_loaded
from gitml.refs import parse
from gitml.registry import Record, read_record, resolve
from gitml.serving.app import create_app
from gitml.serving.auth import read_tokens
from gitml.serving.cores import leave_out_of_collections
from gitml.serving.labels import LabelStore
from gitml.serving.predictionlog import NoLog, PredictionLog
from gitml.serving.server import Listen, Running, serving
from gitml.serving.state import State
from gitml.spec import load_application
from gitml.spec.deployment import Deployment, Pin


@dataclass(frozen=True)
class Options:
    """``log``: folder or URL of the prediction log; ``tokens``: file of callers and their tokens."""

    listen: Listen = field(default_factory=Listen)
    log: str | None = None
    tokens: Path | None = None


@dataclass(frozen=True)
class Trial:
    """What is served, and where."""

    record: Record
    running: Running
    state: State


@contextmanager
def serve(root: Path, reference: str, options: Options) -> Iterator[Trial]:
    """Serve the version until the block ends. Raises RefError, IntegrityError, OutsideError, UsageError."""
    models = load_application(root).models
    record = read_record(resolve(root, parse(reference), list(models)))
    model, sha256 = version_loaded(root, models, record), record.files[record.artifact].sha256
    state = State("trial")
    deployment = Deployment(champion=Pin(version=record.version, digest=sha256))
    state.swap(state.prepare(record.model, deployment, {record.version: model}))
    spool = root / ".dvc" / "tmp" / "gitml" / "log" if "://" in (options.log or "") else None
    log = PredictionLog(options.log, spool=spool) if options.log else NoLog()
    labels = LabelStore(options.log, spool=spool) if options.log else None
    tokens = read_tokens(options.tokens) if options.tokens else {}
    leave_out_of_collections()
    try:
        with serving(create_app(state, log, tokens=tokens, labels=labels), state, options.listen) as running:
            yield Trial(record, running, state)
    finally:
        log.close()
        if labels:
            labels.close()
