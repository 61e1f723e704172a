"""Where an agent works, from the words of its call and the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from gitml import clock
from gitml.agent.state import MIRROR, default_state, load_state, stamp
from gitml.errors import OutsideError, UsageError
from gitml.forges.settings import Settings
from gitml.forges.table import connect, settings_from
from gitml.git.commands import Git
from gitml.git.orphan import Remote
from gitml.output import note, paint, printable, show, table
from gitml.refs import why_no_environment
from gitml.spec import find_root
from gitml.urls import shown

if TYPE_CHECKING:
    from gitml.agent.loop import Agent
    from gitml.agent.pin import LocalPin
    from gitml.agent.shop import Front

_COLOURS = {"synced": "green", "healthy": "green", "degraded": "red", "unknown": "red"}


@dataclass(frozen=True)
class AgentCall:
    """What the call says: the repository, the branch, the folder of gitml.yaml in it, the state folder."""

    environment: str
    settings: Settings
    remote: Remote
    branch: str
    prefix: str
    folder: Path
    outbox: str = ""
    trust: frozenset[str] = frozenset()
    remotes: tuple[str, ...] = ()


def told_by(ctx: click.Context, environment: str, options: Mapping[str, Any]) -> AgentCall:
    """Raises UsageError when no repository is named, or the environment's name is none."""
    why = why_no_environment(environment)
    if why:
        raise UsageError(why, "write for example: gitml agent production")
    source, prefix = _source(ctx, options["source"])
    env = {**os.environ, **({"GITHUB_REPOSITORY": options["repository"]} if options["repository"] else {})}
    settings = settings_from(env, source)
    clock.refuse_beyond_loopback(source, settings.api)
    given = options["folder"]
    if given is not None:
        prefix = f"{given.strip('/')}/" if given.strip("/.") else ""
    folder = (options["state"] or default_state(settings.repository, environment)).absolute()
    return AgentCall(
        environment,
        settings,
        Remote.of(source, os.environ.get("GITML_AGENT_TOKEN", "").strip() or settings.token),
        options["branch"],
        prefix,
        folder,
        options.get("outbox", ""),
        frozenset(options.get("trust", ())),
        tuple(options.get("remote", ())),
    )


def _source(ctx: click.Context, given: str) -> tuple[str, str]:
    """The repository's URL, and where gitml.yaml lies in it as far as this clone tells."""
    if given:
        return str(Path(given).absolute()) if Path(given).is_dir() else given, ""
    try:
        git = Git(find_root(Path(ctx.obj or ".")))
        return git.text("remote", "get-url", "origin").strip(), git.prefix
    except (OutsideError, UsageError) as exc:
        raise UsageError("there is no repository to follow", "give --from URL, or call it in a clone of it") from exc


@contextmanager
def setting(told: AgentCall, front: Front, *, url: str = "") -> Iterator[Agent]:
    """The agent of a state folder that is owned."""
    with ExitStack() as stack:
        yield _working(told, stack, told.folder / MIRROR, front, url=url)


@contextmanager
def observing(told: AgentCall) -> Iterator[Agent]:
    """One that reads the state folder, which may be a running agent's, and has a mirror of its own."""
    from gitml.agent.shop import Nowhere

    with TemporaryDirectory(prefix="gitml-observe-") as folder, ExitStack() as stack:
        yield _working(told, stack, Path(folder) / MIRROR, Nowhere(), observe=True)


def say(text: str) -> None:
    """A line of an agent's log."""
    note(printable(f"{clock.now():%H:%M:%S} {shown(text)}"))


def _working(
    told: AgentCall, stack: ExitStack, mirror: Path, front: Front, *, url: str = "", observe: bool = False
) -> Agent:
    from gitml.agent.loop import Agent, Setup
    from gitml.agent.news import Reporter
    from gitml.agent.report import DeploymentsPage, Outbox
    from gitml.agent.source import Mirror
    from gitml.evidence.keys import VARIABLE, signing_key
    from gitml.models.quarantine import Quarantine

    source = Mirror(mirror, told.remote, told.branch, told.prefix)
    secret = os.environ.get(VARIABLE, "")
    page = None
    if told.settings.token and not observe:
        page = DeploymentsPage(stack.enter_context(connect(told.settings, note=say)).deployments, url, say)
    reporter = Reporter(
        told.environment,
        told.settings.repository,
        source,
        Outbox(told.folder, told.outbox),
        signing_key(secret) if secret else None,
        page,
        say,
        told.settings.host,
    )
    if not secret and not observe:
        say(f"{VARIABLE} is not set: what is deployed is not reported as evidence")
    setup = Setup(
        told.environment,
        told.settings.repository,
        source,
        told.folder,
        front,
        reporter,
        stack.enter_context(Quarantine(loads_here=False)),
        only=told.trust,
        remotes=told.remotes,
        observe=observe,
        note=say,
        host=told.settings.host,
    )
    return Agent(setup)


def pinned(told: AgentCall, reference: str, options: Mapping[str, Any]) -> tuple[LocalPin, Path]:
    """Write a pin for the agent of this state folder; the version is one that its mirror knows."""
    from gitml.agent.pin import LocalPin, check_times, find_record, write_pin
    from gitml.agent.source import MAIN_REF, Mirror
    from gitml.agent.state import AgentState
    from gitml.fields import WrongValueError, check_login, parse_until
    from gitml.refs import parse

    now = clock.now()
    try:
        until, owner = parse_until(options["until"]), check_login(options["owner"])
    except WrongValueError as exc:
        raise UsageError(exc.message, exc.hint) from exc
    mirror = Mirror(told.folder / MIRROR, told.remote, told.branch, told.prefix)
    if not (mirror.folder / "HEAD").exists():
        raise UsageError(f"no agent ever worked in {told.folder}", "give the --state of the agent")
    fresh = AgentState(environment=told.environment, repository=told.settings.repository, branch=told.branch)
    commit = load_state(told.folder, fresh).verified or mirror.resolve(MAIN_REF) or ""
    record = find_record(mirror, commit, parse(reference))
    made = LocalPin(
        model=record.model,
        version=record.version,
        digest=record.files[record.artifact].sha256,
        owner=owner,
        reason=options["reason"],
        since=stamp(now),
        until=stamp(until),
    )
    check_times(made, now)
    return made, write_pin(told.folder, made)


def shown_state(found: Mapping[str, Any]) -> None:
    """The agent's state for people."""
    show(f"{found['environment']} of {found['repository']}: {_axes(found)}")
    if found.get("reason"):
        show(printable(f"  {found['reason']}"))
    rows = []
    for model in found["models"]:
        applied, wanted = model.get("applied") or {}, model.get("wanted") or {}
        rows.append(
            [
                model["model"],
                str(wanted.get("champion") or "–"),
                str(applied.get("champion") or applied.get("version") or "–"),
                _axes(model),
                printable(model.get("reason") or ""),
            ]
        )
    if rows:
        show(table(rows, ["model", "main says", "answers", "state", "why"]))


def _axes(found: Mapping[str, Any]) -> str:
    return ", ".join(paint(str(found[axis]), _COLOURS.get(str(found[axis]), "yellow")) for axis in ("sync", "health"))
