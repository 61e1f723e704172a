"""Engines map a function over Arrow batches, wherever the batches lie and whatever runs the function."""

from gitml.engines.base import Done, Engine, MapJob, Task, Work
from gitml.engines.local import LocalEngine

# name: engine. Adapters to Spark, Ray and Flink take their place here, each with an extra of the package.
ENGINES: dict[str, type[LocalEngine]] = {"local": LocalEngine}

__all__ = ["ENGINES", "Done", "Engine", "LocalEngine", "MapJob", "Task", "Work"]
