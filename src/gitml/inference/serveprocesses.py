"""``gitml serve --processes N``: the same trial in the processes that an agent would keep, without an agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gitml.agent.confinement import Confinement
from gitml.agent.crew import Crew, crew_of
from gitml.agent.load import LoadOrder, order_of
from gitml.agent.messages import BeginOrder, Caller, ServeOrder
from gitml.inference.clone import CloneShelf
from gitml.inference.serve import ServeOptions, TrialPlan, wanted_of
from gitml.serving.auth import read_tokens
from gitml.serving.listener import bound_for, url_of


@dataclass(frozen=True)
class ServingProcesses:
    """What is served, at ``url``, by the processes of ``crew``."""

    plan: TrialPlan
    url: str
    crew: Crew


@contextmanager
def serve_processes(
    root: Path, reference: str, options: ServeOptions, *, note: Callable[[str], None]
) -> Iterator[ServingProcesses]:
    """Serve what ``reference`` names until the block ends. Raises as ``serve``."""
    wanted = wanted_of(root, reference)
    application = wanted.application
    told = LoadOrder(wanted.record.model, wanted.deployment, "")
    order = order_of(CloneShelf(root), application.models, told, frozenset(application.private))
    log = str(Path(options.log).absolute()) if options.log and "://" not in options.log else options.log or ""
    with TemporaryDirectory(prefix="gitml-serve-") as home, bound_for(options.processes, options.listen) as listeners:
        begin = BeginOrder(
            environment=wanted.environment,
            callers=_callers(options.tokens),
            log=log,
            spool=str(options.spool(root) or ""),
            grace=options.listen.grace,
        )
        confinement = Confinement(
            root / ".dvc" / "tmp" / "gitml" / "artifacts", Path(home), log, spool=begin.spool, reads=_files(order)
        )
        with crew_of(begin, confinement, listeners, note=note) as crew:
            crew.start()
            crew.serve(order)
            if missing := crew.open():
                note(missing)
            yield ServingProcesses(wanted, url_of(options.listen, listeners[0]), crew)


def _callers(tokens: Path | None) -> dict[str, Caller]:
    known = read_tokens(tokens) if tokens else {}
    return {digest: Caller(caller=one.caller, scopes=one.scopes) for digest, one in known.items()}


def _files(order: ServeOrder) -> tuple[str, ...]:
    return tuple(sorted({path for given in order.versions for path in given.files.values()}))
