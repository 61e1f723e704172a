"""What the commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from gitml import spec
from gitml.errors import UsageError
from gitml.output import Live

F = TypeVar("F", bound=Callable[..., Any])
D = TypeVar("D")


def as_json(command: F) -> F:
    """The option ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def traffic_log(command: F) -> F:
    """The option ``--log`` of what reads or adds traffic, as ``folder``."""
    told = "Folder or URL of the traffic. Default: as gitml.yaml says."
    return click.option("--log", "folder", metavar="FOLDER", help=told)(command)


def report_file(command: F) -> F:
    """The option ``--report`` of judgements that pull requests show, as ``target``."""
    told = "Write the report too, as the pull request would show it; picture and JSON beside it."
    kind = click.Path(dir_okay=False, path_type=Path)
    return click.option("--report", "target", type=kind, metavar="FILE.md", help=told)(command)


def root_of(ctx: click.Context) -> Path:
    """The folder of gitml.yaml, from where the user stands or from ``-C``."""
    return spec.find_root(Path(ctx.obj or "."))


def traffic_of(ctx: click.Context, folder: str | None, spool: Path | None) -> tuple[str, Path | None]:
    """Where the traffic is kept, as the call or else gitml.yaml says, and the local folder to gather in."""
    if folder:
        return folder, spool
    root = root_of(ctx)
    traffic = spec.load_application(root).traffic
    if traffic is None:
        raise UsageError("gitml.yaml does not say where traffic is kept", "name it with --log, or add `traffic:` there")
    away = "://" in traffic.at and not traffic.at.startswith("file://")
    return traffic.at, spool or (root / ".dvc" / "tmp" / "gitml" / "log" if away else None)


def models_of(ctx: click.Context) -> list[str] | None:
    """The models of gitml.yaml; None where there is none, as on a machine that serves."""
    try:
        return list(spec.load_application(root_of(ctx)).models)
    except UsageError:
        return None


# Commands look windows, months and hundreds of years of cool-down back and ahead of a moment.
_YEARS = range(1900, 9001)


def moment(text: str | None, default: D) -> datetime | D:
    """A time of the call; without a zone it is UTC. ``T24:00`` is the end of a day (ISO 8601)."""
    if text is None:
        return default
    day, last, zone = text.partition("T24:00")
    try:
        found = (
            datetime.fromisoformat(f"{day}T00:00{zone}") + timedelta(days=1) if last else datetime.fromisoformat(text)
        )
    except (ValueError, OverflowError) as exc:
        raise click.BadParameter(f"{text!r} is not a time such as 2026-04-01 or 2026-04-01T06:00:00Z") from exc
    if found.year not in _YEARS:
        raise click.BadParameter(f"{text!r} is not between the years {_YEARS[0]} and {_YEARS[-1]}")
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def examples(*lines: str) -> str:
    """An epilog that click leaves as it is."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@contextmanager
def watch(stage: str, log: Path) -> Iterator[None]:
    """The stage that runs, how long, and the last line that it wrote to ``log``."""
    with Live(f"  {stage:<16}", lambda: _last_line(log)):
        yield


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 400))
            lines = stream.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def number(value: float | None, *, sign: bool = False) -> str:
    """Four significant digits, whole numbers whole.

    >>> number(0.712345), number(26123.0), number(-0.01, sign=True), number(None)
    ('0.7123', '26123', '-0.01', '–')
    """
    if value is None:
        return "–"
    plus = "+" if sign else ""
    return f"{value:{plus}.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:{plus}.4g}"


def interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    return f"{number(low, sign=sign)} … {number(high, sign=sign)}" if low is not None and high is not None else ""
