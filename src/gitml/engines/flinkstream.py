"""A folder that grows, or a topic of Kafka, in a job of Flink. Runs in the environment of Flink.

Lines are read as they come, those of a moment are answered together, and the answers are written beside a checkpoint:
Flink notes how far each file was read, which lines wait, and which files of answers are whole, all at one moment, and
gives those files their names once that is noted. So each line is answered exactly once in files that have names,
whatever is killed; files that begin with a dot are on their way, or were left by what was killed. Transactions take the
place of names where answers go to a topic.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gitml.engines.flink import environment_of, prepare, settings_of, told_by
from gitml.engines.flinkjobs import ABSENT_MS, end_jobs, job_name, tell_alive
from gitml.engines.flinkplaces import sinks_of, source_of
from gitml.engines.flinkworker import WorkerProcess, sys_path_of_gitml
from gitml.engines.host import EngineOrder
from gitml.engines.streamed import StreamJob
from gitml.errors import OutsideError

_LISTEN = 1.0
_TOGETHER_MS = 200
# Lines are shared out by their own checksum: some shares for each process, so that none has many more than another.
_SHARES = 8
_SETTINGS = {
    "execution.checkpointing.interval": "1 s",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
    "execution.checkpointing.timeout": "10 min",
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    # The checkpoint that a job began with is cleared away like its own ones.
    "execution.state-recovery.claim-mode": "CLAIM",
    "restart-strategy.type": "failure-rate",
    "restart-strategy.failure-rate.max-failures-per-interval": "5",
    "restart-strategy.failure-rate.failure-rate-interval": "10 min",
    "restart-strategy.failure-rate.delay": "1 s",
    "execution.buffer-timeout.interval": "20 ms",
}
# A cluster ends the job of a process that it hears nothing from. What runs in this process needs no such thing.
_OF_CLUSTERS = {"execution.shutdown-on-attached-exit": "true", "client.heartbeat.timeout": str(ABSENT_MS)}


def run(order: EngineOrder) -> Iterator[dict[str, Any]]:
    """About once a second: how many rows were answered by this process; of topics, nothing is counted."""
    stream = order.stream
    assert stream is not None
    settings, workers = settings_of(order)
    settings |= _SETTINGS | {"execution.checkpointing.dir": f"file://{stream.notes}"}
    prepare()
    from py4j.protocol import Py4JError

    name = job_name(stream.target)
    if order.settings.master:
        settings |= _OF_CLUSTERS
        end_jobs(order.settings.master, name)
    if stream.topics:
        settings["pipeline.jars"] = ";".join(f"file://{jar}" for jar in stream.topics.jars)
    if checkpoint := latest_checkpoint(Path(stream.notes)):
        settings["execution.state-recovery.path"] = f"file://{checkpoint}"
    try:
        environment = environment_of(order, settings)
        _built(environment, order, stream, workers)
        counted = AnsweredFiles(*([] if stream.topics else [Path(stream.target), Path(stream.rejected)]))
        yield from _followed(environment.execute_async(name), order.settings.master, counted)
    except Py4JError as exc:
        raise OutsideError(
            f"Flink's stream ended: {told_by(exc)}", "mend it, and call it again: it goes on where it stopped"
        ) from exc


def latest_checkpoint(folder: Path) -> Path | None:
    """The one that was completed last, by whichever job. One that is not complete has no ``_metadata``."""
    found = list(folder.glob("*/chk-*/_metadata"))
    return max(found, key=lambda one: (one.stat().st_mtime_ns, one)).parent if found else None


def _built(environment: Any, order: EngineOrder, stream: StreamJob, workers: int) -> None:
    from pyflink.common import Time, Types, WatermarkStrategy
    from pyflink.datastream import OutputTag
    from pyflink.datastream.window import TumblingProcessingTimeWindows

    shares, left_out = 1 if workers == 1 else _SHARES * workers, OutputTag("left-out", Types.STRING())
    lines = environment.from_source(source_of(stream), WatermarkStrategy.no_watermarks(), "lines").uid("lines")
    # A message may have no value, and windows hold none.
    lines = lines.map(lambda line: line or "", Types.STRING())
    shared = lines.key_by(lambda line: zlib.crc32(line.encode(errors="replace")) % shares, Types.INT())
    windows = shared.window(TumblingProcessingTimeWindows.of(Time.milliseconds(_TOGETHER_MS)))
    answered = windows.process(_function(order, left_out), output_type=Types.STRING())
    answered = answered.uid("answers").set_parallelism(workers)
    written, rejected = sinks_of(stream)
    answered.sink_to(written).uid("written").set_parallelism(workers)
    answered.get_side_output(left_out).sink_to(rejected).uid("left-out").set_parallelism(workers)


def _function(order: EngineOrder, left_out: Any) -> Any:
    """Flink's class is only there in its environment."""
    import pickle
    import sys

    from pyflink.datastream.functions import ProcessWindowFunction, RuntimeContext

    class Answers(ProcessWindowFunction):  # type: ignore[misc]
        def open(self, runtime_context: RuntimeContext) -> None:
            self.worker = WorkerProcess(sys_path_of_gitml(), python, job)

        def process(self, key: int, context: Any, elements: Any) -> Iterator[Any]:
            lines = list(elements)
            for first in range(0, len(lines), most):
                told = self.worker.ask(lines[first : first + most], "lines of a stream")
                if "error" in told:
                    raise RuntimeError(told["error"]["message"])
                yield from told["answered"]
                yield from ((left_out, line) for line in told["left_out"])

        def clear(self, context: Any) -> None:
            pass

        def close(self) -> None:
            self.worker.close()

    python, job = order.settings.python or sys.executable, order.job
    most = pickle.loads(job).batch_rows  # noqa: S301 — from the process that started this one
    return Answers()


def _followed(client: Any, master: str, counted: AnsweredFiles) -> Iterator[dict[str, Any]]:
    # Asked for at once: a cluster on this machine is gone, and says nothing more, when its job has ended.
    job, ended = str(client.get_job_id()), client.get_job_execution_result()
    while True:
        yield {"rows": counted.rows()}
        if ended.done():
            # Raises what ended it.
            ended.result()
            raise OutsideError("Flink's stream ended", "was it stopped on the cluster? It goes on when it is called")
        if master:
            tell_alive(master, job)
        time.sleep(_LISTEN)


class AnsweredFiles:
    """Counts the lines of files that get their names from now on."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._known = {file.path for file in self._files()}
        self._rows = 0

    def rows(self) -> int:
        now = {file.path for file in self._files()}
        self._rows += sum(map(_lines_of, now - self._known))
        self._known = now
        return self._rows

    def _files(self) -> Iterator[os.DirEntry[str]]:
        for folder in self._folders:
            # Of this hour and the one before: others do not change any more.
            for bucket in sorted(folder.glob("[0-9]*--[0-9]*"))[-2:]:
                yield from (entry for entry in os.scandir(bucket) if not entry.name.startswith("."))


def _lines_of(path: str) -> int:
    with open(path, "rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
