"""The graph of an application: as a tree for people, and as Mermaid for pages; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from gitml.reports.escape import clip, visible

NodeKind = Literal["stage", "model", "elsewhere", "environment"]
EdgeKind = Literal["needs", "member", "runs", "promotes", "makes", "feeds"]
# GitHub draws no Mermaid beyond either.
MOST_EDGES, MOST_CHARACTERS = 500, 50_000
_RESERVE = 400
_LONGEST = 80
# What is left out last: how models depend on each other is what the picture is for.
_ORDER: tuple[EdgeKind, ...] = ("needs", "member", "runs", "promotes", "makes", "feeds")
_GROUPS: tuple[tuple[NodeKind, str], ...] = (
    ("stage", "stages"),
    ("model", "models"),
    ("elsewhere", "elsewhere"),
    ("environment", "environments"),
)
_SHAPES = {"stage": ("[", "]"), "model": ("([", "])"), "elsewhere": ("[[", "]]"), "environment": ("{{", "}}")}
_ARROWS = {"needs": "==>", "member": "==>", "runs": "-->", "promotes": "-.->", "makes": "-->", "feeds": "-->"}
_PLAIN = re.compile(r"[A-Za-z0-9 ._/+,:-]")


@dataclass(frozen=True, order=True)
class DependencyNode:
    """A stage, a model, a model of another application or repository, or an environment."""

    kind: NodeKind
    name: str


@dataclass(frozen=True)
class DependencyEdge:
    """From what comes first to what follows: ``label`` says what is used, or which version runs."""

    kind: EdgeKind
    source: DependencyNode
    target: DependencyNode
    label: str = ""


@dataclass(frozen=True)
class DependencyGraph:
    """Nodes and edges in the order of the files that say them."""

    application: str
    nodes: tuple[DependencyNode, ...]
    edges: tuple[DependencyEdge, ...]

    @cached_property
    def _ends(self) -> Mapping[tuple[str, DependencyNode], list[DependencyEdge]]:
        found: dict[tuple[str, DependencyNode], list[DependencyEdge]] = {}
        for edge in self.edges:
            found.setdefault(("into", edge.target), []).append(edge)
            found.setdefault(("out of", edge.source), []).append(edge)
        return found

    def into(self, node: DependencyNode, *kinds: EdgeKind) -> tuple[DependencyEdge, ...]:
        return tuple(edge for edge in self._ends.get(("into", node), ()) if edge.kind in kinds)

    def out_of(self, node: DependencyNode, *kinds: EdgeKind) -> tuple[DependencyEdge, ...]:
        return tuple(edge for edge in self._ends.get(("out of", node), ()) if edge.kind in kinds)

    def of(self, kind: NodeKind) -> tuple[DependencyNode, ...]:
        return tuple(node for node in self.nodes if node.kind == kind)


def tree_text(graph: DependencyGraph) -> str:
    """Each model with its stages, what it is built on and where it runs."""
    lines = [_line(graph.application)]
    models, environments = graph.of("model"), graph.of("environment")
    for number, model in enumerate(models):
        last = number == len(models) - 1 and not environments
        lines.append(f"{'└─' if last else '├─'} {_line(model.name)}")
        lines += _branches("   " if last else "│  ", [row for row in _rows(graph, model) if row[1]])
    if environments:
        lines.append(f"└─ environments: {' → '.join(_line(node.name) for node in environments)}")
    return "\n".join(lines)


def _rows(graph: DependencyGraph, model: DependencyNode) -> Iterator[tuple[str, str]]:
    yield "stages", ", ".join(_line(node.name) for node in _stages(graph, model))
    yield "needs", _listed([(e.source.name, e.label) for e in graph.into(model, "needs")])
    yield "members", _listed([(e.source.name, e.label) for e in graph.into(model, "member")])
    yield "needed by", _listed([(e.target.name, e.label) for e in graph.out_of(model, "needs", "member")])
    yield "runs", ", ".join(f"{_line(e.target.name)} {_line(e.label)}" for e in graph.out_of(model, "runs"))


def _stages(graph: DependencyGraph, model: DependencyNode) -> Sequence[DependencyNode]:
    """Those that make the model and all that they build on, as dvc.yaml orders them."""
    wanted: set[DependencyNode] = set()
    todo = [edge.source for edge in graph.into(model, "makes")]
    while todo:
        stage = todo.pop()
        if stage not in wanted:
            wanted.add(stage)
            todo += [edge.source for edge in graph.into(stage, "feeds")]
    return [node for node in graph.of("stage") if node in wanted] if wanted else []


def _branches(before: str, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for number, (name, text) in enumerate(rows):
        yield f"{before}{'└─' if number == len(rows) - 1 else '├─'} {name}: {text}"


def _listed(found: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{_line(name)} ({_line(label)})" if label else _line(name) for name, label in found)


def _line(text: str) -> str:
    return clip(visible(text), _LONGEST)


@dataclass(frozen=True)
class MermaidText:
    """``left_out`` says in words what did not fit; '' where all is there."""

    text: str
    left_out: str = ""


def mermaid(graph: DependencyGraph) -> MermaidText:
    """A flowchart. What is over the limits of a page is left out, edges between stages first, and a node says so."""
    ids = {node: f"n{number}" for number, node in enumerate(graph.nodes)}
    room = MOST_CHARACTERS - _RESERVE - sum(len(_group_line(title)) + 6 for _, title in _GROUPS)
    shown: dict[DependencyNode, str] = {}
    drawn: list[str] = []
    wanted = [edge for kind in _ORDER for edge in graph.edges if edge.kind == kind]
    linked = {node for edge in wanted for node in (edge.source, edge.target)}
    for edge in wanted:
        new = {n: _node_line(n, ids[n]) for n in (edge.source, edge.target) if n not in shown}
        line = _edge_line(edge, ids)
        cost = sum(len(text) + 1 for text in new.values()) + len(line) + 1
        if len(drawn) < MOST_EDGES and cost <= room:
            shown |= new
            drawn.append(line)
            room -= cost
    for node in graph.nodes:
        line = _node_line(node, ids[node])
        if node not in linked and len(line) < room:
            shown[node] = line
            room -= len(line) + 1
    left = _left_out(len(wanted) - len(drawn), len(graph.nodes) - len(shown))
    lines = ["flowchart LR", *_groups(graph, shown), *drawn]
    return MermaidText("\n".join([*lines, *([f'  left["{_safe(left)}"]'] if left else []), ""]), left)


def _left_out(edges: int, nodes: int) -> str:
    if not edges and not nodes:
        return ""
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((edges, "edge"), (nodes, "node")) if count
    ]
    return f"{' and '.join(parts)} left out: a diagram holds {MOST_EDGES} edges and {MOST_CHARACTERS:,} characters"


def _groups(graph: DependencyGraph, shown: dict[DependencyNode, str]) -> Iterator[str]:
    for kind, title in _GROUPS:
        inside = [shown[node] for node in graph.of(kind) if node in shown]
        if inside:
            yield from (_group_line(title), *inside, "  end")


def _group_line(title: str) -> str:
    return f"  subgraph {title}"


def _node_line(node: DependencyNode, name: str) -> str:
    begin, end = _SHAPES[node.kind]
    return f'    {name}{begin}"{_safe(_line(node.name))}"{end}'


def _edge_line(edge: DependencyEdge, ids: dict[DependencyNode, str]) -> str:
    label = f'|"{_safe(_line(edge.label))}"|' if edge.label else ""
    return f"  {ids[edge.source]} {_ARROWS[edge.kind]}{label} {ids[edge.target]}"


def _safe(text: str) -> str:
    """What Mermaid, or the HTML that it makes, could take for more than a letter stands as a number.

    >>> _safe('a"]; click')
    'a#34;#93;#59; click'
    """
    return "".join(char if _PLAIN.match(char) else f"#{ord(char)};" for char in text)
