"""A journal begins while another process sweeps up what killed ones left half-made."""

from __future__ import annotations

import threading
from pathlib import Path

from gitml.traffic.journal import Journal


def test_a_journal_begins_although_it_was_swept_away_before_it_had_its_name(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.wait(0.0002):
            for path in tmp_path.glob(".*.new"):
                path.unlink(missing_ok=True)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        for number in range(200):
            Journal(tmp_path / f"{number}.journal").close()
    finally:
        done.set()
        sweeper.join()
    assert len(list(tmp_path.iterdir())) == 200
