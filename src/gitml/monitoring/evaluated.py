"""Rows that a version was evaluated on, with its answers and their labels: a file beside its reference.

Columns are ``input_…`` and ``output_…`` by the names of the signature, ``label``, and ``time`` where rows have one.
Estimates of performance need rows, which a reference has none of: so few of them that the file stays small.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from gitml.errors import UsageError
from gitml.files import write_file
from gitml.models.signature import Signature
from gitml.monitoring.estimates.rows import Evaluated
from gitml.monitoring.estimates.table import Encoder, evaluated_of
from gitml.monitoring.fewrows import read_few
from gitml.sketches.moments import moments_of

MOST_ROWS = 20_000
INPUT, OUTPUT, LABEL, TIME = "input_", "output_", "label", "time"


def write_evaluated(
    path: Path,
    batches: Iterator[Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
    label: str,
    time: str = "",
    zone: str = "",
) -> int:
    """The number of rows written: of more than 20,000 that many, chosen at random, the same each time. Inputs that the
    rows do not have are left out. Raises UsageError for rows without a label, an answer or the time."""
    whole = pa.Table.from_batches([_named(batch, inputs, outputs, label, time, zone) for batch in batches])
    if not whole.num_rows:
        raise UsageError("the evaluation has no rows", "see what --outputs names")
    chosen = np.arange(whole.num_rows)
    if len(chosen) > MOST_ROWS:
        chosen = np.sort(np.random.Generator(np.random.PCG64(0)).choice(chosen, MOST_ROWS, replace=False))
    some = whole.take(pa.array(chosen))
    if time:
        some = some.take(pa.array(np.argsort(some[TIME].cast(pa.int64()).to_numpy(), kind="stable")))
    stream = io.BytesIO()
    parquet.write_table(some, stream, compression="zstd")
    write_file(path, stream.getvalue())
    return int(some.num_rows)


def _named(
    batch: Any, inputs: Sequence[str], outputs: Sequence[str], label: str, time: str, zone: str
) -> pa.RecordBatch:
    there = batch.schema.names
    lacking = [name for name in (*outputs, label, *([time] if time else [])) if name not in there]
    if lacking:
        raise UsageError(f"the rows of the evaluation have no column {lacking[0]}", f"they have {', '.join(there)}")
    found = {f"{INPUT}{name}": batch[name] for name in inputs if name in there}
    found |= {f"{OUTPUT}{name}": batch[name] for name in outputs}
    found[LABEL] = batch[label]
    if time:
        found[TIME] = moments_of(batch[time], zone)
    return pa.RecordBatch.from_pydict(found)


def read_evaluated(path: Path, signature: Signature) -> tuple[Evaluated, Encoder] | str:
    """Or why it cannot be used. The first output of the signature is what is judged."""
    try:
        table = read_few(path, MOST_ROWS)
        inputs = [f"{INPUT}{field.name}" for field in signature.inputs]
        return evaluated_of(table, inputs, signature.outputs, LABEL, TIME, OUTPUT)
    except (OSError, pa.ArrowException, UsageError) as exc:
        return f"the evaluated rows cannot be read: {exc}"
