"""The files of an application, read."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gitml.spec.application import Application
from gitml.spec.root import APPLICATION
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse, read


def load_application(root: Path) -> Application:
    """gitml.yaml of the application at ``root``. Raises SpecError with every problem."""
    return build(Application, read(root / APPLICATION, APPLICATION))


@lru_cache(maxsize=16)  # one commit's file is asked for by every part that reads it, and takes longer than all else
def parse_application(content: bytes, file: str = APPLICATION) -> Application:
    """The same from bytes, as they stand in a commit."""
    return build(Application, parse(content, file))
