"""Which model is built on which: the graph that `needs` of gitml.yaml says, over applications and repositories."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from gitml.errors import Problem
from gitml.spec.application import Application
from gitml.spec.dvcfiles import Pipeline
from gitml.spec.upstream import TOP, UpstreamNeed
from gitml.spec.validate import nearest
from gitml.spec.yamlfile import Document

# gitml.yaml of the application in a folder of this repository, from its top; a text says why there is none.
ReadApplication = Callable[[str], Application | str]


@dataclass(frozen=True, order=True)
class ModelAt:
    """A model and where it lives: the folder of its application from the top of its repository ('' is the top), and
    the URL of the repository ('' is this one)."""

    repository: str
    application: str
    model: str

    def __str__(self) -> str:
        where = "/".join(part for part in (self.repository, self.application) if part)
        return f"{where}:{self.model}" if where else self.model


def upstream_at(name: str, need: UpstreamNeed, here: str = "") -> ModelAt:
    """The model that ``need``, under the key ``name``, means in the application at ``here``."""
    folder = need.application or (TOP if need.repository else here)
    return ModelAt(need.repository or "", "" if folder == TOP else folder.strip("/"), need.model or name)


def upstreams_in(app: Application, here: str = "") -> dict[ModelAt, tuple[ModelAt, ...]]:
    """For each model of the application those that it is built on."""
    return {
        ModelAt("", here, name): tuple(upstream_at(key, need, here) for key, need in model.needs.items())
        for name, model in app.models.items()
    }


def circle_in(graph: Mapping[ModelAt, Iterable[ModelAt]]) -> tuple[ModelAt, ...]:
    """Models that wait for one another, downstream first, the first one named again at the end; empty without one."""
    try:
        TopologicalSorter({node: sorted(graph[node]) for node in sorted(graph)}).prepare()
    except CycleError as exc:
        return tuple(reversed(exc.args[1]))
    return ()


def upstream_first(app: Application) -> tuple[str, ...]:
    """The models in an order in which each comes after those of the application that it is built on; else as gitml.yaml
    orders them. Of models in a circle, which `gitml check` refuses, each is there once."""
    inner = {
        name: [need.model or key for key, need in model.needs.items() if not need.is_elsewhere]
        for name, model in app.models.items()
    }
    done: dict[str, None] = {}
    todo = [*reversed(inner)]
    above: set[str] = set()
    while todo:
        name = todo[-1]
        waits = [other for other in inner[name] if other in inner and other not in done and other not in above]
        if waits and name not in done:
            above.add(name)
            todo += reversed(waits)
        else:
            done[todo.pop()] = None
            above.discard(name)
    return tuple(done)


def needs_known(app: Application, document: Document) -> list[Problem]:
    """Upstreams of this application exist."""
    found = []
    for name, model in app.models.items():
        for key, need in model.needs.items():
            place = ("models", name, "needs", key)
            wanted = need.model or key
            if not need.is_elsewhere and wanted not in app.models:
                hint = nearest(wanted, [other for other in app.models if other != name])
                away = "for a model of another application add `application:`, or `repository:`"
                told = hint if hint.startswith("did") else "; ".join(part for part in (hint, away) if part)
                found.append(document.problem(place, f"there is no model {wanted!r}", told))
    return found


def needed_files_made(app: Application, document: Document, pipeline: Pipeline) -> list[Problem]:
    """A `file` of an upstream of this application is an output of a stage."""
    makers = pipeline.producers
    return [
        document.problem(
            ("models", name, "needs", key, "file"),
            f"no stage of dvc.yaml writes {need.file}",
            nearest(need.file, makers),
        )
        for name, model in app.models.items()
        for key, need in model.needs.items()
        if need.file and not need.is_elsewhere and need.file not in makers
    ]


def needs_in_no_circle(app: Application, document: Document, here: str, read: ReadApplication) -> list[Problem]:
    """No model is built on itself by way of others, and applications beside this one have the models that are named.

    ``here`` is this application's folder, from the top of the repository.
    """
    graph, problems = dict(upstreams_in(app, here)), []
    seen: dict[str, Application | str] = {here: app}
    todo = list(graph)
    while todo:
        at = todo.pop(0)
        for upstream in graph[at]:
            if upstream in graph or upstream.repository:
                continue
            if upstream.application not in seen:
                seen[upstream.application] = read(upstream.application)
            other = seen[upstream.application]
            if isinstance(other, str) or upstream.model not in other.models:
                problems += _absent(app, document, here, at, upstream, other)
                continue
            graph |= upstreams_in(other, upstream.application)
            todo.append(upstream)
    return problems or _circle_told(graph, app, document, here)


def _absent(
    app: Application, document: Document, here: str, at: ModelAt, upstream: ModelAt, other: Application | str
) -> list[Problem]:
    """Told of this application's own lines alone: the others are checked where they are."""
    if at.application != here:
        return []
    found = []
    for key, need in app.models[at.model].needs.items():
        if upstream_at(key, need, here) == upstream:
            place = ("models", at.model, "needs", key)
            folder = upstream.application or "the top of the repository"
            if isinstance(other, str):
                found.append(document.problem(place, f"{folder}: {other}", "`application` is a folder with gitml.yaml"))
            else:
                hint = nearest(upstream.model, other.models)
                found.append(document.problem(place, f"{folder} has no model {upstream.model!r}", hint))
    return found


def _circle_told(
    graph: Mapping[ModelAt, tuple[ModelAt, ...]], app: Application, document: Document, here: str
) -> list[Problem]:
    known = {node: [upstream for upstream in graph[node] if upstream in graph] for node in graph}
    circle = circle_in(known)
    mine = [node for node in circle[:-1] if node.application == here]
    if not mine:
        return []
    start = circle[:-1].index(mine[0])
    turned = (*circle[start:-1], *circle[:start], mine[0])
    for key, need in app.models[mine[0].model].needs.items():
        if upstream_at(key, need, here) == turned[1]:
            place = ("models", mine[0].model, "needs", key)
            if len(turned) == 2:
                return [document.problem(place, f"{mine[0].model!r} needs itself", "remove the line")]
            words = " → ".join(str(node) for node in turned)
            return [document.problem(place, f"models need one another: {words}", "one of them must do without")]
    return []
