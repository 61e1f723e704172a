"""A forge that is busy for a moment: Git over HTTP is asked again, as the API is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from gitml.errors import OutsideError
from gitml.git import orphan
from gitml.git.orphan import Remote
from gitml.process import run
from gitml.retries import Patience


class _Busy(SimpleHTTPRequestHandler):
    """Git's plain files over HTTP; the first answers are ``said``."""

    def __init__(self, said: list[int], *args: Any, **kwargs: Any) -> None:
        self.said = said
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.said:
            self.send_error(self.said.pop(0))
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[tuple[str, list[int]]]:
    run(["git", "init", "-q", "--bare", str(tmp_path / "r.git")], cwd=tmp_path)
    run(["git", "update-server-info"], cwd=tmp_path / "r.git")
    said: list[int] = []
    handler = partial(_Busy, said, directory=str(tmp_path))
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/r.git", said
        server.shutdown()


def test_git_is_asked_again_where_the_server_is_busy(
    forge: tuple[str, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphan, "_PATIENCE", Patience(tries=3, first=0.01, longest=0.01))
    url, said = forge
    said += [429, 502]
    assert Remote(url).git(tmp_path, "ls-remote", url) == b""
    assert said == []
    said += [503, 504, 429, 429]
    with pytest.raises(OutsideError, match="429"):
        Remote(url).git(tmp_path, "ls-remote", url)
    assert said == [429]
    said[:] = [403, 403]
    with pytest.raises(OutsideError, match="403"):
        Remote(url).git(tmp_path, "ls-remote", url)
    assert said == [403]
