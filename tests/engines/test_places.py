"""Places: what is listed while others write."""

from __future__ import annotations

import threading
from pathlib import Path

from gitml.engines.places import place_of


def test_a_folder_that_comes_and_goes_can_be_listed(tmp_path: Path) -> None:
    """A server makes the folder of its first request while a job lists it."""
    folder, over = tmp_path / "model=m", threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            folder.mkdir()
            folder.rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(5_000):
            assert place_of(str(folder)).folders() == []
    finally:
        over.set()
        thread.join()
