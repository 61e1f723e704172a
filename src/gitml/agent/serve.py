"""An agent and its server in one process: the loop in a thread, HTTP in front, a way to end that answers everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gitml.agent.http import Scope, with_agent
from gitml.agent.loop import Agent
from gitml.models.cores import leave_out_of_collections
from gitml.serving.app import create_app
from gitml.serving.auth import caller
from gitml.serving.server import Listen, serving
from gitml.serving.state import State
from gitml.serving.wire import HttpError
from gitml.traffic.labels import LabelStore
from gitml.traffic.predictionlog import NoLog, PredictionLog, Sink

# Whoever ends a server should not wait for a fetch that hangs; what it would bring is fetched by the next one.
_END = 5.0


@dataclass(frozen=True)
class Listening:
    """Where to answer. ``tokens``: SHA-256 of each token → its caller. ``secret`` is the webhook's.

    ``log``: folder or URL of the prediction log, '' for none, with its journals in ``spool``. ``interval`` in seconds.
    """

    listen: Listen
    interval: float = 10.0
    tokens: Mapping[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    log: str = ""
    spool: Path | None = None


def serve(
    agent: Agent, state: State, listening: Listening, stop: threading.Event, *, ready: Callable[[str], None]
) -> None:
    """Until ``stop``: then no new request is taken, those under way are answered, and the log is written.

    What was applied before is served from the first request on. ``ready`` is told the server's URL.
    """
    wake = threading.Event()
    agent.restore()
    log: Sink = PredictionLog(listening.log, spool=listening.spool) if listening.log else NoLog()
    labels = LabelStore(listening.log, spool=listening.spool) if listening.log else None
    loop = threading.Thread(target=agent.run, args=(stop, wake, listening.interval), name="gitml-agent", daemon=True)

    def allowed(scope: Scope) -> bool:
        try:
            caller(scope, listening.tokens)
        except HttpError:
            return False
        return True

    inner = create_app(state, log, tokens=listening.tokens, labels=labels)
    app = with_agent(inner, lambda: agent.view, wake, secret=listening.secret, allowed=allowed)
    leave_out_of_collections()
    try:
        with serving(app, state, listening.listen) as running:
            loop.start()
            ready(running.url)
            while running.thread.is_alive() and not stop.wait(0.5):
                pass
            stop.set()
            wake.set()
        loop.join(_END)
    finally:
        log.close()
        if labels:
            labels.close()
