"""Where an application lies."""

from __future__ import annotations

from pathlib import Path

from gitml.errors import UsageError

APPLICATION, POLICY = "gitml.yaml", "policy.yaml"


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
