"""The other side of ``program``: gives up what a KPI's command does not need, and becomes that command."""

from __future__ import annotations

import os
import sys

from pydantic import BaseModel, ConfigDict

from gitml.confined import limit, offline
from gitml.landlock import close_in
from gitml.process import needed_by_python

# What it reads to reach others, where it has secrets to show them.
_NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/ssl", "/etc/pki")
_PROGRAMS = ("/usr", "/bin", "/lib", "/lib64", "/opt")
_MEMORY, _FILES = 4 << 30, 1 << 30


class ProgramOrder(BaseModel):
    """``run`` in ``root``, which reads ``reads`` and writes ``folder``; ``connects``: it may use the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: list[str]
    root: str
    reads: list[str]
    folder: str
    connects: bool
    seconds: float


def main() -> None:
    order = ProgramOrder.model_validate_json(sys.argv[2])
    if not order.connects:
        offline()
    limit(_MEMORY, order.seconds, _FILES)
    reads = [*needed_by_python(), *order.reads, *(_NETWORK if order.connects else ())]
    runs = [*_PROGRAMS, sys.prefix, sys.base_prefix]
    close_in(reads, [order.folder, "/dev/null"], connects=order.connects, runs=runs)
    os.chdir(order.root)
    os.execvp(order.run[0], order.run)  # noqa: S606 — it becomes what main's gitml.yaml names
