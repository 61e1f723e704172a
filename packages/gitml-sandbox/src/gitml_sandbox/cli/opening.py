"""The state folder that a command works on, while the sandbox may be up beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.server import control, serve
from gitml_sandbox.server import state as forge

F = TypeVar("F", bound=Callable[..., Any])


def state_option(command: F) -> F:
    """The option ``--state``."""
    option = click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        default=control.default_state,
        callback=lambda _ctx, _param, value: value.absolute(),
        help="State folder. Default: gitml/sandbox in your XDG state folder.",
    )
    return option(command)


@contextmanager
def opened(state: Path) -> Iterator[Sandbox]:
    """The sandbox of a state folder, beside the process that may serve it."""
    if not (state / "sandbox.db").exists():
        raise UsageError(f"there is no sandbox in {state}", "start one: gitml sandbox up")
    box = forge.open_forge(state, base_url=serve.last_url(state))
    try:
        yield box
    finally:
        box.store.close()
