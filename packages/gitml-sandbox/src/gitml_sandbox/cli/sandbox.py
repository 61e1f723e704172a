"""``gitml sandbox``: up, down, status; what is inside it has commands of its own in the files beside."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gitml_sandbox.cli.opening import opened, state_option
from gitml_sandbox.cli.people import token, user
from gitml_sandbox.cli.repositories import repo, secret
from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge import repos, users
from gitml_sandbox.output import as_json, examples, note, paint, show, show_json, table
from gitml_sandbox.server import control, serve, welcome
from gitml_sandbox.server.serve import Address, Options


@click.group(
    epilog=examples(
        "gitml sandbox up                          start it; prints users, passwords, tokens",
        "gitml sandbox repo create ada/flights     an empty repository to push to",
        "gitml sandbox repo protect ada/flights    main only by reviewed pull requests",
        "gitml sandbox down --delete               stop it and forget everything",
    )
)
def sandbox() -> None:
    """A forge and a runner on this machine, in GitHub's formats, without internet.

    For trying, teaching, testing and air-gapped evaluation: it listens on this machine only, and is no place
    to host a team.
    """


for command in (user, token, repo, secret):
    sandbox.add_command(command)


@sandbox.command(
    epilog=examples(
        "gitml sandbox up",
        "gitml sandbox up --tls        HTTPS from an authority of its own, for gh and CML",
        "gitml sandbox up --json       the same for scripts",
    )
)
@state_option
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. Default: that of last time.")
@click.option("--tls", is_flag=True, help="Serve HTTPS, and print what each client must be told.")
@click.option("--runner/--no-runner", default=True, help="Run workflows.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Jobs at once. Default: one for each core, at least two.")
@click.option("--env", "names", multiple=True, metavar="NAME", help="Hand this variable, as it is now, to every job.")
@click.option("--foreground", is_flag=True, help="Stay here until interrupted.")
@as_json
def up(
    *,
    state: Path,
    port: int | None,
    tls: bool,
    runner: bool,
    jobs: int | None,
    names: tuple[str, ...],
    foreground: bool,
    as_json: bool,
) -> None:
    """Start the sandbox, or say where it is up."""
    passed = _variables(names)
    if foreground:
        control.check_folder(state)
        _serve(state, Options(port, tls, runner, jobs, passed, first_users=True), as_json=as_json)
        return
    given = {"--port": port, "--jobs": jobs}
    words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    words += [*(["--tls"] if tls else []), *([] if runner else ["--no-runner"])]
    control.check_port(state, port)
    words += [word for name in passed for word in ("--env", name)]
    address = control.up(state, words, tls=tls)
    _welcome(state, address, as_json=as_json)


def _variables(names: Sequence[str]) -> dict[str, str]:
    for name in names:
        if name not in os.environ:
            raise UsageError(f"--env {name}: there is no such variable", f"set it first: export {name}=…")
    return {name: os.environ[name] for name in names}


@sandbox.command(epilog=examples("gitml sandbox down", "gitml sandbox down --delete"))
@state_option
@click.option("--delete", is_flag=True, help="Remove the state folder too: repositories, users, everything.")
def down(*, state: Path, delete: bool) -> None:
    """Stop the sandbox."""
    stopped = control.down(state)
    note(f"stopped: {stopped.url}" if stopped else "the sandbox was not up")
    if delete:
        note(f"deleted: {state}" if control.delete(state) else "there was no state to delete")


@sandbox.command(epilog=examples("gitml sandbox status", "gitml sandbox status --json"))
@state_option
@as_json
def status(*, state: Path, as_json: bool) -> int:
    """Say whether the sandbox is up, where, and what it holds. Exit code 1 when it does not answer."""
    address = serve.address(state)
    answers = address is not None and control.healthy(address)
    facts: dict[str, Any] = {
        "up": answers,
        "url": address.url if address else None,
        "pid": address.pid if address else None,
        "state": str(state),
        **_contents(state),
    }
    if as_json:
        show_json(facts)
    else:
        show(table([[name, "–" if value is None else str(value)] for name, value in facts.items()]))
    return 0 if answers else 1


def _contents(state: Path) -> dict[str, int]:
    if not (state / "sandbox.db").exists():
        return {}
    with opened(state) as box, box.store.read() as tx:
        return {"users": len(users.everyone(tx)), "repositories": len(repos.listing(tx, everything=True))}


def _serve(state: Path, options: Options, *, as_json: bool) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve.serving(state, options) as running:
        _welcome(state, running.address, as_json=as_json)
        while running.thread.is_alive() and not stop.wait(0.5):
            pass


def _welcome(state: Path, address: Address, *, as_json: bool) -> None:
    people = welcome.credentials(state)
    exports = welcome.exports(address.url, address.ca, people[0].token if people else "TOKEN")
    if as_json:
        found = {"url": address.url, "api_url": f"{address.url}/api/v3", "state": str(state), "ca": address.ca}
        show_json({**found, "users": [asdict(p) for p in people], "exports": exports})
        return
    show(f"{paint(address.url, bold=True)}   a sandbox, on this machine only: to try, teach, test; no place for a team")
    show(f"API {address.url}/api/v3   state {state}")
    show()
    if people:
        show(table([[p.login, p.password or "", p.token, p.name] for p in people], ["user", "password", "token", ""]))
        show()
        for line in _next_steps(state, address.url, people[0].login):
            show(line)
    for client, variables in exports.items():
        show()
        show(paint(f"# {client}", dim=True))
        for name, value in variables.items():
            show(f"export {name}={shlex.quote(value)}")


def _next_steps(state: Path, url: str, login: str) -> list[str]:
    """From nothing to a first pull request."""
    where = [] if state == control.default_state() else ["--state", str(state)]
    create = shlex.join(["gitml", "sandbox", "repo", "create", f"{login}/demo", *where])
    return [
        f"1. {create}",
        f"2. git push {_with_login(url, login)}/{login}/demo HEAD:main   (the token is the password)",
        f"3. log in at {url}/login as {login}; open a pull request; review it as another user",
    ]


def _with_login(url: str, login: str) -> str:
    scheme, _, host = url.partition("://")
    return f"{scheme}://{login}@{host}"
