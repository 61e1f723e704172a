"""What an application watches: each model that serves, in each environment, with its version's own reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gitml.errors import GitmlError, UsageError
from gitml.git.tree import WorkTree
from gitml.inference.clone import CloneShelf
from gitml.inference.monitored import Mute
from gitml.models.signature import parse as parse_signature
from gitml.monitoring.drift.scan import Floors
from gitml.monitoring.harm.judge import Own
from gitml.monitoring.harm.losses import SCORES
from gitml.monitoring.reference import VersionReference, context_names, read_version_reference
from gitml.monitoring.subject import Subject, subject_of
from gitml.refs import parse as parse_reference
from gitml.registry import Record, deployment_in, resolve
from gitml.registry.resolve import environments
from gitml.spec import Application
from gitml.spec.monitors import MonitorSpec
from gitml.spec.root import APPLICATION
from gitml.spec.yamlfile import read


@dataclass(frozen=True)
class Watch:
    """One monitor: a version in an environment. ``lacking``: why there is no subject, or no reference. ``lines``: where
    gitml.yaml has each of its mutes."""

    model: str
    environment: str
    record: Record
    spec: MonitorSpec
    subject: Subject | None
    lacking: str = ""
    lines: tuple[int, ...] = ()

    def mutes(self, at: datetime) -> tuple[Mute, ...]:
        """Those that end, or have ended, as it was at that moment."""
        return tuple(
            Mute(mute.columns, mute.until, mute.reason, line, over=mute.until <= at)
            for mute, line in zip(self.spec.mutes, self.lines, strict=True)
        )


def watches_of(root: Path, app: Application) -> Iterator[Watch]:
    """All monitors of the application, by model and environment."""
    tree, document = WorkTree(root), read(root / APPLICATION, APPLICATION)
    for model in app.models:
        spec = app.monitors.models.get(model, MonitorSpec())
        lines = tuple(document.line(("monitors", "models", model, "mutes", i)) for i in range(len(spec.mutes)))
        for environment in spec.environments or environments(tree, model) if spec.watch else ():
            if deployment_in(tree, model, environment):
                record = resolve(tree, parse_reference(f"{model}@{environment}"), list(app.models))
                yield replace(_watch(root, app, record, environment, spec), lines=lines)


def watch_of(root: Path, like: Watch, app: Application, version: str) -> Watch:
    """Another version of the same monitor. Raises RefError where it is not here."""
    record = resolve(WorkTree(root), parse_reference(f"{like.model}@{version}"), list(app.models))
    return replace(_watch(root, app, record, like.environment, like.spec), lines=like.lines)


def _watch(root: Path, app: Application, record: Record, environment: str, spec: MonitorSpec) -> Watch:
    if record.signature is None:
        why = f"{record.reference} has no signature: which columns it takes is not known"
        return Watch(record.model, environment, record, spec, None, why)
    reference, lacking = recorded_reference(root, record)
    try:
        subject = subject_of(parse_signature(record.signature), reference, spec.columns, app.private)
    except UsageError as exc:  # another version may fit: one that does not is no reason to stop watching others
        return Watch(record.model, environment, record, spec, None, f"{exc}; {exc.hint}")
    return Watch(record.model, environment, record, spec, subject, lacking or _other_context(spec, subject))


def _other_context(spec: MonitorSpec, subject: Subject) -> str:
    """Why contexts cannot be held fixed; '' where they can, or need not be."""
    wanted, known = context_names(spec.context), subject.layout.context
    if not wanted or wanted == known or not subject.reference:
        return ""
    written = ", ".join(known) or "none"
    return f"the reference was written with other context ({written}) than {', '.join(spec.context)}: train again"


def recorded_reference(root: Path, record: Record) -> tuple[VersionReference | None, str]:
    """That of a version of the clone at ``root``; with why it cannot be had, where the record names one."""
    name = record.roles.get("reference")
    if not name:
        return None, ""
    try:
        return read_version_reference(CloneShelf(root).files(record, [name])[name].read_bytes()), ""
    except (GitmlError, OSError) as exc:
        return None, f"the reference {name} cannot be had: {exc}"


def floors_of(spec: MonitorSpec) -> Floors:
    """As gitml.yaml says them."""
    return Floors(spec.floors.numbers, spec.floors.categories, spec.floors.missing, spec.floors.columns)


def metric_of(watch: Watch, app: Application) -> str:
    """The metric by which the model is judged on labels: as gitml.yaml says, else the first under ``better`` that can
    be computed from them; '' where there is none."""
    if watch.spec.harm.metric:
        return watch.spec.harm.metric
    return next((name for name in app.models[watch.model].better if name in SCORES), "")


def own_of(record: Record, metric: str) -> Own | None:
    """What the version's evaluation measured."""
    found = record.metrics.get(metric)
    return None if found is None else Own(found.value, found.low, found.high)
