"""The key of a sandbox's secrets is made once, whoever asks first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gitml_sandbox.forge import secrets

THREADS = 8


def test_threads_that_ask_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        keys = list(pool.map(secrets.key, [tmp_path] * THREADS))
    sealed = [key.encrypt(b"x") for key in keys]
    assert [secrets.key(tmp_path).decrypt(token) for token in sealed] == [b"x"] * THREADS
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.key"]
