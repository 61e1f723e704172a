"""What the commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gitml.spec import find_root

F = TypeVar("F", bound=Callable[..., Any])


def as_json(command: F) -> F:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def root_of(ctx: click.Context) -> Path:
    """The folder of gitml.yaml, from where the user stands or from ``-C``."""
    return find_root(Path(ctx.obj or "."))


def examples(*lines: str) -> str:
    """An epilog that click leaves as it is."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
