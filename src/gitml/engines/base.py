"""The one thing an engine does: map a function over the Arrow batches of files, one output file for each input file.

A ``Job`` is plain data and pickles, and ``make`` is called where the work is done, once per process: a model is loaded
there and never travels. What ``make`` returns maps an iterator of batches to an iterator of batches, the shape of
Spark's ``DataFrame.mapInArrow``; a Spark adapter parallelises the tasks over its executors, each of which calls
``run_task``; a Ray adapter makes ``run_task`` a remote function, or an actor that keeps what ``make`` returned; a Flink
adapter reads the tasks as a bounded source and calls ``run_task`` in a map. Whatever runs it, a file appears whole, and
a task that is run twice gives the same file: exactly once per file needs nothing else of an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import pyarrow as pa

from gitml.engines.places import place_of
from gitml.engines.tables import open_table, schema_of, write_table
from gitml.errors import UsageError

Batches = Iterator[pa.RecordBatch]


class Work(Protocol):
    """A function over the batches of one file, in order."""

    def schema(self, given: pa.Schema) -> pa.Schema:
        """The columns that come out of these; raises UsageError when they cannot be worked on."""
        ...

    def __call__(self, batches: Batches, facts: dict[str, int]) -> Batches:
        """May hold a batch or two, never all. ``facts`` takes counts of its own."""
        ...


@dataclass(frozen=True)
class Task:
    """One input file and the file that its rows become; paths or URLs. ``types``: the Arrow types of CSV columns."""

    name: str
    source: str
    target: str
    format: str
    output_format: str
    types: Mapping[str, pa.DataType] = field(default_factory=dict)


class Done(NamedTuple):
    """``rows`` were written for the task. ``facts`` are counts of the work's own, added up."""

    task: Task
    rows: int
    facts: Mapping[str, int]


@dataclass(frozen=True)
class MapJob:
    """``make`` gives the work, anew in every process. Batches have at most ``batch_rows`` rows."""

    make: Callable[[], Work]
    batch_rows: int = 16_384


class Engine(Protocol):
    """Runs tasks. Use as a context manager; what it started has ended when that is left."""

    def __enter__(self) -> Engine: ...
    def __exit__(self, *_: object) -> None: ...
    def map(self, job: MapJob, tasks: Iterator[Task], tell: Callable[[int], None]) -> Iterator[Done]:
        """Run the tasks and yield each as it is done, in any order. ``tell`` hears of rows read meanwhile.

        Raises what the work raises; other tasks may have been done by then.
        """
        ...


@contextmanager
def naming(name: str) -> Iterator[None]:
    """What is wrong with a file is said with its name."""
    try:
        yield
    except UsageError as exc:
        if name in exc.message:
            raise
        raise UsageError(f"{name}: {exc.message}", exc.hint) from exc


def run_task(task: Task, work: Work, batch_rows: int, tell: Callable[[int], None]) -> Done:
    """Read, map and write one file, holding a few batches in memory."""
    facts: dict[str, int] = {}
    written = [0]

    def read(batches: Batches) -> Batches:
        for batch in batches:
            yield batch
            tell(batch.num_rows)

    def counted(batches: Batches) -> Batches:
        for batch in batches:
            written[0] += batch.num_rows
            yield batch

    source = place_of(task.source)
    with naming(task.name), open_table(source, task.format, batch_rows, task.types) as batches:
        schema = work.schema(schema_of(source, task.format, task.types))
        write_table(place_of(task.target), task.output_format, schema, counted(work(read(batches), facts)))
    return Done(task, written[0], facts)
