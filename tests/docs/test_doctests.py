"""The examples in docstrings, run module by module. A module whose optional packages are absent is left out by name."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import gitml
from docs import examples

ROOT = Path(gitml.__file__).parent
OPTIONAL = {"dulwich", "jinja2", "markdown_it", "nh3", "pygments", "starlette", "trustme", "uvicorn", "croniter"}


def modules_with_examples() -> list[str]:
    """Names of the modules whose text has a doctest; nothing is imported to find out."""
    found = []
    for info in pkgutil.walk_packages([str(ROOT)], "gitml."):
        path = ROOT.parent.joinpath(*info.name.split("."))
        file = path / "__init__.py" if info.ispkg else path.with_suffix(".py")
        if ">>> " in file.read_text(encoding="utf-8"):
            found.append(info.name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name in OPTIONAL:
            pytest.skip(f"{exc.name} is not installed")
        raise
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted, "no example was found: is it in the docstring of something imported?"
    assert result.failed == 0


def test_there_are_examples() -> None:
    assert len(modules_with_examples()) > 5


def test_the_examples_of_the_docs_runner() -> None:
    assert doctest.testmod(examples).attempted
    assert doctest.testmod(examples).failed == 0
