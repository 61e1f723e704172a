"""What `promote`, `rollback` and `resume` share: where they work, and how they tell what they did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gitml.cli.common import root_of
from gitml.control.place import Place
from gitml.errors import OutsideError
from gitml.evidence.keys import VARIABLE, SigningKey, signing_key
from gitml.fields import WrongValueError, parse_until
from gitml.forges.settings import place_of
from gitml.forges.table import connect, settings_from
from gitml.git.commands import Git
from gitml.jsontext import picked
from gitml.output import note, paint, printable, show, show_json
from gitml.promotion.promote import Proposed

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def placed(ctx: click.Context) -> Iterator[Place]:
    """The clone where the user stands, and its forge, as GITHUB_TOKEN."""
    root = root_of(ctx)
    settings = settings_from(os.environ, _origin(root))

    def say(text: str) -> None:
        note(printable(text))

    with connect(settings, note=say) as forge:
        yield Place(root, forge, settings, say, secret=lambda name: os.environ.get(name, ""))


def names_forge(root: Path) -> bool:
    """Whether the clone or the environment says which forge is meant. A folder or a file as origin names none."""
    return bool(
        place_of(_origin(root))[1] or any(os.environ.get(name) for name in ("GITML_FORGE", "GITHUB_REPOSITORY"))
    )


def _origin(root: Path) -> str:
    try:
        return Git(root).text("remote", "get-url", "origin").strip()
    except OutsideError:
        return ""


def tell(done: Proposed, *, as_json: bool) -> None:
    """On stdout the pull request; what else is worth knowing on stderr."""
    if as_json:
        show_json(as_dict(done))
        return
    for warning in done.warnings:
        note(paint("note: ", "yellow") + printable(warning))
    show(printable(f"#{done.pull.number} {done.how}: {done.pull.title}"))
    show(printable(done.pull.url))
    asked = [*done.asked.done.people, *done.asked.done.teams]
    if asked:
        show(printable(f"asked for a review: {', '.join(asked)}"))
    for name, why in done.asked.skipped.items():
        note(printable(f"{name} could not be asked: {why}"))
    for number in done.closed:
        show(f"closed #{number}, in whose place this one comes")


def as_dict(done: Proposed) -> dict[str, Any]:
    return {
        **picked(done, "model", "version", "environment", "how", "closed", "warnings"),
        "pull": done.pull.number,
        "url": done.pull.url,
        "asked": [*done.asked.done.people, *done.asked.done.teams],
        "not_asked": done.asked.skipped,
    }


def _until(_ctx: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    try:
        return parse_until(value) if value else None
    except WrongValueError as exc:
        raise click.BadParameter(str(exc)) from exc


def until_option(function: F) -> F:
    return click.option(
        "--until", callback=_until, metavar="DAY", help="End of the hold; without it somebody has to end it."
    )(function)


def reason_option(command: F) -> F:
    """The option ``--reason`` that must be given."""
    return click.option("--reason", required=True, callback=plain_text, help="Why, for those who read it later.")(
        command
    )


def key_option(command: F) -> F:
    """The option ``--key``, which gives the caller's own ``SigningKey``."""

    def read(_ctx: click.Context, _param: click.Parameter, value: Path | None) -> SigningKey:
        return signing_key(str(value) if value else os.environ.get(VARIABLE, ""))

    told = f"The file with your own private key; otherwise {VARIABLE} has it."
    file = click.Path(path_type=Path, dir_okay=False, exists=True)
    return click.option("--key", type=file, callback=read, help=told)(command)


def anew_option(command: F) -> F:
    """The option ``--anew``."""
    told = "Close what is open of it, whatever was pushed to its branch, and begin again."
    return click.option("--anew", is_flag=True, help=told)(command)


def plain_text(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str:
    """A text that can be written to a file and read again."""
    text = (value or "").strip()
    if value is not None and not text:
        raise click.BadParameter("is empty")
    if len(text) > 2000:
        raise click.BadParameter("is longer than 2,000 characters")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise click.BadParameter("is no text in UTF-8") from exc
    return text
