"""The demo's clock: a file that holds how many days it is ahead, which ``GITML_CLOCK`` names."""

from __future__ import annotations

from box import CLOCK, StepError, say, step


def begin() -> None:
    CLOCK.parent.mkdir(parents=True, exist_ok=True)
    CLOCK.write_text("0d")
    step("A clock that can be turned: make demo-turn DAYS=7")


def turn(days: int) -> None:
    """Ahead, by so many days. Raises StepError where the demo has no clock."""
    if not CLOCK.exists():
        raise StepError("the demo has no clock: start it with `make demo CLOCK=1`")
    ahead = int(CLOCK.read_text().removesuffix("d")) + days
    new = CLOCK.with_suffix(".new")
    new.write_text(f"{ahead}d")
    new.replace(CLOCK)  # nobody reads half of it
    say(f"the clock is {ahead} days ahead")
