"""``gitml sandbox user | token``: people, bots, organisations, their addresses and tokens."""

from __future__ import annotations

import secrets as random
from datetime import timedelta
from pathlib import Path

import click

from gitml_sandbox.cli.opening import opened, state_option
from gitml_sandbox.clock import iso
from gitml_sandbox.errors import UsageError
from gitml_sandbox.forge import emails, repos, tokens, users
from gitml_sandbox.output import as_json, examples, note, show, show_json, table


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
@click.option("--email", "addresses", multiple=True, help="Commits with this address are theirs. Repeatable.")
def user_add(
    *, state: Path, login: str, name: str, kind: str, admin: bool, owner: str | None, addresses: tuple[str, ...]
) -> None:
    """Add LOGIN; prints the password made for them."""
    password = random.token_urlsafe(9) if kind == "user" else None
    with opened(state) as box, box.store.write() as tx:
        made = users.add(tx, login, type=kind.title(), name=name, password=password, site_admin=admin)
        emails.add(tx, made.id, addresses)
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
        found = [(u, emails.listing(tx, u.id)) for u in users.everyone(tx)]
    if as_json:
        keys = ("login", "id", "type", "name", "admin", "emails")
        show_json([dict(zip(keys, (u.login, u.id, u.type, u.name, u.site_admin, e), strict=True)) for u, e in found])
        return
    rows = [[u.login, str(u.id), u.type, "yes" if u.site_admin else "", u.name, ", ".join(e)] for u, e in found]
    show(table(rows, ["login", "id", "type", "admin", "name", "emails"], right=[1]))


@user.command("email", epilog=examples("gitml sandbox user email ada ada@example.org"))
@state_option
@click.argument("login")
@click.argument("address")
@click.option("--remove", is_flag=True, help="Commits with this address are no longer theirs.")
def user_email(*, state: Path, login: str, address: str, remove: bool) -> None:
    """Say that commits with this ADDRESS are LOGIN's."""
    with opened(state) as box, box.store.write() as tx:
        change = emails.remove if remove else emails.add
        change(tx, users.get(tx, login).id, [address])


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
