"""The files of an application, read."""

from __future__ import annotations

from pathlib import Path

from gitml.spec.application import Application
from gitml.spec.root import APPLICATION
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse, read


def load_application(root: Path) -> Application:
    """gitml.yaml of the application at ``root``. Raises SpecError with every problem."""
    return build(Application, read(root / APPLICATION, APPLICATION))


def parse_application(content: bytes, file: str = APPLICATION) -> Application:
    """The same from bytes, as they stand in a commit."""
    return build(Application, parse(content, file))
