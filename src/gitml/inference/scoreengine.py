"""Which engine a call of `gitml score` takes: as the call says, else as gitml.yaml does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitml.engines import ENGINES, EngineSettings
from gitml.errors import UsageError
from gitml.pipelines.enginevenv import engine_environment
from gitml.spec.batchrun import MEMORY, BatchRun, RunSpec


@dataclass(frozen=True)
class EngineWish:
    """'' and 0: as gitml.yaml says. ``python``: the engine's environment, where it is not the one of `gitml env`."""

    name: str = ""
    workers: int = 0
    master: str = ""
    memory: str = ""
    python: str = ""


def settings_for(wish: EngineWish, run: RunSpec, environment: str) -> EngineSettings:
    """Raises UsageError for an engine that is not there, InconclusiveError where its packages cannot be installed."""
    declared = run.batch_in(environment)
    name = wish.name or declared.engine
    if name not in ENGINES:
        raise UsageError(f"there is no engine {name}", f"the engines are {', '.join(ENGINES)}")
    if name != declared.engine:
        declared = BatchRun()
    master, memory = wish.master or declared.master or "", wish.memory or declared.memory or ""
    if wish.memory and not re.fullmatch(MEMORY, wish.memory):
        raise UsageError(f"{wish.memory!r} is no size of memory", "write it such as 512m or 4g")
    workers = wish.workers or declared.workers or 1
    if name == "local":
        if master or memory:
            raise UsageError("the engine local has no master and no memory of its own", "name another with --engine")
        return EngineSettings(name, workers)
    python = wish.python or str(engine_environment(name).python)
    return EngineSettings(name, workers, master, memory, python, declared.packed)
