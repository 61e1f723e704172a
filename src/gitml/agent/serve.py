"""An agent and its server in one process: the loop in a thread, HTTP in front, a way to end that answers everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from gitml.agent.fetch import application_at
from gitml.agent.http import Scope, with_agent
from gitml.agent.loop import Agent
from gitml.agent.source import MAIN_REF
from gitml.errors import OutsideError
from gitml.models.cores import leave_out_of_collections
from gitml.serving.app import create_app
from gitml.serving.auth import Access, access
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from gitml.serving.wire import RequestError
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.writing import Writers, writing

# Whoever ends a server should not wait for a fetch that hangs; what it would bring is fetched by the next one.
_END = 5.0


@dataclass(frozen=True)
class Listening:
    """Where to answer. ``tokens``: SHA-256 of each token → its access. ``secret`` is the webhook's.

    ``log``: folder or URL of the traffic, '' for what gitml.yaml on main says, with its journals in ``spool``.
    ``interval`` in seconds.
    """

    listen: Listen
    interval: float = 10.0
    tokens: Mapping[str, Access] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    log: str = ""
    spool: Path | None = None


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
    with _writing(agent, listening) as writers:
        inner = create_app(state, writers.log, tokens=listening.tokens, taken=writers.taken)
        app = with_agent(inner, lambda: agent.view, wake, secret=listening.secret, allowed=allowed)
        with serving(app, state, listening.listen) as running:
            loop.start()
            ready(running.url)
            while running.thread.is_alive() and not stop.wait(0.5):
                pass
            stop.set()
            wake.set()
        loop.join(_END)


def _writing(agent: Agent, listening: Listening) -> AbstractContextManager[Writers]:
    """gitml.yaml is read once, when the server starts; without a main nothing is served that could be logged."""
    setup = agent.setup
    try:
        main = setup.mirror.resolve(MAIN_REF) or setup.mirror.fetch().main
    except OutsideError as exc:
        setup.note(f"gitml.yaml could not be read: {exc}")
        main = ""
    application = application_at(setup.mirror, main) if main else None
    traffic = application.traffic if application else None
    folder = listening.log or (traffic.at if traffic else "")
    spool = listening.spool or (setup.folder / "log" if "://" in folder else None)
    return writing(folder, LogOrigin(environment=setup.environment, keep=traffic.keep if traffic else None), spool)
