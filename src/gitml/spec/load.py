"""The files of an application, found and read."""

from __future__ import annotations

from pathlib import Path

from gitml.errors import UsageError
from gitml.spec.application import Application
from gitml.spec.validate import build
from gitml.spec.yamlfile import parse, read

APPLICATION = "gitml.yaml"


def find_root(start: Path) -> Path:
    """The nearest folder, from ``start`` upwards, that has a gitml.yaml. Raises UsageError when none has."""
    folder = start.resolve()
    if not folder.is_dir():
        raise UsageError(f"{start} is not a folder", "gitml -C takes the folder to work in")
    for place in (folder, *folder.parents):
        if (place / APPLICATION).is_file():
            return place
    raise UsageError(
        f"there is no {APPLICATION} in {folder} or above it",
        "go to the folder of your application, or start one here with: gitml init",
    )


def load_application(root: Path) -> Application:
    """gitml.yaml of the application at ``root``. Raises SpecError with every problem."""
    return build(Application, read(root / APPLICATION, APPLICATION))


def parse_application(content: bytes, file: str = APPLICATION) -> Application:
    """The same from bytes, as they stand in a commit."""
    return build(Application, parse(content, file))
