"""``gitml graph``: stages, models, what they are built on, and where they run, from the files of the application."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from gitml.errors import SpecError
from gitml.git.tree import Tree, WorkTree
from gitml.project.needed import folder_of
from gitml.registry.resolve import deployed
from gitml.reports.graph import DependencyEdge, DependencyGraph, DependencyNode
from gitml.spec.application import Application, Model
from gitml.spec.dag import needs as stage_needs
from gitml.spec.dvcfiles import Pipeline, read_pipeline, values_of
from gitml.spec.dvcplaces import pipeline_files
from gitml.spec.ensemble import parse_ensemble
from gitml.spec.load import load_application
from gitml.spec.modelgraph import upstream_at
from gitml.spec.policy import POLICY, load_policy
from gitml.spec.templatevars import PARAMS_FILE


def graph(root: Path) -> DependencyGraph:
    """The same for the same files. Raises SpecError for a file that cannot be read."""
    app, pipeline, tree = load_application(root), _pipeline(root), WorkTree(root)
    order = tuple(load_policy(root).environments) if (root / POLICY).exists() else ()
    edges = [*_between_stages(pipeline), *_makes(app, pipeline), *between_models(app, tree, folder_of(root))]
    edges += [*_runs(app, tree, order), *_promotes(order)]
    named = [DependencyNode("stage", name) for name in pipeline.stages]
    named += [DependencyNode("model", name) for name in app.models]
    named += [node for edge in edges for node in (edge.source, edge.target) if node.kind == "elsewhere"]
    named += [DependencyNode("environment", name) for name in order]
    named += [node for edge in edges for node in (edge.source, edge.target)]
    return DependencyGraph(app.application, tuple(dict.fromkeys(named)), tuple(dict.fromkeys(edges)))


def between_models(app: Application, tree: Tree, here: str) -> tuple[DependencyEdge, ...]:
    """What models are built on: others that they need, and members of ensembles. ``here``: the application's folder."""
    return (*_needs(app, here), *_members(app, tree))


def _pipeline(root: Path) -> Pipeline:
    if not pipeline_files(root):
        return Pipeline({}, frozenset())
    pipeline, problems = read_pipeline(root, partial(_values, root))
    if problems:
        raise SpecError(problems)
    return pipeline


def _values(root: Path, file: str) -> Mapping[str, Any]:
    return {} if file == PARAMS_FILE and not (root / file).exists() else values_of(root, file)


def _between_stages(pipeline: Pipeline) -> Iterator[DependencyEdge]:
    places = {name: number for number, name in enumerate(pipeline.stages)}
    for name, sources in stage_needs(pipeline).items():
        for source in sorted(sources - {name}, key=places.__getitem__):
            yield DependencyEdge("feeds", DependencyNode("stage", source), DependencyNode("stage", name))


def _makes(app: Application, pipeline: Pipeline) -> Iterator[DependencyEdge]:
    makers = pipeline.producers
    for name, model in app.models.items():
        found = dict.fromkeys(makers[path] for path in model.outputs.values() if path in makers)
        yield from (
            DependencyEdge("makes", DependencyNode("stage", stage), DependencyNode("model", name)) for stage in found
        )


def _needs(app: Application, here: str) -> Iterator[DependencyEdge]:
    for name, model in app.models.items():
        for key, need in model.needs.items():
            at = upstream_at(key, need, here)
            source = DependencyNode("elsewhere", str(at)) if need.is_elsewhere else DependencyNode("model", at.model)
            label = f"{need.what} in {need.environment}" if need.environment else need.what
            yield DependencyEdge("needs", source, DependencyNode("model", name), label)


def _members(app: Application, tree: Tree) -> Iterator[DependencyEdge]:
    """Of ensembles whose file is here, as a stage left it or Git keeps it."""
    for name, model in app.models.items():
        raw = tree.read(model.artifact) if _is_ensemble(model) else None
        for pin in parse_ensemble(raw, model.artifact).pins if raw is not None else ():
            version = pin.version.rpartition("-")[2]
            yield DependencyEdge("member", DependencyNode("model", pin.model), DependencyNode("model", name), version)


def _is_ensemble(model: Model) -> bool:
    return model.artifact_format == "ensemble"


def _runs(app: Application, tree: WorkTree, order: tuple[str, ...]) -> Iterator[DependencyEdge]:
    for name in app.models:
        found: dict[str, list[str]] = {}
        for place in deployed(tree, name):
            role = "" if place.role == "champion" else f"{place.role} "
            found.setdefault(place.environment, []).append(f"{role}{place.version.rpartition('-')[2]}")
        for environment in (*(e for e in order if e in found), *(e for e in found if e not in order)):
            target = DependencyNode("environment", environment)
            yield DependencyEdge("runs", DependencyNode("model", name), target, ", ".join(found[environment]))


def _promotes(order: tuple[str, ...]) -> Iterator[DependencyEdge]:
    for before, after in pairwise(order):
        yield DependencyEdge("promotes", DependencyNode("environment", before), DependencyNode("environment", after))
