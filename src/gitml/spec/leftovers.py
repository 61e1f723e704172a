"""What tools leave beside code, bytecode above all: each clone has other bytes of it, so no version depends on it."""

from __future__ import annotations

FOLDERS = ("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache")
FILES = (".DS_Store",)
ENDS = (".pyc", ".pyo")
# The same as lines of .dvcignore, for the `dvc` command.
PATTERNS = (*(f"{name}/" for name in FOLDERS), *FILES, *(f"*{end}" for end in ENDS))


def is_left(name: str) -> bool:
    """Whether tools leave files of this name.

    >>> is_left("run.pyc"), is_left("run.py")
    (True, False)
    """
    return name in FILES or name.endswith(ENDS)
