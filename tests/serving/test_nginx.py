"""Two servers behind nginx, as the how-to has it: one is gone, and nobody notices."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agent.apart import apart, sound
from gitml.traffic.reader import requests

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx" / "gitml.conf"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.nightly,
    pytest.mark.skipif(NGINX is None, reason="needs nginx; on Debian: apt-get install nginx"),
]


@contextmanager
def nginx(folder: Path, *servers: str) -> Iterator[str]:
    """The configuration of the how-to with these servers, at a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = CONFIG.read_text()
    for place, server in zip(("10.0.0.7:8470", "10.0.0.8:8470"), servers, strict=True):
        assert place in told
        told = told.replace(place, server.removeprefix("http://"))
    told = told.replace("listen 80;", f"listen 127.0.0.1:{port};")
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}} "
        f"http {{ access_log off; {paths}\n{told} }}"
    )
    assert NGINX
    process = subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def test_of_two_servers_one_dies_and_every_request_is_answered_and_logged_once(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    log = tmp_path / "log"
    with apart(tmp_path / "one", log=str(log)) as one, apart(tmp_path / "two", log=str(log)) as two:
        for name, server in (("one", one), ("two", two)):
            server.supervisor.serve(sound(tmp_path / name / "cache"))
            server.supervisor.open()
        with nginx(tmp_path / "nginx", one.url, two.url) as url:
            assert [ask(url) for _ in range(20)] == [6.0] * 20
            one.supervisor.close()
            assert [ask(url) for _ in range(20)] == [6.0] * 20
            assert httpx.get(f"{url}/metrics").status_code == 404
    ids = [one for batch in requests(log, "m") for one in batch["request_id"].to_pylist()]
    assert len(ids) == len(set(ids)) >= 30


def ask(url: str) -> float:
    answer = httpx.post(f"{url}/models/m/predict", json={"rows": [{"a": 3.0, "b": 0.0}]}, timeout=60)
    assert answer.status_code == 200, answer.text
    return float(answer.json()["outputs"]["y"][0])
