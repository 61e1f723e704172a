"""The environment variables that stages run with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stage_environment(programs: Path, without: Sequence[str] = ()) -> Iterator[None]:
    """``python`` in a stage's command is the one in the folder ``programs``, and its hashes are not random.

    ``gitml`` is there too, whatever the packages are that the stage runs with: `gitml reference` is a part of stages.

    DVC gives the stages our own environment, so it is changed for the time being. Stages do not see the variables
    ``without``: keys that are ours.
    """
    wanted = {
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]),
        "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0"),
        "PYTHONUNBUFFERED": "1",
    }
    before = {name: os.environ.get(name) for name in (*wanted, *without)}
    os.environ.update(wanted)
    for name in without:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
