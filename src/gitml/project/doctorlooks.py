"""Points of `gitml doctor` where looks are signed: who holds what, and whether anybody looks at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from gitml import clock
from gitml.ci.github.monitor import LOOKS as SIGNING
from gitml.ci.github.monitor import TRAFFIC
from gitml.ci.wanted import LOOKS_KEY, wants_looks
from gitml.control.looks import newest_looks
from gitml.errors import OutsideError, SpecError
from gitml.evidence.lookcommits import MonitorName
from gitml.forges.base import Branch
from gitml.forges.governed import GovernedForge
from gitml.forges.settings import Settings
from gitml.git.ledger import LOOKS
from gitml.git.orphan import Remote
from gitml.git.tree import WorkTree
from gitml.project.doctorpoint import Mark, Point
from gitml.project.doctorpolicy import added_to, asked, environment, runs_here, secret
from gitml.registry.resolve import deployment_path, environments
from gitml.spec.application import Application
from gitml.spec.policy import POLICY, load_policy

# Schedules of forges come late: nobody is told of a silence before a look was missed for so long.
_LATE = timedelta(hours=12)


def signs_looks(root: Path) -> bool:
    """Whether policy.yaml has a key for looks; not where it is wrong, which other points say."""
    try:
        return (root / POLICY).is_file() and wants_looks(load_policy(root))
    except SpecError:
        return False


def watching(
    root: Path, application: Application, settings: Settings, forge: GovernedForge, main: Branch
) -> Iterator[Point]:
    """Nothing where no key may sign looks."""
    if not signs_looks(root):
        return
    if runs_here(application):
        for name in (TRAFFIC, SIGNING):
            yield from asked(f"environment {name}", partial(environment, forge, main, name))
        yield from asked("key of looks", lambda: secret(forge, SIGNING, LOOKS_KEY, "key of looks"))
    yield from asked(f"branch {LOOKS}", lambda: added_to(forge, LOOKS, f"branch {LOOKS}"))
    yield _silence(root, application, settings)


def _silence(root: Path, application: Application, settings: Settings) -> Point:
    """Each monitor is asked for: one that looks every day would hide another one that has stopped."""
    windows = dict(_monitors(root, application))
    if not windows:
        return Point("looks", Mark.OK, "nothing is watched: no champion stands anywhere, or its monitors are off")
    try:
        newest = newest_looks(Remote(f"{settings.home}.git", settings.token))
    except OutsideError as exc:
        return Point("looks", Mark.UNKNOWN, f"cannot be read: {exc.message.splitlines()[0]}", "call this again")
    if not newest:
        todo = "once a champion serves, a run of gitml-monitor.yml makes the first; start one by hand to see it"
        return Point("looks", Mark.UNKNOWN, "nobody has looked at live traffic yet", todo)
    ages = {name: clock.now() - at for name in windows if (at := newest.get(name))}
    stopped = [name for name, age in ages.items() if age > 2 * windows[name] + _LATE]
    if stopped:
        todo = (
            "see the runs of gitml-monitor.yml; GitHub ends schedules after 60 days without a commit. Start one by hand"
        )
        said = "; ".join(_told(name, ages[name], windows[name]) for name in stopped)
        return Point("looks", Mark.MISSING, f"{said}: looks have stopped, so no alarm can come", todo)
    never = [name for name in windows if name not in ages]
    if never:
        said = ", ".join(f"{model} in {environment}" for model, environment in never)
        return Point("looks", Mark.UNKNOWN, f"nobody has looked at {said} yet", "see the runs of gitml-monitor.yml")
    oldest = max(ages, key=lambda name: ages[name] / windows[name])
    return Point("looks", Mark.OK, _told(oldest, ages[oldest], windows[oldest]))


def _monitors(root: Path, application: Application) -> Iterator[tuple[MonitorName, timedelta]]:
    tree = WorkTree(root)
    for model in application.models:
        spec = application.monitors.of(model)
        for name in spec.environments or environments(tree, model) if spec.watch else ():
            if tree.read(deployment_path(model, name)) is not None:
                yield (model, name), spec.window


def _told(name: MonitorName, age: timedelta, window: timedelta) -> str:
    model, environment = name
    return f"the newest of {model} in {environment} is {_long(age)} old, and a window is {_long(window)}"


def _long(length: timedelta) -> str:
    hours = int(max(length, timedelta()).total_seconds() // 3600)
    return f"{hours // 24} d" if hours >= 48 else f"{hours} h"
