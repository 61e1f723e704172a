"""Run a script in the environment of Spark that `gitml env spark` builds, with its params as JSON."""

import json
import os
import subprocess
import sys

from files import StageError, params, run

USAGE = "usage: python pipelines/on_spark.py SCRIPT"


def python_of_spark() -> str:
    """The Python of that environment; it is built where it is missing."""
    done = subprocess.run(["gitml", "env", "spark", "--json"], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise StageError("there is no environment of Spark: `gitml env spark` says why")
    return str(json.loads(done.stdout)["python"])


def main() -> None:
    """Its exit code is ours."""
    if len(sys.argv) != 2:
        raise StageError(USAGE)
    features, spark = params("features", "spark")
    python = python_of_spark()
    told = json.dumps({"features": dict(features), "spark": dict(spark)})
    env = {**os.environ, "PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": python}
    if str(spark["master"]).startswith("local"):
        # Nothing on this machine listens to other ones.
        env["SPARK_LOCAL_IP"] = "127.0.0.1"
    done = subprocess.run([python, sys.argv[1], told], env=env, check=False)
    if done.returncode:
        raise StageError(f"{sys.argv[1]} failed on Spark with exit code {done.returncode}")


if __name__ == "__main__":
    run(main)
