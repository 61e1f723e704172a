"""Environments of their own for engines, whose packages gitml itself does not need; each pinned in ``constraints/``."""

from __future__ import annotations

import platform
import sys
from contextlib import nullcontext

from gitml.errors import UsageError
from gitml.files import shipped
from gitml.pipelines.venv import StageEnvironment, Watch, built_environment, recorded_environment

_FLINK_NEWEST = (3, 12)


def engine_environment(engine: str, watch: Watch = lambda *_: nullcontext()) -> StageEnvironment:
    """That of ``engine``, built when it is needed for the first time, with a Python like this one.

    Raises InconclusiveError where its packages cannot be installed, UsageError where they are not made for this Python.
    """
    if engine == "flink" and sys.version_info[:2] > _FLINK_NEWEST:
        newest = ".".join(map(str, _FLINK_NEWEST))
        raise UsageError(
            f"Flink's packages end at Python {newest}, and this is {platform.python_version()}",
            "run gitml with that one, or name another engine",
        )
    return recorded_environment(shipped("constraints"), f"{engine}.txt", platform.python_version(), watch)


def built_engine(engine: str) -> StageEnvironment | None:
    """The same if it was built already."""
    return built_environment(shipped("constraints") / f"{engine}.txt", platform.python_version())
