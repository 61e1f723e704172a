"""What a server's process prints as it fails is kept here, and no more of it than a person reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitml.agent import childlog


def printed(path: Path, *pieces: bytes) -> None:
    reads, writes = os.pipe()
    thread = childlog.keep(os.fdopen(reads, "rb"), path)
    for piece in pieces:
        os.write(writes, piece)
    os.close(writes)
    thread.join(10)


def test_two_files_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(childlog, "MOST", 5_000)
    path = tmp_path / "server.log"
    printed(path, *(b"%d\n" % n * 1000 for n in range(9)))
    printed(path, b"last words\n")
    assert path.read_bytes().endswith(b"last words\n")
    assert sum(found.stat().st_size for found in tmp_path.iterdir()) < 2 * (5_000 + (1 << 16))
    assert {found.name for found in tmp_path.iterdir()} <= {"server.log", "server.log.1"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_link_is_followed_and_the_process_never_waits_for_a_file(tmp_path: Path) -> None:
    path, other = tmp_path / "server.log", tmp_path / "other"
    path.symlink_to(other)
    printed(path, *[b"x" * 60_000] * 3)
    assert not other.exists()
