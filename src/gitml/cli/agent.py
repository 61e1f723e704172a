"""``gitml agent``: the server of one environment, and what people do at it by hand."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from gitml import clock
from gitml.cli.agentplace import AgentCall, observing, setting, shown_state, told_by
from gitml.cli.agentserver import WorkingServer, working_server
from gitml.cli.common import as_json, examples
from gitml.cli.extras import require
from gitml.cli.processes import processes
from gitml.errors import UsageError
from gitml.output import note, printable, show, show_json

F = TypeVar("F", bound=Callable[..., Any])


class ByEnvironment(click.Group):
    """``gitml agent production`` is ``gitml agent run production``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in (*ctx.help_option_names, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def where(command: F) -> F:
    """The options that say which repository, and where the agent keeps its state."""
    options = [
        click.option(
            "--from", "source", default="", metavar="URL", help="The repository. Default: origin of this clone."
        ),
        click.option("--repository", default="", metavar="OWNER/NAME", help="Its name, where the URL does not say it."),
        click.option("--branch", default="main", show_default=True, help="The branch that counts."),
        click.option("--folder", default=None, metavar="PATH", help="Where gitml.yaml lies in it. Default: as here."),
        click.option(
            "--state",
            type=click.Path(file_okay=False, path_type=Path),
            help="State folder. Default: gitml/agent/OWNER/NAME/ENVIRONMENT in your XDG state folder.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(
    cls=ByEnvironment,
    epilog=examples(
        "gitml agent production                          serve what main says, and follow it",
        "gitml agent production --once                   one convergence, without a server",
        "gitml agent production --observe --once         say what would be done, and change nothing",
        "gitml agent pin delay@8d6bbf4c --in production --owner olga --until 2026-12-01 --reason 'forge is down'",
        "gitml agent state --agent http://10.0.0.7:8470  what a running agent says of itself",
    ),
)
def agent() -> None:
    """Serve the models of one environment as main says, and follow every merged change of it.

    A change counts only with signed evidence for exactly this change; artifacts are fetched by digest, checked, loaded
    and tried beside what serves, and swapped without a failed request. The agent never writes to Git.
    """


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    from gitml.fields import parse_duration

    try:
        return None if value is None else parse_duration(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


def _rate(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    from gitml.fields import parse_rate

    try:
        return None if value is None else parse_rate(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


@agent.command(
    epilog=examples(
        "gitml agent run production --from https://github.com/ada/flights.git --port 8470",
        "gitml agent run production --once --json",
    )
)
@click.argument("environment")
@where
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to answer at; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8470, show_default=True, help="0 takes a free one.")
@click.option(
    "--interval", type=click.FloatRange(1, 86_400), default=10.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Converge once, without a server; the exit code tells how it went.")
@click.option("--observe", is_flag=True, help="Judge and report, change nothing.")
@click.option(
    "--outbox", envvar="GITML_OUTBOX", default="", metavar="URL", help="Where signed reports go; or GITML_OUTBOX."
)
@click.option(
    "--trust", multiple=True, metavar="SHA256:…", help="Only this key of policy.yaml counts; may be repeated."
)
@click.option(
    "--remote",
    multiple=True,
    metavar="NAME|URL",
    help="Fetch artifacts from this DVC remote of this machine, whatever main names; may be repeated.",
)
@click.option("--url", default="", help="Address that people reach it at, for the forge's page of deployments.")
@click.option("--log", default="", metavar="URL", help="Keep requests and answers there: a folder or its URL.")
@click.option("--keep", metavar="TIME", callback=_duration, help="Delete days of it that are older, such as 90d.")
@click.option("--tokens", type=click.Path(dir_okay=False, path_type=Path), help="File of callers and their tokens.")
@processes
@click.option(
    "--server-user", default="", metavar="USER", help="User of this machine whose process holds the models; for root."
)
@click.option(
    "--server-reads", multiple=True, metavar="PATH", help="What that process may read besides; may be repeated."
)
@click.option(
    "--server-env",
    multiple=True,
    metavar="NAME",
    help="A variable that it is given, as --log may need; may be repeated.",
)
@as_json
@click.pass_context
def run(ctx: click.Context, /, environment: str, *, once: bool, observe: bool, as_json: bool, **options: Any) -> int:
    """Converge to what main says of ENVIRONMENT, and answer requests meanwhile.

    Environment variables: GITHUB_TOKEN reads the repository and reports to the forge's deployments; GITML_SIGNING_KEY
    signs reports; GITML_WEBHOOK_SECRET makes /gitml/wake take signed knocks only.
    """
    # The server's process needs them, and could say it in a log at most.
    require("serve")
    told = told_by(ctx, environment, options)
    if observe:
        return _once(observing(told), as_json=as_json, says=not once)
    with working_server(told, options, listens=not once) as server:
        if once:
            return _once(setting(told, server.crew), as_json=as_json)
        return _serve(told, options, server, as_json=as_json)


def _once(entered: Any, *, as_json: bool, says: bool = False) -> int:
    with entered as agent:
        view = agent.round()
    if as_json:
        show_json({**view.to_dict(), "verdict": view.verdict})
    else:
        shown_state(view.to_dict())
    if says:
        note("observed once: `--observe` changes nothing, so there is nothing to go on with")
    return int(view.verdict.exit_code)


def _serve(told: AgentCall, options: dict[str, Any], server: WorkingServer, *, as_json: bool) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def ready() -> None:
        facts = {"url": server.url, "environment": told.environment, "state": str(told.folder)}
        show_json(facts) if as_json else show(f"{told.environment} answers at {server.url}")
        sys.stdout.flush()

    with setting(told, server.crew, url=options["url"]) as agent:
        from gitml.agent.serve import serve

        serve(agent, server.crew, options["interval"], stop, ready=ready)
    note("ended: every request under way was answered")
    return 0


@agent.command(
    epilog=examples(
        "gitml agent pin delay@8d6bbf4c --in production --owner olga --until 2026-12-01 --reason 'forge is down'"
    )
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Which agent's.")
@click.option("--owner", required=True, help="Login of the person who answers for it.")
@click.option("--reason", required=True, help="Why, for those who read it later.")
@click.option("--until", required=True, metavar="DAY|TIME", help="Its end, at most 14 days away.")
@where
@click.pass_context
def pin(ctx: click.Context, /, reference: str, environment: str, **options: Any) -> None:
    """Break-glass: have this machine's agent serve one version until a time, whatever main says.

    For when the forge is down: it needs no network if the version was served here before. It is signed and reported
    as soon as that is possible.
    """
    from gitml.cli.agentplace import pinned

    made, path = pinned(told_by(ctx, environment, options), reference, options)
    show(printable(f"{made.model} is {made.said}"))
    note(f"written to {path}; the agent takes it at its next look")


@agent.command(
    epilog=examples(
        "gitml agent manifest production --from https://github.com/ada/flights.git --image acme/gitml@sha256:…",
        "gitml agent manifest production … --target 500/s        as many processes as answer that",
        "gitml size delay --target 500/s --p99 50ms --json > size.json && gitml agent manifest … --size size.json",
    )
)
@click.argument("environment")
@click.option("--from", "source", required=True, metavar="URL", help="The repository.")
@click.option("--repository", default="", metavar="OWNER/NAME", help="Its name, where the URL does not say it.")
@click.option("--branch", default="main", show_default=True, help="The branch that counts.")
@click.option("--folder", default="", metavar="PATH", help="Where gitml.yaml lies in it. Default: at the top.")
@click.option("--image", required=True, metavar="NAME@sha256:…", help="The image that was built, by its digest.")
@click.option("--name", default="", help="Of all that is made. Default: gitml-ENVIRONMENT.")
@click.option(
    "--secret", default="gitml-agent", show_default=True, help="Secret with GITHUB_TOKEN and GITML_SIGNING_KEY."
)
@click.option("--replicas", type=click.IntRange(1, 1000), default=2, show_default=True, help="Pods.")
@click.option("--storage", default="20Gi", show_default=True, help="Disk of a pod for models and the mirror.")
@click.option("--log", default="", metavar="URL", help="Where requests and answers are kept: an object store.")
@click.option("--target", callback=_rate, metavar="N/s", help="Requests that come in, such as 500/s, for all pods.")
@click.option(
    "--size",
    "sizing",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What `gitml size --json` printed goes before what is signed, and needs no repository.",
)
@click.pass_context
def manifest(
    ctx: click.Context, /, environment: str, *, target: float | None, sizing: Path | None, **words: Any
) -> None:
    """Print Kubernetes manifests for agents of ENVIRONMENT: a StatefulSet, a Service, a budget of disruptions.

    Memory, and processes for a --target, come from signed evidence `evaluated` of the versions that main names; what
    nobody measured is said. The root file system is read-only, nobody is root, and each pod keeps its state on a disk
    of its own. GITHUB_TOKEN reads the repository, where it has to.
    """
    from gitml.agent.manifest import ManifestOrder, manifests
    from gitml.cli.agentsizes import sized_by_evidence, sized_by_file
    from gitml.refs import why_no_environment

    if why := why_no_environment(environment):
        raise UsageError(why, "write for example: gitml agent manifest production")
    if sizing is not None and target is not None:
        raise UsageError("--size and --target both say how many processes there are", "leave one of them out")
    order = ManifestOrder(environment, **words)
    manifests(order)  # what is wrong with the call is said before anything is fetched
    order = sized_by_file(order, sizing) if sizing else sized_by_evidence(ctx, order, target)
    click.echo(manifests(order), nl=False)


@agent.command(epilog=examples("gitml agent unpin delay --in production"))
@click.argument("model")
@click.option("--in", "environment", required=True, metavar="ENVIRONMENT", help="Which agent's.")
@where
@click.pass_context
def unpin(ctx: click.Context, /, model: str, environment: str, **options: Any) -> None:
    """End a pin at once: the agent goes back to what main says."""
    from gitml.agent.pin import unpin as end

    ended = end(told_by(ctx, environment, options).folder, model, clock.now())
    show(printable(f"{model} is no longer pinned to {ended.version}"))


@agent.command(epilog=examples("gitml agent state --agent http://127.0.0.1:8470", "gitml agent state --json"))
@click.option("--agent", "url", default="http://127.0.0.1:8470", show_default=True, metavar="URL", help="Its address.")
@as_json
def state(*, url: str, as_json: bool) -> int:
    """Show what a running agent says of itself. Exit code 1 unless it is synced, and healthy or suspended."""
    from gitml.promotion.agentask import ask

    found = ask(url, os.environ.get("GITML_AGENT_TOKEN", ""))
    if as_json:
        show_json(found)
    else:
        shown_state(found)
    return 0 if found.get("sync") == "synced" and found.get("health") in ("healthy", "suspended") else 1
