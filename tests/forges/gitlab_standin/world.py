"""What the stand-in knows beside the forge in memory, and one request of one account."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from gitml.forges.governed import Account
from gitml.forges.memory import MemoryConnection, MemoryForge
from gitml.forges.memory.state import ForgeState

LEVELS = {"admin": 50, "maintain": 40, "write": 30, "triage": 20, "read": 10}


class RefusedError(Exception):
    """An answer that is none of 2xx."""

    def __init__(self, status: int, message: Any) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class World:
    """One project and its forks. ``premium``: the tier has rules of approval, and several reviewers.

    ``approvals`` are the project's settings of approvals, ``rules`` its rules.
    """

    forge: MemoryForge
    url: str = ""
    premium: bool = False
    needs_pipeline: bool = False
    override: str = "developer"
    approvals: dict[str, bool] = field(default_factory=lambda: {"merge_requests_author_approval": True})
    rules: list[dict[str, Any]] = field(default_factory=list)
    discussions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    deployments: dict[int, dict[str, Any]] = field(default_factory=dict)
    variables: list[dict[str, Any]] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    schedules: list[dict[str, Any]] = field(default_factory=list)
    pipelines: dict[int, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, int] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(500_000))

    def project(self, repository: str) -> int:
        return self.projects.setdefault(repository, len(self.projects) + 1)


@dataclass
class Ask:
    """``path`` are the words of the operation's path by their names."""

    world: World
    login: str
    path: dict[str, str]
    query: dict[str, list[str]]
    body: dict[str, Any]

    @property
    def hub(self) -> MemoryConnection:
        return self.world.forge.as_(self.login, is_job=self.login == "github-actions[bot]")

    @property
    def state(self) -> ForgeState:
        return self.hub.session.host.state

    @property
    def now(self) -> str:
        return self.hub.session.host.now()

    @property
    def project(self) -> str:
        """The repository that the path names, by number or by path."""
        named = self.path["id"]
        known = {str(number): name for name, number in self.world.projects.items()}
        found = known.get(named, named)
        if found.lower() not in {name.lower() for name in self.world.projects}:
            raise RefusedError(404, "404 Project Not Found")
        return found

    @property
    def iid(self) -> int:
        return int(self.path["merge_request_iid"])

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]

    def person(self, login: str) -> dict[str, Any]:
        return person(self.hub.session.host.person(login))

    def needs(self, level: str) -> None:
        if not self.hub.session.may(level):
            raise RefusedError(403, "403 Forbidden")


def person(who: Account) -> dict[str, Any]:
    return {"id": who.id, "username": who.login, "name": who.login, "state": "active", "web_url": f"/{who.login}"}
