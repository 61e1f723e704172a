"""What `needs` of gitml.yaml names, looked up in the work tree: models here, and in applications beside this one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gitml.errors import Problem, SpecError
from gitml.spec.application import Application
from gitml.spec.load import load_application
from gitml.spec.modelgraph import needs_in_no_circle, needs_known
from gitml.spec.root import APPLICATION
from gitml.spec.yamlfile import Document


def top_of(root: Path) -> Path:
    """The top of the repository that holds ``root``; ``root`` itself outside of one."""
    return next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)


def folder_of(root: Path) -> str:
    """Where the application at ``root`` lies in its repository: '' or 'sub/folder'."""
    found = root.relative_to(top_of(root)).as_posix()
    return "" if found == "." else found


def needs_problems(root: Path, app: Application, document: Document) -> list[Problem]:
    """Nothing is asked over the network: `gitml doctor` reads what lies in another repository."""
    found = needs_known(app, document)
    return found or needs_in_no_circle(app, document, folder_of(root), partial(application_in, top_of(root)))


def application_in(top: Path, folder: str) -> Application | str:
    """gitml.yaml of another application of the repository, or why it cannot be read."""
    place = top / folder
    if not (place / APPLICATION).is_file() or not place.resolve().is_relative_to(top.resolve()):
        return f"there is no {APPLICATION}"
    try:
        return load_application(place)
    except SpecError as exc:
        return f"its {APPLICATION} cannot be read: line {exc.problems[0].line}: {exc.problems[0].message}"
