"""Every error that the sandbox raises on purpose.

SandboxError               a message and a hint that says what to do next
├── UsageError             the words of the call are wrong                    exit 2
│   └── RefError           a name names nothing, or too much                  exit 2
├── FailedError            something was judged, and failed                   exit 1
└── OutsideError           git, act or the network failed                     exit 4
    └── LockedError        somebody else holds the lock                       exit 4

They are click's own kind of error, so that whatever command line the sandbox is part of shows them and ends with
their exit code.
"""

from __future__ import annotations

from typing import IO, Any

import click

from gitml_sandbox.output import note, paint, printable


class SandboxError(click.ClickException):
    """Base of the tree. ``message`` says what happened, ``hint`` what to do next."""

    exit_code = 4

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: IO[Any] | None = None) -> None:
        note(paint("error: ", "red", bold=True, err=True) + printable(self.message))
        if self.hint:
            note("  " + printable(self.hint))


class UsageError(SandboxError):
    exit_code = 2


class RefError(UsageError):
    """A name that resolves to nothing, or to several things."""


class FailedError(SandboxError):
    exit_code = 1


class OutsideError(SandboxError):
    exit_code = 4


class LockedError(OutsideError):
    """Another process holds the lock that this one needs."""
