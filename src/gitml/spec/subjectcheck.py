"""Whether the data that hold people are there, so that a misspelled path does not hide anybody."""

from __future__ import annotations

from collections.abc import Callable

from gitml.errors import Problem
from gitml.spec.application import Application
from gitml.spec.yamlfile import Document


def subjects_known(app: Application, document: Document, is_output: Callable[[str], bool]) -> list[Problem]:
    """Each data set under `subjects` is an output of a stage or of a .dvc file, or lies in one."""
    hint = "name an output of dvc.yaml, or what `dvc add` brought in"
    return [
        document.problem(("subjects", "data", path), f"{path} is not data of DVC, so nobody is found in it", hint)
        for path in (app.subjects.data if app.subjects else ())
        if not is_output(path)
    ]
