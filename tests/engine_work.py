"""Work for engines; a module of its own, because worker processes import it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute

from gitml.engines.base import Batches
from gitml.engines.rejects import Reject
from gitml.errors import UsageError


@dataclass(frozen=True)
class Doubling:
    """Doubles x, counts rows, fails or dies where told."""

    fail: str = ""

    def schema(self, given: pa.Schema) -> pa.Schema:
        if "x" not in given.names:
            raise UsageError("there is no x", "bring one")
        return pa.schema([("x", pa.int64())])

    def __call__(self, batches: Batches, facts: dict[str, int], reject: Reject) -> Batches:
        for batch in batches:
            if self.fail == "die" and 7 in batch["x"].to_pylist():
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fail == "raise" and 7 in batch["x"].to_pylist():
                raise UsageError("there is a 7", "no sevens")
            facts["rows"] = facts.get("rows", 0) + batch.num_rows
            yield pa.record_batch({"x": pa.compute.multiply(batch["x"], 2)})


@dataclass(frozen=True)
class Make:
    fail: str = ""

    def __call__(self) -> Doubling:
        return Doubling(self.fail)
