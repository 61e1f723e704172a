"""An agent and its server in one process: the loop in a thread, HTTP in front, a way to end that answers everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from gitml.agent.http import Scope, with_agent
from gitml.agent.loop import Agent
from gitml.models.cores import leave_out_of_collections
from gitml.serving.app import create_app
from gitml.serving.auth import Access, access
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from gitml.serving.wire import RequestError
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.writing import writing

# Whoever ends a server should not wait for a fetch that hangs; what it would bring is fetched by the next one.
_END = 5.0


@dataclass(frozen=True)
class Listening:
    """Where to answer. ``tokens``: SHA-256 of each token → its access. ``secret`` is the webhook's.

    ``log``: folder or URL of the traffic, '' for none, with its journals in ``spool``; days older than ``keep`` are
    deleted. Both come from the machine alone: nobody signs for gitml.yaml on main, and whoever could change it there
    could have the features sent elsewhere, or the past deleted. ``interval`` in seconds.
    """

    listen: Listen
    interval: float = 10.0
    tokens: Mapping[str, Access] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    log: str = ""
    spool: Path | None = None
    keep: timedelta | None = None


def serve(
    agent: Agent, state: ServerState, listening: Listening, stop: threading.Event, *, ready: Callable[[str], None]
) -> None:
    """Until ``stop``: then no new request is taken, those under way are answered, and the log is written.

    What was applied before is served from the first request on. ``ready`` is told the server's URL.
    """
    wake = threading.Event()
    agent.restore()
    loop = threading.Thread(target=agent.run, args=(stop, wake, listening.interval), name="gitml-agent", daemon=True)

    def allowed(scope: Scope) -> bool:
        try:
            access(scope, listening.tokens)
        except RequestError:
            return False
        return True

    leave_out_of_collections()
    origin = LogOrigin(environment=agent.setup.environment, keep=listening.keep)
    with writing(listening.log, origin, listening.spool) as writers:
        inner = create_app(state, writers.log, tokens=listening.tokens, taken=writers.taken)
        app = with_agent(inner, lambda: agent.view, wake, secret=listening.secret, allowed=allowed)
        with serving(app, state, listening.listen) as running:
            if running.missing:
                agent.setup.note(running.missing)
            loop.start()
            ready(running.url)
            while running.thread.is_alive() and not stop.wait(0.5):
                pass
            stop.set()
            wake.set()
        loop.join(_END)
