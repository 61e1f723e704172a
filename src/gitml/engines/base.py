"""The one thing an engine does: map a function over the Arrow batches of files, one output file for each input file.

A ``Job`` is plain data and pickles, and ``make`` is called where the work is done, once per process: a model is loaded
there and never travels. What ``make`` returns maps an iterator of batches to an iterator of batches, the shape of
Spark's ``DataFrame.mapInArrow``. Engines spread the tasks, not the rows: whichever machine has a task reads its file
and writes its file, so that no row passes through a JVM or an object store of the engine, and its order stays.
Whatever runs it, a file appears whole, and a task that is run twice gives the same file: exactly once per file needs
nothing else of an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import pyarrow as pa

from gitml.engines.places import place_of
from gitml.engines.rejects import Reject, RejectedRows
from gitml.engines.tables import open_table, schema_of, write_table
from gitml.errors import UsageError

Batches = Iterator[pa.RecordBatch]


class Work(Protocol):
    """A function over the batches of one file, in order."""

    def schema(self, given: pa.Schema) -> pa.Schema:
        """The columns that come out of these; raises UsageError when they cannot be worked on."""
        ...

    def __call__(self, batches: Batches, facts: dict[str, int], reject: Reject) -> Batches:
        """May hold a batch or two, never all. ``facts`` takes counts of its own, ``reject`` rows to leave out."""
        ...


@dataclass(frozen=True)
class Task:
    """One input file and the file that its rows become; paths or URLs. ``types``: the Arrow types of CSV columns.

    ``rejects``: the file of rows that the work rejects, written if there are any.
    """

    name: str
    source: str
    target: str
    format: str
    output_format: str
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    rejects: str = ""


class Done(NamedTuple):
    """``rows`` were written for the task, ``rejected`` to its other file. ``facts``: counts of the work's own."""

    task: Task
    rows: int
    facts: Mapping[str, int]
    rejected: int = 0


@dataclass(frozen=True)
class MapJob:
    """``make`` gives the work, anew in every process. Batches have at most ``batch_rows`` rows."""

    make: Callable[[], Work]
    batch_rows: int = 16_384


@dataclass(frozen=True)
class EngineSettings:
    """Which engine runs the tasks, and with what.

    ``workers``: processes on this machine. ``master``: URL of a cluster; '' for this machine. ``memory``: of a process,
    such as 4g. ``python``: that of the engine's own environment. ``packed``: workers get that environment sent.
    """

    name: str = "local"
    workers: int = 1
    master: str = ""
    memory: str = ""
    python: str = ""
    packed: bool = False


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
        with RejectedRows() as rejected:
            out = counted(work(read(batches), facts, rejected))
            write_table(place_of(task.target), task.output_format, schema, out)
            if rejected.rows:
                write_table(place_of(task.rejects), task.output_format, *rejected.found())
    return Done(task, written[0], facts, rejected.rows)
