"""Whether the data that hold people are there, and whether requests for erasure can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from gitml.errors import Problem, SpecError
from gitml.git.tree import WorkTree
from gitml.registry.erasures import erasures
from gitml.registry.replacements import OF_ROWS
from gitml.spec.application import Application
from gitml.spec.dvcfiles import Pipeline
from gitml.spec.yamlfile import Document


def people_problems(
    root: Path, app: Application, document: Document, is_output: Callable[[str], bool]
) -> list[Problem]:
    """Each data set under `subjects` is an output of a stage or of a .dvc file, or lies in one: a misspelled path would
    hide everybody. One request that cannot be read would keep all models from being retrained."""
    hint = "name an output of dvc.yaml, or what `dvc add` brought in"
    found = [
        document.problem(("subjects", "data", path), f"{path} is not data of DVC, so nobody is found in it", hint)
        for path in (app.subjects.data if app.subjects else ())
        if not is_output(path)
    ]
    try:
        erasures(WorkTree(root))
    except SpecError as exc:
        found += exc.problems
    return found


def people_in_git(app: Application, pipeline: Pipeline) -> Iterator[Problem]:
    """Cautions: rows of people that a stage puts into Git, whose history keeps them."""
    if app.subjects is None:
        return
    rows = {path for model in app.models.values() for role, path in model.outputs.items() if role in OF_ROWS}
    for stage in pipeline.stages.values():
        for out in stage.outs.values():
            if out.path in rows and not out.cached:
                told = f"{out.path} has rows of people and lies in Git, where no erasure reaches them"
                yield stage.document.problem(out.key, told, "leave out `cache: false`: DVC keeps it then")
