"""``gitml sandbox repo | secret``: repositories, their protection and their secrets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gitml_sandbox.cli.opening import opened, state_option
from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge import protections, repos, secrets, users
from gitml_sandbox.forge.protections import Actors, Check, Checks, Protection, Reviews
from gitml_sandbox.output import as_json, examples, show, show_json, table
from gitml_sandbox.server import welcome


@click.group()
def repo() -> None:
    """Repositories."""


@repo.command(
    "create", epilog=examples("gitml sandbox repo create ada/flights", "gitml sandbox repo create ada/x --private")
)
@state_option
@click.argument("full_name", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="Hide it from those who have no part in it.")
@click.option("--writer", "writers", multiple=True, metavar="LOGIN", help="May push. Default: the first users.")
@as_json
def repo_create(*, state: Path, full_name: str, private: bool, writers: tuple[str, ...], as_json: bool) -> None:
    """Create an empty repository and print its address."""
    owner, _, name = full_name.partition("/")
    with opened(state) as box:
        with box.store.read() as tx:
            owner_id = users.get(tx, owner).id
            chosen = [users.get(tx, w) for w in writers] if writers else _first_users(tx)
        made = repos.create(box, owner_id, name, private=private)
        with box.store.write() as tx:
            for who in chosen:
                if who.id != owner_id:
                    repos.set_collaborator(tx, made.id, who.id, "write")
        url = f"{box.base_url}/{made.full_name}.git"
    if as_json:
        show_json({"full_name": made.full_name, "clone_url": url, "private": private, "id": made.id})
    else:
        show(url)


def _first_users(tx: Any) -> list[users.User]:
    return [who for login in welcome.FIRST if (who := users.find(tx, login)) is not None]


@repo.command("list", epilog=examples("gitml sandbox repo list"))
@state_option
@as_json
def repo_list(*, state: Path, as_json: bool) -> None:
    """List repositories."""
    with opened(state) as box, box.store.read() as tx:
        found = repos.listing(tx, everything=True)
        rules = {r.id: list(protections.branches(tx, r.id)) for r in found}
    rows = [
        {"full_name": r.full_name, "private": r.private, "default_branch": r.default_branch, "protected": rules[r.id]}
        for r in found
    ]
    if as_json:
        show_json(rows)
        return
    lines = [
        [str(r["full_name"]), "private" if r["private"] else "public", ", ".join(rules[x.id])]
        for r, x in zip(rows, found, strict=True)
    ]
    show(table(lines, ["repository", "", "protected branches"]))


@repo.command(
    "protect",
    epilog=examples(
        "gitml sandbox repo protect ada/flights --reviews 2 --check 'gitml / gate'",
        "gitml sandbox repo protect ada/flights release --admins-bypass",
        "gitml sandbox repo protect ada/flights --off",
    ),
)
@state_option
@click.argument("full_name", metavar="OWNER/NAME")
@click.argument("branch", default="main")
@click.option(
    "--reviews", type=click.IntRange(0, 6), default=1, show_default=True, help="Approvals that a merge needs."
)
@click.option("--code-owners", is_flag=True, help="Owners in CODEOWNERS must approve.")
@click.option("--check", "checks", multiple=True, metavar="CONTEXT", help="A status that must be successful.")
@click.option("--linear", is_flag=True, help="No merge commits.")
@click.option("--pusher", "pushers", multiple=True, metavar="LOGIN", help="Only these may change the branch.")
@click.option("--admins-bypass", is_flag=True, help="Administrators need not keep to it.")
@click.option("--off", is_flag=True, help="Take the protection away.")
def repo_protect(*, state: Path, full_name: str, branch: str, off: bool, **chosen: Any) -> None:
    """Let BRANCH change by reviewed pull requests only; a push makes old approvals stale."""
    with opened(state) as box, box.store.write() as tx:
        found = repos.get(tx, full_name)
        if off and not protections.delete(tx, found.id, branch):
            raise UsageError(f"{branch} of {full_name} is not protected", "see: gitml sandbox repo list")
        if not off:
            protections.save(tx, found.id, branch, _protection(**chosen))


def _protection(
    *,
    reviews: int,
    code_owners: bool,
    checks: tuple[str, ...],
    linear: bool,
    pushers: tuple[str, ...],
    admins_bypass: bool,
) -> Protection:
    return Protection(
        required_pull_request_reviews=Reviews(
            required_approving_review_count=reviews,
            dismiss_stale_reviews=True,
            require_code_owner_reviews=code_owners,
            require_last_push_approval=reviews > 0,
        ),
        required_status_checks=Checks(checks=tuple(Check(context=c) for c in checks)) if checks else None,
        restrictions=Actors(users=pushers) if pushers else None,
        required_linear_history=linear,
        enforce_admins=not admins_bypass,
    )


@click.group()
def secret() -> None:
    """Secrets of a repository or of one of its Environments, encrypted on disk."""


_environment = click.option("--env", "environment", default="", help="Of this Environment only.")


@secret.command("set", epilog=examples("gitml sandbox secret set ada/flights API_KEY < key.txt"))
@state_option
@_environment
@click.argument("full_name", metavar="OWNER/NAME")
@click.argument("name")
def secret_set(*, state: Path, environment: str, full_name: str, name: str) -> None:
    """Set NAME to what comes on standard input, or to what you type unseen."""
    stream = sys.stdin
    typed = stream.isatty()
    value: str = click.prompt("Value", hide_input=True) if typed else stream.read().rstrip("\n")
    with opened(state) as box, box.store.write() as tx:
        repo_id = repos.get(tx, full_name).id
        secrets.put(tx, box.root, secrets.Secret(repo_id, name, value, environment), now=box.now())


@secret.command("list", epilog=examples("gitml sandbox secret list ada/flights"))
@state_option
@_environment
@click.argument("full_name", metavar="OWNER/NAME")
@as_json
def secret_list(*, state: Path, environment: str, full_name: str, as_json: bool) -> None:
    """List names and times, never values."""
    with opened(state) as box, box.store.read() as tx:
        rows = secrets.names(tx, repos.get(tx, full_name).id, environment)
    if as_json:
        show_json([dict(row) for row in rows])
    else:
        show(table([[row["name"], row["updated_at"]] for row in rows], ["name", "updated"]))


@secret.command("delete", epilog=examples("gitml sandbox secret delete ada/flights API_KEY"))
@state_option
@_environment
@click.argument("full_name", metavar="OWNER/NAME")
@click.argument("name")
def secret_delete(*, state: Path, environment: str, full_name: str, name: str) -> None:
    """Remove NAME."""
    with opened(state) as box, box.store.write() as tx:
        repo_id = repos.get(tx, full_name).id
        if not secrets.delete(tx, repo_id=repo_id, name=name, environment=environment):
            raise UsageError(f"there is no secret {name}", f"see: gitml sandbox secret list {full_name}")
