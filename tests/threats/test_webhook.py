"""The server of a webhook is a stranger's: whatever it answers, comments are posted, and nobody learns its address."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import pytest

from gitml.publishing.webhook import announce
from gitml.retries import Patience


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_server_that_answers_byte_by_byte_holds_nobody_up(begin: bytes) -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with suppress(OSError), server.accept()[0] as caller:
                caller.sendall(begin)
                while not over.wait(0.05):
                    caller.sendall(b"x")

        threading.Thread(target=drip, daemon=True).start()
        said: list[str] = []
        began = time.monotonic()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/s3cret"
        assert not announce(address, {}, said.append, Patience(tries=1, total=0.5, answer=0.3))
        over.set()
    assert time.monotonic() - began < 2
    assert said == ["the webhook at 127.0.0.1 was not told: no answer"]
