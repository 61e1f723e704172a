"""Tasks on Flink: on this machine, or on the cluster whose JobManager answers at an address. Runs in the environment of
Flink.

A Flink task takes tasks of ours one by one and gives each to a process of its own, which is started anew when it is
killed. Python runs inside Flink's JVMs (its thread mode): in its process mode, the servers of Beam that it talks to
workers by listen on all addresses (Beam 2.61), and whoever reaches them is taken for a worker.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx

from gitml.engines.base import Task
from gitml.engines.host import EngineOrder
from gitml.engines.worker import digest_of, run_numbered, said
from gitml.errors import OutsideError, UsageError
from gitml.process import start, stop

_TRIES = 4
_ADDRESS = re.compile(r"(?P<host>[^\s:/]+):(?P<port>\d{1,5})")
_HERE = ("jobmanager.bind-host", "jobmanager.rpc.address", "taskmanager.bind-host", "taskmanager.host")
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from gitml.engines.flink import serve; serve()"


def run(order: EngineOrder) -> Iterator[dict[str, Any]]:
    """What each task said, as it ends."""
    settings, workers = _settings(order)
    # The interpreter in the JVM is another one, and knows nothing of this environment.
    os.environ["PYTHONPATH"] = str(_pyflink().parent)
    os.environ.update(
        FLINK_LOG_DIR=os.getcwd(), JVM_ARGS=f"-Djava.io.tmpdir={os.getcwd()}", _python_worker_execution_mode="process"
    )
    from py4j.protocol import Py4JError
    from pyflink.common import Configuration, Types

    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    try:
        environment = _environment(configuration, is_remote=bool(order.settings.master))
        environment.set_parallelism(1)
        environment.add_python_file(order.source)
        numbers = environment.from_collection(list(range(len(order.tasks))), type_info=Types.INT())
        function = _function(order)
        mapped = numbers.rebalance().map(function, output_type=Types.STRING()).set_parallelism(workers)
        with mapped.execute_and_collect("gitml score") as told:
            yield from map(json.loads, told)
    except Py4JError as exc:
        raise OutsideError(
            f"Flink gave up: {_told_by(exc)}", "does the cluster answer, and do workers see the same files? It resumes"
        ) from exc


def _pyflink() -> Path:
    """The folder of Flink's package."""
    found = importlib.util.find_spec("pyflink")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _environment(configuration: Any, *, is_remote: bool) -> Any:
    """Flink makes one of this machine whatever the settings say, where it was not called by its own command line."""
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.java_gateway import get_gateway

    if not is_remote:
        return StreamExecutionEnvironment.get_execution_environment(configuration)
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    return StreamExecutionEnvironment(java(configuration._j_configuration))  # noqa: SLF001 — there is no other way


def _settings(order: EngineOrder) -> tuple[dict[str, str], int]:
    """Flink's own settings, and how many tasks it runs at a time. Raises UsageError."""
    if order.settings.memory:
        raise UsageError("the memory of Flink's processes is what its TaskManagers were started with", "leave it out")
    workers = order.settings.workers
    settings = {
        "python.execution-mode": "thread",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        # A file that was written is not written again because another one failed: the next call goes on.
        "restart-strategy.type": "disable",
        "execution.buffer-timeout.interval": "0 ms",
        "io.tmp.dirs": os.getcwd(),
    }
    if order.settings.master:
        found = _ADDRESS.fullmatch(order.settings.master)
        if found is None:
            raise UsageError(
                f"{order.settings.master!r} is no address of a JobManager", "write HOST:PORT, such as h:8081"
            )
        settings |= {
            "execution.attached": "true",
            "execution.target": "remote",
            "rest.address": found["host"],
            "rest.port": found["port"],
        }
        workers = _slots(order.settings.master)
    else:
        # Nothing on this machine listens to other ones.
        settings |= dict.fromkeys((*_HERE, "rest.bind-address", "rest.address"), "127.0.0.1")
        settings |= {"rest.bind-port": "0", "taskmanager.numberOfTaskSlots": str(workers)}
    return settings, max(1, min(workers, len(order.tasks)))


