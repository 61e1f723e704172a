"""Whether the data that hold people are there, and whether requests for erasure can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitml.errors import Problem, SpecError
from gitml.git.tree import WorkTree
from gitml.registry.erasures import erasures
from gitml.spec.application import Application
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
