"""Clusters of Spark and Flink on this machine, as they are: masters and workers in processes of their own."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

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


@pytest.fixture(scope="session")
def flink_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
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
    commands = [["bash", folder / f"bin/{name}.sh", "start-foreground"] for name in ("jobmanager", "taskmanager")]
    running = [start(words, cwd=folder, env=env, stdout=-3) for words in commands]
    address = f"127.0.0.1:{ports[1]}"
    end = time.monotonic() + 240
    while time.monotonic() < end:
        with suppress(httpx.HTTPError):
            if httpx.get(f"http://{address}/overview", timeout=10).json().get("slots-total") == 2:
                break
        time.sleep(0.5)
    yield address
    for process in reversed(running):
        stop(process)


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
