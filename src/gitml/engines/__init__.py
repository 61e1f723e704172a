"""Engines map a function over Arrow batches, wherever the batches lie and whatever runs the function."""

from collections.abc import Callable, Mapping

from gitml.engines.base import Done, Engine, EngineSettings, MapJob, Task, Work
from gitml.engines.cluster import ClusterEngine
from gitml.engines.local import LocalEngine

# name: engine. One that is not local has a module of its name here, and a lock of its name in `constraints/`.
ENGINES: Mapping[str, Callable[[EngineSettings], Engine]] = {
    "local": lambda settings: LocalEngine(settings.workers),
    "spark": ClusterEngine,
    "ray": ClusterEngine,
    "flink": ClusterEngine,
}

__all__ = ["ENGINES", "ClusterEngine", "Done", "Engine", "EngineSettings", "LocalEngine", "MapJob", "Task", "Work"]
