"""The pipelines of main: stages of every dvc.yaml, what each reads and gives, and which models are made by it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from pathspec import GitIgnoreSpec

from gitml.control.mainline import Mainline
from gitml.errors import SpecError
from gitml.project.graph import between_models
from gitml.site.facts import SiteFeed, SiteStage
from gitml.spec import Application, Pipeline
from gitml.spec.dag import needs, stages_of
from gitml.spec.dvcfiles import Stage, pipeline_of
from gitml.spec.dvcplaces import DVC_FILE, IGNORE_FILE
from gitml.spec.yamlfile import Document, parse

_MOST_STAGES = 200


def site_stages(main: Mainline, application: Application | None, notes: list[str]) -> tuple[SiteStage, ...]:
    """In running order as far as there is one; what cannot be read is noted."""
    pipeline = _pipeline(main, notes)
    makes = dict(_makes(pipeline, application, notes))
    graph, producers = needs(pipeline), pipeline.producers
    return tuple(
        SiteStage(
            name=name,
            file=main.git.prefix + stage.document.file,
            line=stage.document.line(stage.key),
            after=tuple(sorted(graph[name])),
            reads=tuple(dep for dep in stage.deps if not _is_made(dep, producers)),
            gives=tuple(stage.outs),
            models=tuple(model for model, stages in makes.items() if name in stages),
            makes=tuple(_artifacts(application, frozenset(stage.outs))),
        )
        for name, stage in list(pipeline.stages.items())[:_MOST_STAGES]
    )


def site_feeds(main: Mainline, application: Application | None, notes: list[str]) -> tuple[SiteFeed, ...]:
    """What models are built on, as `gitml graph` has it."""
    if application is None:
        return ()
    try:
        edges = between_models(application, main.tree, main.git.prefix.rstrip("/"))
    except SpecError as exc:
        notes.append(f"an ensemble cannot be read: {exc.problems[0]}")
        return ()
    return tuple(SiteFeed(e.source.name, e.source.kind == "elsewhere", e.target.name, e.label) for e in edges)


def _pipeline(main: Mainline, notes: list[str]) -> Pipeline:
    def document(file: str) -> Document:
        return parse(main.file(file) or b"", file, empty=True)

    def values(file: str) -> Mapping[str, Any]:
        return document(file).data

    stages: dict[str, Stage] = {}
    ignored = GitIgnoreSpec.from_lines((main.file(IGNORE_FILE) or b"").decode("utf-8", "replace").splitlines())
    for entry in main.tree.walk():
        if posixpath.basename(entry.path) != DVC_FILE or not entry.is_file or ignored.match_file(entry.path):
            continue
        try:
            found, _ = pipeline_of(document(entry.path), values)
        except SpecError as exc:
            notes.append(f"a pipeline cannot be read: {exc.problems[0]}")
            continue
        stages.update(found.stages)
    return Pipeline(stages)


def _makes(
    pipeline: Pipeline, application: Application | None, notes: list[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, model in application.models.items() if application else ():
        try:
            yield name, stages_of(pipeline, model)
        except SpecError as exc:
            notes.append(f"the stages of {name} are not known: {exc.problems[0]}")


def _artifacts(application: Application | None, outs: frozenset[str]) -> Iterator[str]:
    """The models whose artifact a stage gives."""
    for name, model in application.models.items() if application else ():
        if model.artifact in outs:
            yield name


def _is_made(path: str, producers: Mapping[str, str]) -> bool:
    """Whether a stage gives the path, a folder around it, or a part of it."""
    return any(path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in producers)
