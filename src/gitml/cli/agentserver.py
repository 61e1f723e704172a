"""The server's process of an agent, from the words of its call and the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitml import confined
from gitml.agent.state import CACHE, SERVER, owned
from gitml.cli.agentplace import AgentCall, say
from gitml.errors import UsageError

if TYPE_CHECKING:
    from gitml.agent.confinement import User
    from gitml.agent.crew import Crew
    from gitml.agent.messages import BeginOrder


@dataclass(frozen=True)
class WorkingServer:
    """``url``: where it answers, '' for one that only loads and checks."""

    crew: Crew
    url: str = ""


@contextmanager
def working_server(told: AgentCall, options: Mapping[str, Any], *, listens: bool) -> Iterator[WorkingServer]:
    """It comes up while the rest does; the state folder is this process's alone until the end.

    Raises UsageError, LockedError, and OutsideError if the port is taken.
    """
    from gitml.agent.childlog import SERVER_LOG
    from gitml.agent.confinement import Confinement, user_named
    from gitml.agent.crew import crew_of
    from gitml.serving.listener import Listen, bound_for, url_of

    user = user_named(options["server_user"])
    if listens:
        _keep_secrets(user)
    log = _absolute(options["log"]) if listens else ""
    if "://" in log and not options["server_env"]:
        say("the server's process has no variables: name those that its log needs with --server-env")
    begin = _begin(told, options, log)
    confinement = Confinement(
        told.folder / CACHE,
        told.folder / SERVER,
        begin.log,
        spool=begin.spool,
        reads=options["server_reads"],
        variables=options["server_env"],
        user=user,
        said=told.folder / SERVER_LOG,
    )
    listen = Listen(options["host"], options["port"])
    with owned(told.folder, shared=user is not None), ExitStack() as stack:
        listeners = stack.enter_context(bound_for(options["processes"] if listens else 0, listen))
        crew = stack.enter_context(crew_of(begin, confinement, listeners, note=say))
        crew.start()
        yield WorkingServer(crew, url_of(listen, listeners[0]) if listeners else "")


def _begin(told: AgentCall, options: Mapping[str, Any], log: str) -> BeginOrder:
    """``log`` comes from the machine alone: nobody signs for gitml.yaml on main, and whoever could change it there
    could have the features sent elsewhere, or the past deleted."""
    from gitml.agent.messages import BeginOrder, Caller
    from gitml.serving.auth import read_tokens

    tokens = read_tokens(options["tokens"]) if options["tokens"] else {}
    return BeginOrder(
        environment=told.environment,
        callers={digest: Caller(caller=one.caller, scopes=one.scopes) for digest, one in tokens.items()},
        secret=os.environ.get("GITML_WEBHOOK_SECRET", ""),
        log=log,
        spool=str(told.folder / "log") if "://" in log else "",
        keep=options["keep"].total_seconds() if options["keep"] else None,
    )


def _absolute(log: str) -> str:
    return str(Path(log).absolute()) if log and "://" not in log else log


def _keep_secrets(user: User | None) -> None:
    """No other process reads this one's memory and variables; another user's reads neither the key nor the state.

    Raises UsageError where the server's user may read the key."""
    from gitml.agent.confinement import may_read
    from gitml.evidence.keys import VARIABLE

    if not confined.unreadable():
        say("this system lets processes of the same user read one another's memory")
    text = os.environ.get(VARIABLE, "").strip()
    key = None if "PRIVATE KEY" in text else Path(text)
    if user is not None and key is not None and key.is_file() and may_read(key, user):
        raise UsageError(f"{user.name} may read the key at {key}", f"chmod 600 {key}, and let it be another user's")
