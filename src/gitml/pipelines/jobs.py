"""The stages of some models as jobs for CI: one piece of hardware each, in an order that runs.

A job starts as early as its inputs allow. Stages on the same hardware share a job as long as nothing between them has
to run elsewhere, so an application with one kind of hardware is one job and hands nothing over.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gitml.errors import SpecError, UsageError
from gitml.spec.application import Application
from gitml.spec.dag import cycle_problems, needs, stages_of
from gitml.spec.dvcfiles import Pipeline

# What a job does beside its stages: installing, fetching, pushing.
AROUND = timedelta(minutes=15)
# A job with a stage that names no time-out; GitHub ends a hosted job after this time anyway.
UNNAMED = timedelta(hours=6)


@dataclass(frozen=True)
class StageJob:
    """Stages that one runner executes, in running order.

    ``name`` holds letters, digits, '_' and '-' only and starts with ``train-``. ``needs`` names the jobs whose outputs
    its stages read; ``labels`` are those of its runner, ``packages`` the lock files that its stages depend on.
    """

    name: str
    hardware: str
    labels: tuple[str, ...]
    stages: tuple[str, ...]
    needs: tuple[str, ...]
    packages: tuple[str, ...]
    timeout: timedelta


def jobs_of(application: Application, pipeline: Pipeline, models: Sequence[str] = ()) -> tuple[StageJob, ...]:
    """The jobs that train ``models`` (all that have stages, when none is named), each after those it needs.

    Raises SpecError on a cycle, UsageError for a model that is unknown or trained elsewhere.
    """
    graph = _graph(application, pipeline, models)
    steps = _steps(application, graph)
    names = _names(application, steps.values())
    return tuple(
        StageJob(
            name=name,
            hardware=hardware,
            labels=application.hardware[hardware],
            stages=(stages := tuple(s for s in graph if steps[s] == (step, hardware))),
            needs=_needed(name, stages, graph, {s: names[place] for s, place in steps.items()}, names.values()),
            packages=_packages(application, pipeline, stages),
            timeout=_timeout(application, stages),
        )
        for (step, hardware), name in names.items()
    )


def _graph(application: Application, pipeline: Pipeline, models: Sequence[str]) -> dict[str, set[str]]:
    """Each wanted stage with those it reads from, in running order; dvc.yaml's own order breaks ties."""
    cycle = cycle_problems(pipeline)
    if cycle:
        raise SpecError(cycle)
    trained = [name for name, model in application.models.items() if model.origin == "pipeline"]
    unknown = [name for name in models if name not in trained]
    if unknown:
        raise UsageError(f"there is no model {unknown[0]} that has stages", f"models that have: {', '.join(trained)}")
    wanted = {stage for name in models or trained for stage in stages_of(pipeline, application.models[name])}
    graph = {name: reads & wanted for name, reads in needs(pipeline).items() if name in wanted}
    return {name: graph[name] for name in _ordered(graph)}


def _ordered(graph: Mapping[str, set[str]]) -> Iterable[str]:
    # By place in the file, not by name: renaming a stage must not move others.
    place = {name: number for number, name in enumerate(graph)}
    names, waiting = list(graph), {name: len(reads) for name, reads in graph.items()}
    readers: dict[str, list[str]] = {name: [] for name in graph}
    for name, reads in graph.items():
        for read in reads:
            readers[read].append(name)
    ready = [place[name] for name, count in waiting.items() if count == 0]
    while ready:
        name = names[heapq.heappop(ready)]
        yield name
        for reader in readers[name]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, place[reader])


def _steps(application: Application, graph: Mapping[str, set[str]]) -> dict[str, tuple[int, str]]:
    """Each stage's hardware, and how often at most the hardware changes on the way to it.

    Whoever reads from another job is at a later step than that job, so jobs cannot wait for one another.
    """
    steps: dict[str, tuple[int, str]] = {}
    for name, reads in graph.items():
        hardware = application.hardware_of(name)
        step = max((steps[r][0] + (steps[r][1] != hardware) for r in reads), default=0)
        steps[name] = (step, hardware)
    return steps


def _names(application: Application, places: Iterable[tuple[int, str]]) -> dict[tuple[int, str], str]:
    order = list(application.hardware)
    names: dict[tuple[int, str], str] = {}
    for place in sorted(set(places), key=lambda p: (p[0], order.index(p[1]))):
        base = "train-" + re.sub("[^a-z0-9_-]", "-", place[1])
        free = (name for n in range(1, len(names) + 2) if (name := f"{base}-{n}" if n > 1 else base))
        names[place] = next(name for name in free if name not in names.values())
    return names


def _needed(
    name: str, stages: Sequence[str], graph: Mapping[str, set[str]], owners: Mapping[str, str], order: Iterable[str]
) -> tuple[str, ...]:
    read = {owners[r] for stage in stages for r in graph[stage]} - {name}
    return tuple(other for other in order if other in read)


def _packages(application: Application, pipeline: Pipeline, stages: Sequence[str]) -> tuple[str, ...]:
    read = {dep for stage in stages for dep in pipeline.stages[stage].deps}
    locks = dict.fromkeys(m.packages for m in application.models.values() if m.packages)
    return tuple(lock for lock in locks if lock in read)


def _timeout(application: Application, stages: Sequence[str]) -> timedelta:
    named = [n.timeout for s in stages if (n := application.stages.get(s)) and n.timeout]
    total = sum(named, AROUND)
    return total if len(named) == len(stages) else max(total, UNNAMED)
