"""Stage `features`, on Spark: flights with the weather of their hour, and how many others leave then.

Spark names files at random and gives rows in whatever order they arrive. Here each row's file follows from its day,
rows are sorted by a key that is unique, numbers are counted and not summed as floats, and files get their numbers as
names: so that, as far as Spark lets it, the same rows become the same bytes, and DVC recognises them.
"""

import json
import shutil
import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f

RAW, TARGET = Path("data/raw"), Path("data/features")
HOUR = ["origin", "year", "month", "day", "hour"]
NUMBERS = ["hour", "weekday", "distance", "leaving", "temp", "wind_speed", "precip", "visib"]
KEY = ["scheduled", "origin", "carrier", "flight", "dest"]


def flights(spark: SparkSession, months: list[int], late_after: float) -> DataFrame:
    """One row for each flight that arrived."""
    weather = spark.read.parquet(str(RAW / "weather.parquet")).select(*HOUR, "temp", "wind_speed", "precip", "visib")
    rows = spark.read.parquet(str(RAW / "flights")).where(f.col("month").isin(months)).where("arr_delay is not null")
    leaving = f.count("*").over(Window.partitionBy(*HOUR))
    return (
        rows.withColumn("leaving", leaving)
        .join(weather.dropDuplicates(HOUR), HOUR, "left")
        .withColumn("scheduled", f.make_timestamp("year", "month", "day", "hour", "minute", f.lit(0)))
        .withColumn("weekday", f.weekday("scheduled"))
        .withColumn("late", (f.col("arr_delay") > late_after).cast("int"))
        .select(*KEY, *(f.col(name).cast("double").alias(name) for name in NUMBERS), "late")
    )


def main() -> None:
    """Write data/features."""
    told = json.loads(sys.argv[1])
    quiet = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false"}
    master = told["spark"]["master"]
    if master.startswith("local"):
        quiet |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    spark = SparkSession.builder.master(master).appName("features").config(map=quiet).getOrCreate()
    written, count = TARGET.with_name("features.spark"), int(told["spark"]["files"])
    try:
        rows = flights(spark, told["features"]["months"], float(told["features"]["late_after_minutes"]))
        spread = rows.repartition(count, f.to_date("scheduled")).sortWithinPartitions(*KEY)
        spread.write.mode("overwrite").parquet(str(written))
    finally:
        spark.stop()
    shutil.rmtree(TARGET, ignore_errors=True)
    TARGET.mkdir(parents=True)
    for part in sorted(written.glob("part-*.parquet")):
        part.replace(TARGET / f"{part.name[: len('part-00000')]}.parquet")
    shutil.rmtree(written)


if __name__ == "__main__":
    main()
