"""Tasks on Spark: on this machine, or on whatever cluster a master URL names. Runs in the environment of Spark.

Each task of ours is a task of Spark's, so that a lost executor costs the files that it had open and no other. Results
come by an accumulator: Spark adds what a task says exactly once, as soon as the task ends.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitml.engines.base import Task
from gitml.engines.host import EngineOrder
from gitml.engines.worker import digest_of, run_numbered
from gitml.errors import OutsideError

_LISTEN = 0.2
# Spark keeps books of every task: those of a million files would take more time than most files.
_MOST_TASKS = 5_000
_TRIES = 4
_LOCAL = re.compile(r"local\[(\d+|\*)\]|local")
_HERE = re.compile(r"spark://(127\.0\.0\.1|localhost):\d+")
_ARCHIVE = "environment"


def run(order: EngineOrder) -> Iterator[dict[str, Any]]:
    """What each task said, as it ends."""
    from pyspark import SparkConf, SparkContext

    with tempfile.TemporaryDirectory(prefix="gitml-spark-") as folder:
        settings = settings_of(order, Path(folder))
        try:
            context = SparkContext(conf=SparkConf().setAll(list(settings.items())))
        except Exception as exc:  # of the JVM, by the bridge to it, which has a class for each of many reasons
            said, hint = told_by(exc), "see the address of the master, the memory asked for, and the environment"
            raise OutsideError(f"Spark did not start at {settings['spark.master']}: {said}", hint) from exc
        try:
            context.setLogLevel("ERROR")
            context.addPyFile(shutil.make_archive(str(Path(folder, "gitml")), "zip", order.source))
            yield from _mapped(context, order)
        finally:
            context.stop()


def settings_of(order: EngineOrder, folder: Path) -> dict[str, str]:
    """Spark's own settings for what was ordered; ``folder`` takes its files."""
    master = order.settings.master or f"local[{order.settings.workers}]"
    local = _LOCAL.fullmatch(master)
    settings = {
        "spark.app.name": "gitml score",
        # Without a number Spark's local mode tries a task once, whatever killed its worker.
        "spark.master": f"local[{local[1] or 1},{_TRIES}]" if local else master,
        "spark.task.maxFailures": str(_TRIES),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(folder),
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.python.worker.reuse": "true",
    }
    # Only spark-submit reads the setting of that name.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if order.settings.memory:
        settings["spark.driver.memory" if local else "spark.executor.memory"] = order.settings.memory
    if local or _HERE.fullmatch(master):
        # Nothing on this machine listens to other ones.
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    if order.settings.packed and not local:
        settings["spark.archives"] = f"{_packed(folder)}#{_ARCHIVE}"
        os.environ["PYSPARK_PYTHON"] = f"./{_ARCHIVE}/bin/python"
    return settings


def _packed(folder: Path) -> str:
    """The packages of this environment for workers that have the same Python at the same place. Spark's own lie there
    already."""
    from tarfile import TarInfo
    from tarfile import open as open_tar

    def wanted(entry: TarInfo) -> TarInfo | None:
        return None if "/pyspark/" in entry.name or "/__pycache__" in entry.name else entry

    # Spark unpacks a .tar by itself, which keeps no permissions and refuses links to where Python lies.
    place = folder / "environment.tar.gz"
    with open_tar(place, "w:gz", compresslevel=1) as tar:
        for child in sorted(Path(sys.prefix).iterdir()):  # Hadoop refuses an entry `./`
            tar.add(child, arcname=child.name, filter=wanted)
    return str(place)


def _mapped(context: Any, order: EngineOrder) -> Iterator[dict[str, Any]]:
    from py4j.protocol import Py4JError
    from pyspark import InheritableThread
    from pyspark.errors import PySparkException

    job, digest = context.broadcast(order.job), digest_of(order.job)
    slices = min(len(order.tasks), _MOST_TASKS)
    numbered = context.parallelize(list(enumerate(order.tasks)), slices)
    told = context.accumulator([], _EventList())
    failures: list[Exception] = []

    def every(tasks: Iterator[tuple[int, Task]]) -> None:
        for number, task in tasks:
            event = run_numbered(number, task, digest, lambda: job.value)
            told.add([event])
            if "error" in event:
                return

    def work() -> None:
        try:
            numbered.foreachPartition(every)
        except (Py4JError, PySparkException) as exc:
            failures.append(exc)

    thread = InheritableThread(target=work, daemon=True)
    thread.start()
    heard = 0
    while True:
        is_alive = thread.is_alive()
        now = list(told.value)
        yield from now[heard:]
        heard = len(now)
        if not is_alive:
            break
        thread.join(_LISTEN)
    if failures:
        raise OutsideError(
            f"Spark gave up after {_TRIES} tries of a file: {told_by(failures[0])}",
            "do workers see the same files, and have enough memory? Call it again: it resumes",
        )


class _EventList:
    """How Spark adds up lists: an ``AccumulatorParam``, without its base class, which only its environment has."""

    def zero(self, value: list[Any]) -> list[Any]:
        return []

    def addInPlace(self, value1: list[Any], value2: list[Any]) -> list[Any]:  # noqa: N802 — Spark's name
        value1.extend(value2)
        return value1


def told_by(exc: Exception) -> str:
    """The lines of a long trace that tell people something."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    wanted = [line for line in lines if re.search(r"Error|Exception|Lost task|killed|failure", line)]
    return " / ".join(dict.fromkeys((wanted or lines)[:3]))[:800]