def _slots(address: str) -> int:
    try:
        overview = httpx.get(f"http://{address}/overview", timeout=30).raise_for_status().json()
        return int(overview["slots-total"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
        raise OutsideError(f"no JobManager of Flink answers at {address}: {exc}", "see --master") from exc


def _function(order: EngineOrder) -> Any:
    """Flink's class is only there in its environment."""
    from pyflink.datastream.functions import MapFunction, RuntimeContext

    class Tasks(MapFunction):  # type: ignore[misc]
        def open(self, runtime_context: RuntimeContext) -> None:
            self.worker = WorkerProcess(sys_path_of_gitml(), order.settings.python or python, job)

        def map(self, value: int) -> str:
            return json.dumps(self.worker.run(value, tasks[value]))

        def close(self) -> None:
            self.worker.close()

    python, job, tasks = sys.executable, order.job, list(order.tasks)
    return Tasks()


def sys_path_of_gitml() -> str:
    """Where Flink unpacked what it was sent.

    Its interpreter outlives a job: what it imported for the one before may be gone from the disk.
    """
    return next(place for place in reversed(sys.path) if Path(place, "gitml").is_dir())


class WorkerProcess:
    """A Python of the engine's environment that runs one task after the other, and is started anew if it is killed."""

    def __init__(self, source: str, python: str, job: bytes) -> None:
        self._source, self._python, self._job = source, python, job
        self._process: Popen[bytes] | None = None
        self._told: Any = None

    def run(self, number: int, task: Task) -> dict[str, Any]:
        for _ in range(_TRIES):
            with suppress(OSError):
                if self._process is None:
                    self._start()
                self._send((number, task))
                if line := self._told.readline():
                    return dict(json.loads(line))
            self.close()
        why = f"{task.name}: its process was killed {_TRIES} times, perhaps for its memory"
        return said(OutsideError(why, "call it again: it goes on with the files that are not scored yet"))

    def _start(self) -> None:
        ours, theirs = os.pipe()
        command = [self._python, "-I", "-c", _CODE, self._source, str(theirs)]
        try:
            self._process = start(command, cwd=Path.cwd(), stdin=-1, stdout=-3, pass_fds=[theirs])
        finally:
            os.close(theirs)
        self._told = os.fdopen(ours, encoding="utf-8")
        self._send(self._job)

    def _send(self, value: object) -> None:
        assert self._process
        assert self._process.stdin
        pickle.dump(value, self._process.stdin)
        self._process.stdin.flush()

    def close(self) -> None:
        if self._told is not None:
            self._told.close()
        if self._process is not None:
            with suppress(OSError):
                assert self._process.stdin
                self._process.stdin.close()
            stop(self._process)
        self._process = self._told = None


def serve() -> None:
    """What such a process does. Arguments: the folder of gitml's source, and the number of the pipe for answers.

    It ends when stdin closes, and so with the JVM that it belongs to.
    """
    with os.fdopen(int(sys.argv[2]), "w", encoding="utf-8") as told:
        os.set_inheritable(told.fileno(), False)
        job = pickle.load(sys.stdin.buffer)  # noqa: S301 — from the process that started this one
        digest = digest_of(job)
        with suppress(EOFError):
            while True:
                number, task = pickle.load(sys.stdin.buffer)  # noqa: S301 — the same
                told.write(json.dumps(run_numbered(number, task, digest, lambda: job)) + "\n")
                told.flush()


def _told_by(exc: Exception) -> str:
    """The lines of a long trace that tell people something."""
    lines: Sequence[str] = [line.strip() for line in str(exc).splitlines() if line.strip()]
    if "ClassNotFoundException: org.apache.flink.streaming.api.operators.python" in str(exc):
        # Sent along, it is loaded for each job, and the second one fails on Java 17 (Flink 2.3).
        return "the cluster has no Python: copy flink-python-2.3.0.jar from the environment's pyflink/opt into its lib"
    wanted = [line for line in lines if line.startswith("Caused by") or "Error" in line]
    return " / ".join(dict.fromkeys((wanted or lines)[-3:]))[:800]
