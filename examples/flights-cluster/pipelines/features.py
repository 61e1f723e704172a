"""Stage `features`, on Spark: flights with the weather of their hour, and how many others leave then.

Spark names files at random and gives rows in whatever order they arrive, and its Parquet writer lists the encodings of
a column in an order that Java's memory decides. Here each row's file follows from its day, rows are sorted by a key
that is unique, numbers are counted and not summed as floats, and each task writes its file by Arrow, with its number as
name. So the same rows become the same bytes, and DVC recognises them.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as parquet
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f
from pyspark.sql.pandas.types import to_arrow_schema

RAW, TARGET = Path("data/raw"), Path("data/features")
HOUR = ["origin", "year", "month", "day", "hour"]
NUMBERS = ["hour", "weekday", "distance", "leaving", "temp", "wind_speed", "precip", "visib"]
KEY = ["scheduled", "origin", "carrier", "flight", "dest"]


def flights(spark: SparkSession, months: list[int], late_after: float) -> DataFrame:
    """One row for each flight that arrived."""
    weather = spark.read.parquet(str(RAW / "weather.parquet"))
    # Some hours have two rows, and `dropDuplicates` keeps whichever comes first.
    one = f.min(f.struct("temp", "wind_speed", "precip", "visib")).alias("one")
    weather = weather.groupBy(*HOUR).agg(one).select(*HOUR, "one.*")
    rows = spark.read.parquet(str(RAW / "flights")).where(f.col("month").isin(months)).where("arr_delay is not null")
    leaving = f.count("*").over(Window.partitionBy(*HOUR))
    return (
        rows.withColumn("leaving", leaving)
        .join(weather, HOUR, "left")
        .withColumn("scheduled", f.make_timestamp_ntz("year", "month", "day", "hour", "minute", f.lit(0)))
        .withColumn("weekday", f.weekday("scheduled"))
        .withColumn("late", (f.col("arr_delay") > late_after).cast("int"))
        .select(*KEY, *(f.col(name).cast("double").alias(name) for name in NUMBERS), "late")
    )


def writer(schema: pa.Schema, folder: Path) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a task does with its rows, on whatever machine: one file, which appears whole, and how many rows it has."""

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        target, rows = folder / f"part-{TaskContext.get().partitionId():05}.parquet", 0
        # A task that is tried again, or twice at once, writes the same.
        hidden = folder / f".{target.name}.{uuid4().hex}"
        with parquet.ParquetWriter(hidden, schema) as file:
            for batch in batches:
                file.write_batch(batch)
                rows += batch.num_rows
        hidden.replace(target)
        yield pa.RecordBatch.from_pydict({"rows": [rows]})

    return write


def main() -> None:
    """Write data/features."""
    told = json.loads(sys.argv[1])
    quiet = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false"}
    master = told["spark"]["master"]
    if master.startswith("local"):
        quiet |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    spark = SparkSession.builder.master(master).appName("features").config(map=quiet).getOrCreate()
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    try:
        rows = flights(spark, told["features"]["months"], float(told["features"]["late_after_minutes"]))
        spread = rows.repartition(int(told["spark"]["files"]), f.to_date("scheduled")).sortWithinPartitions(*KEY)
        write = writer(to_arrow_schema(spread.schema), TARGET.absolute())
        written = spread.mapInArrow(write, "rows long").collect()
    finally:
        spark.stop()
    for half in TARGET.glob(".*"):
        half.unlink()
    print(f"features: {sum(row['rows'] for row in written):,} rows in {len(written)} files")


if __name__ == "__main__":
    main()
