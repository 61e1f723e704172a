"""A real S3 server on loopback, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


@contextmanager
def object_store(*buckets: str) -> Iterator[int]:
    """Its port; the buckets are empty."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # In an environment of its own: nothing else here needs what it brings.
    command = ["uvx", "--from", "moto[server]==5.2.5", "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    try:
        for bucket in buckets:
            _make(bucket, port)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _make(bucket: str, port: int) -> None:
    for _ in range(1200):  # the first time it is installed
        try:
            httpx.put(f"http://127.0.0.1:{port}/{bucket}", trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the S3 server on port {port} does not answer")


def folder_url(bucket: str, port: int) -> str:
    """A folder of a bucket, as gitml.yaml names it."""
    return f"s3://testing:testing@{bucket}/log?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
