"""The first users of a new sandbox, and what each client must be told to reach it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from gitml_sandbox.forge import tokens, users
from gitml_sandbox.forge.context import Sandbox

BOT = "gitml-bot[bot]"
# login: (what they stand for, whether they administer the sandbox)
FIRST = {
    "ada": ("Ada, data scientist", True),
    "olga": ("Olga, operations", False),
    "rita": ("Rita, risk", False),
    BOT: ("the app that gitml acts as", False),
}


@dataclass(frozen=True)
class Credential:
    """What a first user logs in with. A bot has no password."""

    login: str
    name: str
    password: str | None
    token: str


def ensure_users(sandbox: Sandbox) -> None:
    """Create the first users in a sandbox that has none, and keep their credentials in a file (mode 0600).

    The file makes ``up`` able to print them again; whoever deletes it keeps the users.
    """
    with sandbox.store.write() as tx:
        if users.everyone(tx):
            return
        made = []
        for login, (name, admin) in FIRST.items():
            bot = login == BOT
            password = None if bot else secrets.token_urlsafe(9)
            kind = "Bot" if bot else "User"
            who = users.add(tx, login, type=kind, name=name, password=password, site_admin=admin)
            token = tokens.mint(tx, user_id=who.id, kind="app" if bot else "user", name="first token")
            made.append(Credential(login, name, password, token))
        _keep(sandbox.root / "credentials.json", made)


def credentials(root: Path) -> list[Credential]:
    """Those of the first users, as long as their file is there."""
    try:
        rows = json.loads((root / "credentials.json").read_text())
    except FileNotFoundError:
        return []
    return [Credential(**row) for row in rows]


def _keep(path: Path, made: list[Credential]) -> None:
    fresh = path.with_name(".credentials.json.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump([asdict(c) for c in made], file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def exports(url: str, ca: str | None, token: str) -> Mapping[str, Mapping[str, str]]:
    """For each client, the variables that point it here. ``ca`` None: plain HTTP, which gh and CML refuse."""
    host = url.partition("://")[2]
    api = {"GITHUB_SERVER_URL": url, "GITHUB_API_URL": f"{url}/api/v3", "GITHUB_TOKEN": token}
    if ca is None:
        return {"gitml, PyGithub": api}
    return {
        "git": {"GIT_SSL_CAINFO": ca},
        "curl": {"CURL_CA_BUNDLE": ca},
        "gitml, PyGithub": {**api, "SSL_CERT_FILE": ca, "REQUESTS_CA_BUNDLE": ca},
        "gh": {"GH_HOST": host, "GH_ENTERPRISE_TOKEN": token, "SSL_CERT_FILE": ca},
        "CML": {"NODE_EXTRA_CA_CERTS": ca, "REPO_TOKEN": token},
    }
