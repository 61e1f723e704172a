"""``gitml env``"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from gitml.cli.common import as_json, examples
from gitml.output import note, show, show_json


@click.command(epilog=examples("gitml env spark", "gitml env ray --json"))
@click.argument("engine", type=click.Choice(["spark", "ray", "flink"]))
@as_json
def env(engine: str, *, as_json: bool) -> None:
    """Build the environment of an engine, from packages that are pinned for it, and say where its Python is.

    It lies in the user's cache folder and is built once; `gitml score --engine` builds it too where it is missing.
    Spark and Flink need Java 17 or later beside it.
    """
    from gitml.engines.java import ON_JAVA, java_environment
    from gitml.pipelines.enginevenv import engine_environment

    if engine in ON_JAVA:
        java_environment(engine)
    built = engine_environment(engine, _watch)
    if as_json:
        show_json({"engine": engine, "python": str(built.python), "version": built.version})
    else:
        show(f"{engine}: {built.python}, Python {built.version}")


@contextmanager
def _watch(_: str, log: Path) -> Iterator[None]:
    note(f"installing packages, minutes the first time; what is said goes to {log}")
    yield
