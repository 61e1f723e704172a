"""What a change does to one file: between two commits, in a commit, or in a whole merge."""

from __future__ import annotations

from dataclasses import dataclass

from gitml.git.repository import FILE


@dataclass(frozen=True)
class FileChange:
    """``path`` counts from the top of the repository.

    ``old`` and ``new`` are Git's names of the content, ``old_mode`` and ``new_mode`` Git's modes; all are empty where
    there is no file.
    """

    path: str
    old: str
    new: str
    old_mode: str = ""
    new_mode: str = ""

    @property
    def is_new(self) -> bool:
        return not self.old

    @property
    def is_gone(self) -> bool:
        return not self.new

    @property
    def is_plain(self) -> bool:
        """Whether it leaves a regular file that nobody can run, or none."""
        return self.is_gone or self.new_mode == FILE


def parse_change(about: str, path: str) -> FileChange:
    """From a line of ``--raw -z --no-abbrev``, and the path behind it.

    >>> change = parse_change(f":000000 100644 {'0' * 40} {'a' * 40} A", "policy.yaml")
    >>> (change.is_new, change.new_mode)
    (True, '100644')
    """
    old_mode, new_mode, old, new, _ = (part if part.strip("0") else "" for part in about.strip().lstrip(":").split())
    return FileChange(path, old, new, old_mode, new_mode)
