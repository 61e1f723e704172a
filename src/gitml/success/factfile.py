"""Files of the repository that facts are read from: those that gitml.yaml names, and no link that leads elsewhere."""

from __future__ import annotations

from pathlib import Path

from gitml.errors import InconclusiveError, UsageError


def fact_files(root: Path, path: str) -> tuple[Path, ...]:
    """The files that ``path`` names, with ``*`` in its last part for any text; in order.

    Raises InconclusiveError where none is there, UsageError for one that lies outside of the repository.
    """
    found = tuple(sorted(p for p in root.glob(path) if p.is_file())) if "*" in path else (root / path,)
    if not found or not all(p.is_file() for p in found):
        raise InconclusiveError(f"the table {path} is not here", "bring it with `dvc pull`, or write it first")
    home = root.resolve()
    whole = tuple(p.resolve() for p in found)
    for one in whole:
        if not one.is_relative_to(home):
            raise UsageError(
                f"{path} is a link to a file outside of the repository",
                "let DVC copy it: dvc config cache.type reflink,copy; dvc checkout --relink",
            )
    return whole
