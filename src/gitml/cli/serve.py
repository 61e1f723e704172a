"""``gitml serve``"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gitml.cli.common import examples, root_of
from gitml.cli.processes import processes
from gitml.output import note, paint, show

if TYPE_CHECKING:
    from gitml.inference.serve import ServeOptions
    from gitml.spec.deployment import Deployment


@click.command(
    epilog=examples(
        "gitml serve delay                     the newest version, on http://127.0.0.1:8080",
        "gitml serve delay@3f2a --port 9000",
        "gitml serve delay@production          champion, canary and shadows, as its deployment file says",
        "gitml serve delay --log predictions/  with a prediction log",
        "gitml serve delay --processes 0       one process for each core, behind one port",
    )
)
@click.argument("reference", metavar="MODEL[@VERSION|@ENVIRONMENT]")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: any free port.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--log", metavar="FOLDER", help="Keep requests and answers there as Parquet: a folder or its URL.")
@click.option(
    "--tokens",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Answer only callers with a token of this file: lines of CALLER TOKEN.",
)
@processes
@click.pass_context
def serve(ctx: click.Context, /, reference: str, **options: Any) -> None:
    """Serve a version, or what an environment's file pins, on this machine, to try it out.

    The server is that of `gitml agent` without the agent: no evidence is asked for, and nothing follows main.
    """
    from gitml.models.cores import one_core_each

    one_core_each()
    from gitml.inference.serve import ServeOptions
    from gitml.inference.serve import serve as run
    from gitml.serving.server import Listen

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    listen = Listen(options["host"], options["port"])
    chosen = ServeOptions(listen, options["log"], options["tokens"], options["processes"])
    if chosen.processes > 1:
        _serve_processes(root_of(ctx), reference, chosen, stop)
        return
    with run(root_of(ctx), reference, chosen) as trial:
        _tell(trial.running.url, trial.record.reference, trial.state.served[trial.record.model].deployment)
        if trial.running.missing:
            note(trial.running.missing)
        while trial.running.thread.is_alive() and not stop.wait(0.5):
            pass
        note("finishing what is in work")


def _serve_processes(root: Path, reference: str, chosen: ServeOptions, stop: threading.Event) -> None:
    from gitml.cli.extras import require
    from gitml.inference.serveprocesses import serve_processes

    # Its processes need them, and could say it in a log at most.
    require("serve")
    with serve_processes(root, reference, chosen, note=note) as served:
        _tell(served.url, served.plan.record.reference, served.plan.deployment)
        stop.wait()
        note("finishing what is in work")


def _tell(url: str, champion: str, deployment: Deployment) -> None:
    show(f"{paint(url, 'bold')}/docs   {_said(champion, deployment)}, to try it out")
    # Whoever waits for the address at the end of a pipe waits for this line.
    sys.stdout.flush()


def _said(champion: str, deployment: Deployment) -> str:
    """The champion, and what else sees a part of the traffic."""
    canary = [f"canary {deployment.canary.weight:g} %"] if deployment.canary else []
    shadows = [f"shadow {shadow.sample:g} %" for shadow in deployment.shadow]
    return ", ".join([champion, *canary, *shadows])
