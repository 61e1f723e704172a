"""A folder that grows on Spark Structured Streaming. Runs in the environment of Spark.

Spark notes in the checkpoint which files a batch holds before it begins, and in the sink's own log which files of
answers count once it is done: a batch that was killed is done again, and its first files do not count. So each row is
answered exactly once for readers that know the log, as Spark does; others see files of killed batches too.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitml.engines.base import Batches
from gitml.engines.host import EngineOrder
from gitml.engines.spark import settings_of, told_by
from gitml.engines.streamed import answered_rows
from gitml.engines.worker import digest_of, work_of
from gitml.errors import OutsideError

_LISTEN = 1


def run(order: EngineOrder) -> Iterator[dict[str, Any]]:
    """About once a second: how many rows were answered by this process."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory(prefix="gitml-spark-") as folder:
        settings = settings_of(order, Path(folder)) | {"spark.sql.streaming.schemaInference": "false"}
        try:
            session = SparkSession.builder.config(map=settings).getOrCreate()
            session.sparkContext.setLogLevel("ERROR")
            session.sparkContext.addPyFile(shutil.make_archive(str(Path(folder, "gitml")), "zip", order.source))
            yield from _streamed(session, order)
        except (Py4JError, PySparkException) as exc:
            raise OutsideError(
                f"Spark's stream ended: {told_by(exc)}", "mend it, and call it again: it goes on where it stopped"
            ) from exc


def _streamed(session: Any, order: EngineOrder) -> Iterator[dict[str, Any]]:
    from pyspark.sql.pandas.types import from_arrow_schema

    stream = order.stream
    assert stream is not None
    job, digest, made = session.sparkContext.broadcast(order.job), digest_of(order.job), stream.made

    def answered(batches: Batches) -> Batches:
        return answered_rows(work_of(digest, lambda: job.value), batches, made)

    rows = session.readStream.schema(from_arrow_schema(stream.given)).option("recursiveFileLookup", "true")
    mapped = rows.parquet(stream.source).mapInArrow(answered, from_arrow_schema(made))
    sink = mapped.writeStream.format("parquet").option("path", stream.target)
    query = sink.option("checkpointLocation", stream.notes).trigger(processingTime="1 second").start()
    seen: dict[int, int] = {}
    try:
        while not query.awaitTermination(_LISTEN):
            # Spark keeps the last hundred batches.
            seen |= {int(one["batchId"]): int(one["numInputRows"]) for one in query.recentProgress}
            yield {"rows": sum(seen.values())}
    finally:
        query.stop()
