"""Environments of their own for engines, whose packages gitml itself does not need; each pinned in ``constraints/``."""

from __future__ import annotations

import platform
from contextlib import nullcontext

from gitml.files import shipped
from gitml.pipelines.venv import StageEnvironment, Watch, built_environment, recorded_environment


def engine_environment(engine: str, watch: Watch = lambda *_: nullcontext()) -> StageEnvironment:
    """That of ``engine``, built when it is needed for the first time, with a Python like this one.

    Raises InconclusiveError where its packages cannot be installed.
    """
    return recorded_environment(shipped("constraints"), f"{engine}.txt", platform.python_version(), watch)


def built_engine(engine: str) -> StageEnvironment | None:
    """The same if it was built already."""
    return built_environment(shipped("constraints") / f"{engine}.txt", platform.python_version())
