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
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from gitml.engines.flinkworker import WorkerProcess, sys_path_of_gitml
from gitml.engines.host import EngineOrder
from gitml.errors import OutsideError, UsageError

_ADDRESS = re.compile(r"(?P<host>[^\s:/]+):(?P<port>\d{1,5})")
_HERE = ("jobmanager.bind-host", "jobmanager.rpc.address", "taskmanager.bind-host", "taskmanager.host")


def run(order: EngineOrder) -> Iterator[dict[str, Any]]:
    """What each task said, as it ends."""
    settings, workers = settings_of(order)
    prepare()
    from py4j.protocol import Py4JError
    from pyflink.common import Types

    try:
        environment = environment_of(order, settings)
        numbers = environment.from_collection(list(range(len(order.tasks))), type_info=Types.INT())
        function = _function(order)
        mapped = numbers.rebalance().map(function, output_type=Types.STRING()).set_parallelism(workers)
        with mapped.execute_and_collect("gitml score") as told:
            yield from map(json.loads, told)
    except Py4JError as exc:
        raise OutsideError(
            f"Flink gave up: {told_by(exc)}", "does the cluster answer, and do workers see the same files? It resumes"
        ) from exc


def prepare() -> None:
    """Before anything of Flink is imported."""
    # The interpreter in the JVM is another one, and knows nothing of this environment.
    os.environ["PYTHONPATH"] = str(_pyflink().parent)
    os.environ.update(
        FLINK_LOG_DIR=os.getcwd(), JVM_ARGS=f"-Djava.io.tmpdir={os.getcwd()}", _python_worker_execution_mode="process"
    )


def _pyflink() -> Path:
    """The folder of Flink's package."""
    found = importlib.util.find_spec("pyflink")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def environment_of(order: EngineOrder, settings: Mapping[str, str]) -> Any:
    """Where a job of ``order`` is made. It takes gitml's own code along."""
    from pyflink.common import Configuration

    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    environment = _environment(configuration, is_remote=bool(order.settings.master))
    environment.set_parallelism(1)
    environment.add_python_file(order.source)
    return environment


def _environment(configuration: Any, *, is_remote: bool) -> Any:
    """Flink makes one of this machine whatever the settings say, where it was not called by its own command line."""
    from pyflink.datastream import StreamExecutionEnvironment
    from pyflink.java_gateway import get_gateway

    if not is_remote:
        return StreamExecutionEnvironment.get_execution_environment(configuration)
    java = get_gateway().jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment
    return StreamExecutionEnvironment(java(configuration._j_configuration))  # noqa: SLF001 — there is no other way


def settings_of(order: EngineOrder) -> tuple[dict[str, str], int]:
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
    return settings, max(1, min(workers, len(order.tasks)) if order.tasks else workers)


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
            self.worker = WorkerProcess(sys_path_of_gitml(), named or python, job)

        def map(self, value: int) -> str:
            return json.dumps(self.worker.ask((value, tasks[value]), tasks[value].name))

        def close(self) -> None:
            self.worker.close()

    named, python, job, tasks = order.settings.python, sys.executable, order.job, list(order.tasks)
    return Tasks()


def told_by(exc: Exception) -> str:
    """The lines of a long trace that tell people something."""
    text = "\n".join((str(exc), *_causes(getattr(exc, "java_exception", None))))
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    if "ClassNotFoundException: org.apache.flink.streaming.api.operators.python" in text:
        # Sent along, it is loaded for each job, and the second one fails on Java 17 (Flink 2.3).
        return "the cluster has no Python: copy flink-python-2.3.0.jar from the environment's pyflink/opt into its lib"
    wanted = [line for line in lines if line.startswith("Caused by") or "Error" in line]
    return " / ".join(dict.fromkeys((wanted or lines)[-3:]))[:800]


def _causes(java: Any) -> Iterator[str]:
    """What an exception of the JVM was caused by: only the first one is in the text that comes over the bridge."""
    for _ in range(20):
        java = java.getCause() if java is not None else None
        if java is None:
            return
        yield f"Caused by: {java.toString()}"
