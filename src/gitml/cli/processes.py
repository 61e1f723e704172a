"""The option that says how many processes answer behind one port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_MOST = 256


def _counted(_ctx: click.Context, _param: click.Parameter, value: int) -> int:
    if value:
        return value
    # What the scheduler and the control group of this process give, not what the machine has.
    from joblib import cpu_count

    return int(cpu_count())


def processes(command: F) -> F:
    """``--processes``, handed over as a number from 1 on."""
    return click.option(
        "--processes",
        type=click.IntRange(0, _MOST),
        default=1,
        show_default=True,
        callback=_counted,
        help="Processes that answer behind the one port; 0: one for each core that this machine gives.",
    )(command)
