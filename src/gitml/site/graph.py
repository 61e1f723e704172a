"""The application as one picture: data, stages, models, environments and monitors, and what waits for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import networkx

from gitml.site.facts import SiteFacts, SiteState
from gitml.site.watchfacts import SiteLook

WIDTH, HEIGHT = 142, 44
_ACROSS, _DOWN, _MARGIN = 176, 58, 8
# With more stages than this a model's stages are one box.
_MOST_STAGES = 40


@dataclass(frozen=True)
class GraphNode:
    """A box. ``kind``: data, stage, model, elsewhere, environment or monitor. ``place`` is its page, of ``group``.

    ``state``: good, bad, odd, waiting or empty.
    """

    id: str
    kind: str
    label: str
    detail: str = ""
    state: str = ""
    place: str = ""
    group: str = ""
    x: int = 0
    y: int = 0


@dataclass(frozen=True)
class ApplicationGraph:
    """``edges`` are pairs of nodes, each with what has to happen on the way."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[GraphNode, GraphNode, str], ...]
    width: int
    height: int


def application_graph(facts: SiteFacts) -> ApplicationGraph:
    """Laid out from left to right: what comes before stands left of what comes after."""
    nodes = {node.id: node for node in _nodes(facts)}
    edges = [(a, b, said) for a, b, said in _edges(facts, nodes) if a in nodes and b in nodes]
    graph = networkx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((a, b) for a, b, _ in edges)
    if networkx.is_directed_acyclic_graph(graph):
        # What follows from other lines is not drawn.
        plain = set(networkx.transitive_reduction(graph).edges)
        edges = [edge for edge in edges if edge[:2] in plain]
    placed = {node.id: node for node in _placed(graph, nodes)}
    lines = tuple((placed[a], placed[b], said) for a, b, said in edges)
    width = max((node.x for node in placed.values()), default=0) + WIDTH + _MARGIN
    height = max((node.y for node in placed.values()), default=0) + HEIGHT + _MARGIN
    return ApplicationGraph(tuple(placed.values()), lines, width, height)


def _nodes(facts: SiteFacts) -> Iterator[GraphNode]:
    if len(facts.stages) <= _MOST_STAGES:
        for stage in facts.stages:
            yield GraphNode(f"stage {stage.name}", "stage", stage.name, place="data/index.html", group="data")
        for path in dict.fromkeys(path for stage in facts.stages for path in stage.reads if _is_data(path)):
            yield GraphNode(f"data {path}", "data", path, place="data/index.html", group="data")
    for model in facts.models:
        newest = model.versions[0].digest8 if model.versions else "no version yet"
        yield GraphNode(
            f"model {model.name}", "model", model.name, newest, "", f"models/{model.name}/index.html", "models"
        )
    for name in dict.fromkeys(feed.source for feed in facts.feeds if feed.is_elsewhere):
        yield GraphNode(f"elsewhere {name}", "elsewhere", name)
    for state in facts.states:
        yield _environment(facts, state)
    newest_look = {(look.model, look.environment): look for look in facts.looks}
    for model_name, environment in facts.watched:
        yield _monitor(model_name, environment, newest_look.get((model_name, environment)))


def _is_data(path: str) -> bool:
    """Code and locks of packages are inputs too, and would hide the data."""
    return not path.endswith((".py", ".lock", ".sh", ".txt", ".toml", ".R", ".sql"))


def _environment(facts: SiteFacts, state: SiteState) -> GraphNode:
    waiting = [p for p in facts.pending if (p.model, p.environment) == (state.model, state.environment)]
    marks = {"in step": "good", "behind": "odd", "failing": "bad", "unknown": ""}
    said = state.champion.rpartition("-")[2] or "cannot be read"
    if waiting:
        said += f", #{waiting[0].number} waits"
    elif state.holds or state.frozen:
        said += ", held" if state.holds else ", frozen"
    elif state.sync != "unknown":
        said += f", {state.sync}"
    mark = "bad" if state.problem else "waiting" if waiting else marks[state.sync]
    place = f"deployments/{state.environment}/index.html"
    return GraphNode(
        _env_id(state.model, state.environment), "environment", state.environment, said, mark, place, "deployments"
    )


def _monitor(model: str, environment: str, look: SiteLook | None) -> GraphNode:
    marks = {"successful": "good", "failed": "bad"}
    mark = marks.get(look.phase.value, "odd") if look else ""
    said = f"{look.phase.value}, {look.until[:10]}" if look else "nothing signed yet"
    place = f"monitors/{model}/{environment}.html" if look else "monitors/index.html"
    return GraphNode(f"monitor {model} {environment}", "monitor", "monitor", said, mark, place, "monitors")


def _env_id(model: str, environment: str) -> str:
    return f"environment {model} {environment}"


def _edges(facts: SiteFacts, nodes: Mapping[str, GraphNode]) -> Iterator[tuple[str, str, str]]:
    for stage in facts.stages:
        yield from ((f"stage {before}", f"stage {stage.name}", "") for before in stage.after)
        yield from ((f"data {path}", f"stage {stage.name}", "") for path in stage.reads)
        yield from ((f"stage {stage.name}", f"model {model}", "") for model in stage.makes)
    for feed in facts.feeds:
        yield f"{'elsewhere' if feed.is_elsewhere else 'model'} {feed.source}", f"model {feed.model}", feed.label
    order = [one.name for one in facts.environments]
    asked = {one.name: ", ".join(f"{n} × {role}" for role, n in one.approvals.items()) for one in facts.environments}
    for model in facts.models:
        before = f"model {model.name}"
        there = [name for name in order if _env_id(model.name, name) in nodes]
        for name in there:
            yield before, _env_id(model.name, name), asked[name]
            yield _env_id(model.name, name), f"monitor {model.name} {name}", ""
            before = _env_id(model.name, name)


def _placed(graph: networkx.DiGraph, nodes: Mapping[str, GraphNode]) -> Iterator[GraphNode]:
    """By layers; within each, boxes stand near those that they come from, so that few lines cross."""
    if not networkx.is_directed_acyclic_graph(graph):
        # Stages that wait for one another: `gitml check` says so, and here they stand in one column.
        graph = networkx.create_empty_copy(graph)
    layers = [sorted(layer, key=list(nodes).index) for layer in networkx.topological_generations(graph)]
    rows: dict[str, float] = {}
    for across, layer in enumerate(layers):

        def wish(name: str) -> float:
            above = [rows[before] for before in graph.predecessors(name) if before in rows]
            return sum(above) / len(above) if above else 0.0

        for down, name in enumerate(sorted(layer, key=wish)):
            rows[name] = max(float(down), 0.0)
            x, y = _MARGIN + across * _ACROSS, _MARGIN + down * _DOWN
            yield replace(nodes[name], x=x, y=y)
