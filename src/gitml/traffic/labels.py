"""What really happened, told after the answer: labels keyed by request id and row.

A label for the same row is a correction: the one that came last counts. One that nothing was predicted for is kept,
and joins as soon as the prediction is there. What ``add`` returned for is on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from gitml.errors import UsageError
from gitml.refs import NAME
from gitml.traffic.exchange import DATE, FORMAT, MODEL, MOMENT
from gitml.traffic.store import RowStore, day_of

SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("caller", pa.string()),
        ("row", pa.int32()),
        ("label", pa.float64()),
        ("label_text", pa.string()),
        ("source", pa.string()),
        ("arrived", MOMENT),
        ("order", pa.int64()),
    ]
)


class Label(NamedTuple):
    """``value`` is a finite number, or a word; ``row`` counts the rows of the request from 0. ``caller`` is whose
    request it was; None is anybody's."""

    request_id: str
    value: float | str
    row: int = 0
    caller: str | None = None


class LabelStore(RowStore):
    """Labels below ``folder``, the same as the prediction log's; ``spool`` as there. Safe for many threads."""

    def __init__(self, folder: str | Path, *, spool: Path | None = None, keep: timedelta | None = None) -> None:
        super().__init__(folder, "labels", spool=spool, keep=keep)

    def add(self, model: str, labels: Sequence[Label], source: str = "") -> int:
        """Keep the labels, all or none; their number. ``source`` says who told them. Raises OutsideError when the disk
        does not take them."""
        if not labels:
            return 0
        if not NAME.fullmatch(model):
            raise UsageError(f"{model!r} names no model", "take the name from gitml.yaml")
        return self.keep(len(labels), lambda order: [_batch(model, labels, order, source)])


def _batch(model: str, labels: Sequence[Label], order: int, source: str) -> pa.RecordBatch:
    count = len(labels)
    columns = {
        "request_id": [label.request_id for label in labels],
        "caller": [label.caller or None for label in labels],
        "row": [label.row for label in labels],
        "label": [None if isinstance(label.value, str) else float(label.value) for label in labels],
        "label_text": [label.value if isinstance(label.value, str) else None for label in labels],
        "source": [source or None] * count,
        "arrived": [order // 1000] * count,
        # Within one call the later label wins too.
        "order": range(order, order + count),
    }
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    metadata = {MODEL: model.encode(), DATE: day_of(order).encode(), FORMAT: b"2"}
    return pa.record_batch(arrays, schema=SCHEMA.with_metadata(metadata))


def upgraded_labels(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of ``SCHEMA``, also of labels that an earlier release kept."""
    names = batch.schema.names
    known = {name: batch[name] for name in names if name in SCHEMA.names}
    if "arrived" not in known:
        known["arrived"] = pc.divide(batch["order"], 1000).cast(MOMENT)
    columns = [known.get(f.name, pa.nulls(batch.num_rows, f.type)).cast(f.type) for f in SCHEMA]
    return pa.record_batch(columns, schema=SCHEMA)
