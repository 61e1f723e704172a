"""Work on rows that never end: what an engine's own stream of batches becomes, one schema in and one out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from gitml.engines.base import Batches, MapJob, Work

REASON = "gitml_reason"
LINE = "line"
LINES = pa.schema([(LINE, pa.string())])
LINES_MADE = LINES.append(pa.field(REASON, pa.string()))


@dataclass(frozen=True)
class StreamTopics:
    """Topics of Kafka in place of folders. ``dead``: of what cannot be answered. ``settings``: of Kafka's own clients.
    ``jars``: files with the engine's connector, which it does not have itself."""

    servers: str
    source: str
    target: str
    dead: str
    group: str
    settings: tuple[tuple[str, str], ...] = ()
    jars: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamJob:
    """A folder that grows, and the folder of what its rows become. ``given`` and ``made``: their columns; of files of
    lines these are ``LINES`` and ``LINES_MADE``.

    ``notes``: a folder where the engine keeps what it has done, so that it goes on there. ``rejected``: a folder for
    rows that became nothing, where they do not lie beside the others. ``topics``: then both folders are names alone.
    """

    map: MapJob
    source: str
    target: str
    notes: str
    given: pa.Schema
    made: pa.Schema
    rejected: str = ""
    topics: StreamTopics | None = None


def made_schema(work: Work, given: pa.Schema) -> pa.Schema:
    """The columns that come out: the work's own, and why a row has none of them. Raises UsageError."""
    return work.schema(given).append(pa.field(REASON, pa.string()))


def answered_rows(work: Work, batches: Batches, made: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Each row of ``batches`` once: what the work made of it, or as it was, with the reason in ``REASON``."""
    facts: dict[str, int] = {}
    left_out: list[pa.RecordBatch] = []
    for batch in batches:
        for found in work(iter([batch]), facts, left_out.append):
            yield _fitted(found, made)
        yield from (_fitted(rest, made) for rest in left_out)
        left_out.clear()


def _fitted(batch: pa.RecordBatch, made: pa.Schema) -> pa.RecordBatch:
    names = batch.schema.names
    columns = [batch[f.name].cast(f.type) if f.name in names else pa.nulls(batch.num_rows, f.type) for f in made]
    return pa.record_batch(columns, schema=made)
