"""``gitml sandbox user | token | repo | secret``: what is inside a sandbox, up or not."""

from __future__ import annotations

import secrets as random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge import protections, repos, secrets, tokens, users
from gitml_sandbox.forge import state as forge
from gitml_sandbox.forge.context import Sandbox, iso
from gitml_sandbox.forge.protections import Actors, Check, Checks, Protection, Reviews
from gitml_sandbox.output import as_json, examples, note, show, show_json, table
from gitml_sandbox.server import control, serve, welcome

F = TypeVar("F", bound=Callable[..., Any])


def state_option(command: F) -> F:
    """The option ``--state``."""
    option = click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        default=control.default_state,
        callback=lambda _ctx, _param, value: value.absolute(),
        help="State folder. Default: gitml/sandbox in your XDG state folder.",
    )
    return option(command)


@contextmanager
def opened(state: Path) -> Iterator[Sandbox]:
    """The sandbox of a state folder, beside the process that may serve it."""
    if not (state / "sandbox.db").exists():
        raise UsageError(f"there is no sandbox in {state}", "start one: gitml sandbox up")
    box = forge.open_forge(state, base_url=serve.last_url(state))
    try:
        yield box
    finally:
        box.store.close()


@click.group()
def user() -> None:
    """People, bots, organisations."""


@user.command("add", epilog=examples("gitml sandbox user add eve", "gitml sandbox user add acme --type organization"))
@state_option
@click.argument("login")
@click.option("--name", default="", help="Name to show.")
@click.option("--type", "kind", type=click.Choice(["user", "bot", "organization"]), default="user", show_default=True)
@click.option("--admin", is_flag=True, help="May administer every repository.")
@click.option("--owner", help="For an organisation: its first owner.")
def user_add(*, state: Path, login: str, name: str, kind: str, admin: bool, owner: str | None) -> None:
    """Add LOGIN; prints the password made for them."""
    password = random.token_urlsafe(9) if kind == "user" else None
    with opened(state) as box, box.store.write() as tx:
        made = users.add(tx, login, type=kind.title(), name=name, password=password, site_admin=admin)
        if owner:
            users.add_member(tx, made.id, users.get(tx, owner).id, "admin")
    note(f"added {login}")
    if password:
        show(password)


@user.command("list", epilog=examples("gitml sandbox user list"))
@state_option
@as_json
def user_list(*, state: Path, as_json: bool) -> None:
    """List users."""
    with opened(state) as box, box.store.read() as tx:
        found = users.everyone(tx)
    if as_json:
        show_json(
            [{"login": u.login, "id": u.id, "type": u.type, "name": u.name, "admin": u.site_admin} for u in found]
        )
        return
    rows = [[u.login, str(u.id), u.type, "yes" if u.site_admin else "", u.name] for u in found]
    show(table(rows, ["login", "id", "type", "admin", "name"], right=[1]))


@user.command("password", epilog=examples("gitml sandbox user password ada"))
@state_option
@click.argument("login")
@click.option("--prompt", is_flag=True, help="Ask for it instead of making one.")
def user_password(*, state: Path, login: str, prompt: bool) -> None:
    """Give LOGIN a new password and print it."""
    chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True) if prompt else random.token_urlsafe(9)
    with opened(state) as box, box.store.write() as tx:
        users.set_password(tx, users.get(tx, login).id, chosen)
    if not prompt:
        show(chosen)


@user.command("team", epilog=examples("gitml sandbox user team acme risk rita olga"))
@state_option
@click.argument("organization")
@click.argument("team")
@click.argument("members", nargs=-1, required=True)
def user_team(*, state: Path, organization: str, team: str, members: tuple[str, ...]) -> None:
    """Make a TEAM of an ORGANIZATION with these MEMBERS."""
    with opened(state) as box, box.store.write() as tx:
        org = users.get(tx, organization)
        if org.type != "Organization":
            raise UsageError(f"{organization} is no organisation", "gitml sandbox user add NAME --type organization")
        team_id = users.add_team(tx, org.id, team)
        for login in members:
            member = users.get(tx, login)
            tx.execute("INSERT OR IGNORE INTO org_members VALUES (?, ?, 'member')", (org.id, member.id))
            users.add_team_member(tx, team_id, member.id)


@click.group()
def token() -> None:
    """Tokens: passwords for git and keys for the API."""


@token.command("create", epilog=examples("gitml sandbox token create ada --permission contents=read"))
@state_option
@click.argument("login")
@click.option("--name", default="", help="To recognise it later.")
@click.option("--repo", "full_name", metavar="OWNER/NAME", help="Only for this repository.")
@click.option("--permission", "limits", multiple=True, metavar="WORD=LEVEL", help="Only this, as in workflow files.")
@click.option("--days", type=click.IntRange(1), help="Expires after so many days.")
def token_create(
    *, state: Path, login: str, name: str, full_name: str | None, limits: tuple[str, ...], days: int | None
) -> None:
    """Make a token of LOGIN and print it: it cannot be seen again."""
    granted = dict(limit.partition("=")[::2] for limit in limits) if limits else None
    with opened(state) as box, box.store.write() as tx:
        who = users.get(tx, login)
        expires = iso(box.clock() + timedelta(days=days)) if days else None
        repo_id = repos.get(tx, full_name).id if full_name else None
        kind = "app" if who.type == "Bot" else "user"
        made = tokens.mint(
            tx, user_id=who.id, kind=kind, repo_id=repo_id, permissions=granted, expires_at=expires, name=name
        )
    show(made)


@token.command("list", epilog=examples("gitml sandbox token list"))
@state_option
@as_json
def token_list(*, state: Path, as_json: bool) -> None:
    """List tokens that are valid or expired, without their secrets."""
    with opened(state) as box, box.store.read() as tx:
        found = tokens.listing(tx)
    fields = ("id", "login", "kind", "name", "permissions", "created_at", "expires_at")
    if as_json:
        show_json([{field: row[field] for field in fields} for row in found])
    else:
        show(table([[str(row[f] if row[f] is not None else "") for f in fields] for row in found], fields))


@token.command("revoke", epilog=examples("gitml sandbox token revoke 3"))
@state_option
@click.argument("number", type=int)
def token_revoke(*, state: Path, number: int) -> None:
    """Make the token with this id (see list) worthless."""
    with opened(state) as box, box.store.write() as tx:
        if not tokens.revoke_id(tx, number):
            raise UsageError(f"there is no valid token {number}", "see: gitml sandbox token list")


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
