"""A sandbox whose clock is turned, together with that of the jobs that it runs."""

from __future__ import annotations

from pathlib import Path

from sandbox.runner_kit import Clock


class TurnedClock(Clock):
    """Of the sandbox and, by a file, of the jobs that it runs."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.hours = file, 0
        file.write_text("0h")

    def later(self, hours: int) -> None:
        self.hours += hours
        self.turn(hours=hours)
        self.file.write_text(f"{self.hours}h")
