"""Each fact once: of those with one id the first that arrived, and none that had not arrived by a moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.traffic.keys import of_words, repeats


class CountedOnce:
    """What ``batches`` says of ``repeated`` facts is known when it is through."""

    def __init__(self, batches: Iterable[pa.RecordBatch], at: datetime | None) -> None:
        self._given, self._at = batches, at
        self.repeated, self.has_ids = 0, False

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Facts without ids pass as they come; with ids all of them are held at once."""
        held = []
        for batch in map(self._arrived, self._given):
            if "id" in batch.schema.names:
                held.append(batch)
            else:
                yield batch
        if held:
            self.has_ids = True
            yield from self._firsts(pa.Table.from_batches(held))

    def _arrived(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self._at is None or "arrived" not in batch.schema.names:
            return batch
        return batch.filter(pa.array(micros_of(batch["arrived"]) <= round(self._at.timestamp() * 1e6)))

    def _firsts(self, facts: pa.Table) -> Iterator[pa.RecordBatch]:
        ids = facts["id"].combine_chunks()
        first = micros_of(facts["arrived" if "arrived" in facts.schema.names else "time"].combine_chunks())
        named = ids.is_valid().to_numpy(zero_copy_only=False)
        again = repeats(of_words(ids), first, np.array([], dtype=np.uint64)) & named
        self.repeated = int(again.sum())
        yield from facts.filter(pa.array(~again)).to_batches()


def micros_of(times: Any) -> NDArray[np.int64]:
    """Microseconds since 1970; what has no time is before all of them."""
    found: NDArray[np.int64] = times.cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)
    return found
