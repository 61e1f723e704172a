"""An agent with its server: rounds in a thread, the server's process beside it, a way to end that answers everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gitml.agent.crew import Crew
from gitml.agent.loop import Agent

# Whoever ends a server should not wait for a fetch that hangs; what it would bring is fetched by the next one.
_END = 5.0


def serve(agent: Agent, crew: Crew, interval: float, stop: threading.Event, *, ready: Callable[[], None]) -> None:
    """Until ``stop``: then no new request is taken, those under way are answered, and the log is written.

    What was applied before is served from the first request on. ``ready`` is told when that may come; ``interval`` in
    seconds. Raises OutsideError where the server cannot start.
    """
    wake = threading.Event()
    crew.wake = wake.set
    agent.restore()
    missing = crew.open()
    if missing:
        agent.setup.note(missing)
    loop = threading.Thread(target=agent.run, args=(stop, wake, interval), name="gitml-agent", daemon=True)
    loop.start()
    ready()
    stop.wait()
    wake.set()
    crew.close()
    loop.join(_END)
    if not loop.is_alive():
        agent.end()
