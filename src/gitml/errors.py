"""Every error that gitml raises on purpose.

GitmlError                 a message and a hint that says what to do next
├── UsageError             the words of the call are wrong                    exit 2
│   ├── SpecError          a file of the user is wrong: problems with lines   exit 2
│   └── RefError           a reference names nothing, or too much             exit 2
├── FailedError            a judgement or a stage failed                      exit 1
├── InconclusiveError      there is not enough to judge on                    exit 3
└── OutsideError           git, DVC, a forge or the network failed            exit 4
    ├── IntegrityError     bytes are not what their digest says               exit 4
    └── LockedError        somebody else holds the lock                       exit 4
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitml.urls import shown


class GitmlError(Exception):
    """Base of the tree. ``message`` says what happened, ``hint`` what to do next; neither holds a URL's secrets."""

    exit_code = 4

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = shown(message), shown(hint)
        super().__init__(self.message)


class UsageError(GitmlError):
    exit_code = 2


class Problem(NamedTuple):
    """One thing wrong in one file. ``line`` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}{self.message}"


class SpecError(UsageError):
    """All the problems found, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        lines = [f"{p}\n    {p.hint}" if p.hint else str(p) for p in self.problems]
        super().__init__("\n".join(lines))


class RefError(UsageError):
    """A reference such as ``delay@3f2a`` that resolves to no version, or to several."""


class FailedError(GitmlError):
    exit_code = 1


class InconclusiveError(GitmlError):
    exit_code = 3


class OutsideError(GitmlError):
    exit_code = 4


class IntegrityError(OutsideError):
    """Bytes differ from their digest, or a listing tries to leave its folder."""


class LockedError(OutsideError):
    """Another process holds the lock that this one needs."""
