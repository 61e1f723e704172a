"""Clusters of Spark and Flink on this machine, as they are: masters and workers in processes of their own."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from conftest import write
from gitml.pipelines.enginevenv import built_engine
from gitml.process import start, stop

FLINK = """\
jobmanager: {{bind-host: 127.0.0.1, rpc: {{address: 127.0.0.1, port: {rpc}}}, memory: {{process: {{size: 1000m}}}}}}
taskmanager: {{bind-host: 127.0.0.1, host: 127.0.0.1, numberOfTaskSlots: 2, memory: {{process: {{size: 1200m}}}}}}
rest: {{address: 127.0.0.1, bind-address: 127.0.0.1, port: {rest}}}
io: {{tmp: {{dirs: {folder}}}}}
"""


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Spark's own master and a worker with two cores, as processes."""
    python = python_of("spark")
    spark = next(Path(python).parent.parent.glob("lib/python3*/site-packages/pyspark"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    master, folder = f"spark://127.0.0.1:{port}", tmp_path_factory.mktemp("spark")
    name, own = "org.apache.spark.deploy", ["--host", "127.0.0.1", "--webui-port", "0"]
    commands = (
        [f"{name}.master.Master", *own, "--port", str(port)],
        [f"{name}.worker.Worker", *own, "--cores", "2", "--memory", "2g", "--work-dir", str(folder), master],
    )
    env = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(spark)}
    running = [start([spark / "bin/spark-class", *words], cwd=folder, env=env, stdout=-3) for words in commands]
    yield master
    for process in reversed(running):
        stop(process)


@dataclass
class FlinkCluster:
    """``folder``: a home of Flink. ``address``: of the JobManager. ``workers``: the TaskManagers that were started."""

    folder: Path
    address: str
    env: Mapping[str, str]
    workers: list[Popen[bytes]] = field(default_factory=list)

    def start(self, name: str) -> Popen[bytes]:
        return start(
            ["bash", self.folder / f"bin/{name}.sh", "start-foreground"], cwd=self.folder, env=self.env, stdout=-3
        )

    def add_worker(self) -> None:
        self.workers.append(self.start("taskmanager"))

    def until_slots(self, count: int) -> None:
        end = time.monotonic() + 240
        while time.monotonic() < end:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://{self.address}/overview", timeout=10).json().get("slots-total") == count:
                    return
            time.sleep(0.5)


@pytest.fixture(scope="session")
def flink_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    """Flink's own JobManager and a TaskManager with two slots, as processes."""
    python, folder = Path(python_of("flink")), tmp_path_factory.mktemp("flink")
    packages = next(python.parent.parent.glob("lib/python3*/site-packages"))
    ports = free_ports(2)
    for part in ("bin", "conf"):
        shutil.copytree(packages / "pyflink" / part, folder / part)
    shutil.copytree(packages / "pyflink/lib", folder / "lib", copy_function=os.symlink)
    for jar in (packages / "pyflink/opt").glob("flink-python-*.jar"):
        (folder / "lib" / jar.name).symlink_to(jar)
    write(folder, {"conf/config.yaml": FLINK.format(rpc=ports[0], rest=ports[1], folder=folder)})
    env = {"FLINK_HOME": str(folder), "FLINK_LOG_DIR": str(folder), "PYTHONPATH": str(packages)}
    cluster = FlinkCluster(folder, f"127.0.0.1:{ports[1]}", env)
    head = cluster.start("jobmanager")
    cluster.add_worker()
    cluster.until_slots(2)
    yield cluster
    for process in (*cluster.workers, head):
        stop(process)


@pytest.fixture(scope="session")
def flink_cluster(flink_processes: FlinkCluster) -> str:
    """The address of its JobManager."""
    return flink_processes.address


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in found:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in found]


def python_of(engine: str) -> str:
    built = built_engine(engine)
    if built is None:
        pytest.skip(f"there is no environment of {engine}: make engines")
    return str(built.python)
