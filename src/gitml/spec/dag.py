"""The order of stages, and which of them a model is made by."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from gitml.errors import Problem, SpecError
from gitml.spec.application import Model
from gitml.spec.dvcfiles import Pipeline


def needs(pipeline: Pipeline) -> dict[str, set[str]]:
    """For each stage the stages whose outputs it reads: the file, a folder around it or files below it."""
    found: dict[str, set[str]] = {name: set() for name in pipeline.stages}
    makers = pipeline.producers
    folders = _prefixes(makers)
    for name, stage in pipeline.stages.items():
        for dep in stage.deps:
            below = set(makers.values()) if dep == "." else folders.get(dep, set())
            found[name] |= {makers[p] for p in _up(dep) if p in makers} | below
    return found


def _up(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _prefixes(makers: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path, stage in makers.items():
        for above in _up(path)[1:]:
            found.setdefault(above, set()).add(stage)
    return found


def find_cycle(pipeline: Pipeline) -> tuple[str, ...]:
    """Stages that wait for one another, the first one named again at the end; empty when there are none."""
    try:
        TopologicalSorter(needs(pipeline)).prepare()
    except CycleError as exc:
        return tuple(exc.args[1])
    return ()


def cycle_problems(pipeline: Pipeline) -> list[Problem]:
    cycle = find_cycle(pipeline)
    if not cycle:
        return []
    message = f"stages wait for one another: {' → '.join(cycle)}"
    first = pipeline.stages[cycle[0]]
    return [first.document.problem(first.key, message, "one of them must not read what a later one writes")]


def stages_of(pipeline: Pipeline, model: Model) -> tuple[str, ...]:
    """The stages that make ``model``: those that produce its paths, and all they build on, in running order.

    Raises SpecError on a cycle.
    """
    cycle = cycle_problems(pipeline)
    if cycle:
        raise SpecError(cycle)
    makers, graph = pipeline.producers, needs(pipeline)
    wanted: set[str] = set()
    todo = [makers[p] for path in model.outputs.values() for p in _up(path) if p in makers]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo.extend(graph[name])
    order = TopologicalSorter({name: sorted(graph[name]) for name in sorted(wanted)}).static_order()
    return tuple(order)
