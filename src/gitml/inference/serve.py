"""``gitml serve``: a version, or all that an environment's file pins, behind HTTP on this machine, to try it out.

No evidence is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gitml.git.tree import WorkTree
from gitml.inference.clone import CloneShelf, loader
from gitml.inference.watches import recorded_reference
from gitml.models.cores import leave_out_of_collections
from gitml.models.model import Predictor
from gitml.refs import Reference, parse, why_no_environment
from gitml.registry import Record, deployment_in, resolve
from gitml.serving.app import create_app
from gitml.serving.auth import read_tokens
from gitml.serving.livegauges import LiveGauges
from gitml.serving.server import Listen, Running, serving
from gitml.serving.state import ServerState
from gitml.sketches.reference import ReferenceSketch
from gitml.spec import load_application
from gitml.spec.application import Application, Model
from gitml.spec.deployment import Deployment, Pin
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.writing import writing


@dataclass(frozen=True)
class ServeOptions:
    """``log``: folder or URL of the prediction log; ``tokens``: file of callers and their tokens."""

    listen: Listen = field(default_factory=Listen)
    log: str | None = None
    tokens: Path | None = None
    processes: int = 1

    def spool(self, root: Path) -> Path | None:
        """Where rows gather before they go to a log that is no folder."""
        return root / ".dvc" / "tmp" / "gitml" / "log" if "://" in (self.log or "") else None


@dataclass(frozen=True)
class TrialPlan:
    """What is to be served. ``record`` is the champion's; with the unit, ``environment`` decides who answers it."""

    application: Application
    record: Record
    environment: str
    deployment: Deployment


def wanted_of(root: Path, reference: str) -> TrialPlan:
    """A version alone; or, if ``reference`` names an environment, all that its file pins.

    Raises RefError, SpecError.
    """
    asked = parse(reference)
    application = load_application(root)
    record = resolve(WorkTree(root), asked, list(application.models))
    return TrialPlan(application, record, *_deployment(root, asked, record))


@dataclass(frozen=True)
class Trial:
    """What is served, and where. ``record`` is the champion's."""

    record: Record
    running: Running
    state: ServerState


@contextmanager
def serve(root: Path, reference: str, options: ServeOptions) -> Iterator[Trial]:
    """Serve what ``reference`` names until the block ends: a version alone; or, if it names an environment, all that
    its file pins, shared out among units as the environment's servers do.

    Raises RefError, IntegrityError, OutsideError, SpecError, UsageError.
    """
    wanted = wanted_of(root, reference)
    record, deployment, models = wanted.record, wanted.deployment, wanted.application.models
    state = ServerState(wanted.environment)
    loaded = _loaded(root, models, record.model, deployment)
    state.swap(state.prepare(record.model, deployment, loaded, private=frozenset(wanted.application.private)))
    tokens = read_tokens(options.tokens) if options.tokens else {}
    leave_out_of_collections()
    origin = LogOrigin(environment=wanted.environment)
    with writing(options.log or "", origin, options.spool(root)) as writers:
        app = create_app(state, writers.log, tokens=tokens, taken=writers.taken)
        if options.log:
            writers.live.expect(record.model, _references(root, record.model, deployment))
            app.metrics.registry.register(LiveGauges(writers.live.distances))
        with serving(app, state, options.listen) as running:
            yield Trial(record, running, state)


def _references(root: Path, model: str, deployment: Deployment) -> dict[str, tuple[ReferenceSketch, ...]]:
    """Of those that answer; a version without one has no part."""
    shelf, pins = CloneShelf(root), [pin for pin in (deployment.champion, deployment.canary) if pin]
    found = {pin.version: recorded_reference(root, shelf.record(model, pin))[0] for pin in pins}
    return {version: reference.parts for version, reference in found.items() if reference}


def _deployment(root: Path, wanted: Reference, champion: Record) -> tuple[str, Deployment]:
    if why_no_environment(wanted.selector) is None:
        found = deployment_in(WorkTree(root), wanted.model, wanted.selector)
        if found is not None:
            return wanted.selector, found
    return "trial", Deployment(champion=_pin(champion))


def _pin(record: Record) -> Pin:
    return Pin(version=record.version, digest=record.files[record.artifact].sha256)


def _loaded(root: Path, models: Mapping[str, Model], name: str, deployment: Deployment) -> Mapping[str, Predictor]:
    """Every version that is pinned, ready to answer."""
    ready = loader(root, models)
    return {pin.version: ready.pinned(name, pin).model for pin in deployment.pins}
