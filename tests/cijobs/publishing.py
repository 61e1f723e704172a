"""A repository with a pull request on a forge, and a report to publish on it."""

from __future__ import annotations

import json
import struct
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from forges.homes import JOB, Home, MemoryHome, SandboxHome, memory_home
from forges.homes import pull as opened
from gitml.cijobs.publish import Published, PublishOrder, World, publish
from gitml.forges.base import Comment, OnPull, Place, PullRequest
from gitml.forges.memory import MemoryForge
from gitml.forges.table import settings_from
from gitml.reports.exchange import to_json
from gitml.reports.facts import Chart, Outcome, Report, ReportedHow, ReportedModel, ReportedStage
from gitml.retries import Patience
from gitml_sandbox.forge import repos, tokens
from gitml_sandbox.forge.repos import Repo
from sandbox.forge_kit import Kit
from sandbox.rest_kit import Api, api, seeded

QUICK = Patience(tries=5, total=20, first=0.05, longest=0.2, answer=1.0)
MARKER = "<!-- gitml:report:toy/train -->"


def png(shade: int = 0) -> bytes:
    """A real picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixel = zlib.compress(bytes([0, shade]))
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def failed(stage: str = "train", tail: str = "boom") -> ReportedModel:
    stages = (ReportedStage(stage, ReportedHow.FAILED, why="exit code 1", log_tail=tail),)
    return ReportedModel("delay", Outcome.FAILED, reason="exit code 1", stages=stages)


GOOD = ReportedModel("delay", Outcome.NEW, version="20261124T120000Z-12345678")


@dataclass(kw_only=True)
class Desk(ABC):
    """``pull`` is the pull request as it was opened; ``run()`` publishes in its name and ``said`` is what was noted."""

    folder: Path
    pull: PullRequest
    said: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    cml_seconds: float = 60

    @property
    @abstractmethod
    def home(self) -> Home: ...

    @abstractmethod
    def world(self, run: int = 1, **env: str) -> World:
        """Of a job, with these variables."""

    @property
    def head(self) -> str:
        return self.pull.head.commit

    @property
    def number(self) -> int:
        return self.pull.number

    def report(self, *models: ReportedModel, **more: Any) -> Report:
        about = {"branch": self.pull.head.branch, "base": "main", "commit": self.head, **more}
        return Report("toy", self.home.repository, models=models or (GOOD,), **about)

    def variables(self, run: int) -> dict[str, str]:
        """What tells a job about itself."""
        return {
            "GITHUB_SHA": self.head,
            "GITHUB_REF": f"refs/heads/{self.pull.head.branch}",
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "PATH": "/usr/bin:/bin",
        }

    def write(self, report: Report | bytes, name: str = "report.json") -> Path:
        path = self.folder / name
        path.write_bytes(report if isinstance(report, bytes) else to_json(report).encode())
        return path

    def run(
        self, report: Report | None = None, *, run: int = 1, env: dict[str, str] | None = None, **how: Any
    ) -> Published:
        path = self.write(report or self.report(), f"report-{run}.json")
        order = PublishOrder(path, self.folder / "report-pictures", "toy", **how)
        return publish(order, self.world(run, **(env or {})))

    def all_comments(self, place: Place | None = None) -> list[Comment]:
        with self.home.as_() as hub:
            return list(hub.comments.list(place or OnPull(self.number)))

    def comments(self) -> list[Comment]:
        return [c for c in self.all_comments() if MARKER in c.body]

    def say(self, login: str, body: str) -> Comment:
        """Somebody comments."""
        with self.home.as_(login) as hub:
            return hub.comments.add(OnPull(self.number), body)

    def close(self) -> None:
        with self.home.as_() as hub:
            hub.merges.close(self.number)

    def status(self, commit: str = "") -> tuple[str, str]:
        with self.home.as_() as hub:
            newest = next(s for s in hub.commits.statuses(commit or self.head) if s.context == "gitml/train")
        return newest.state.value, newest.description


@dataclass(kw_only=True)
class SandboxDesk(Desk):
    """In a sandbox, where ``token`` is that of a job, and ``url`` may lead past a bad network."""

    kit: Kit
    ada: Api
    token: str
    url: str = ""

    @property
    def home(self) -> SandboxHome:
        return SandboxHome(self.kit, self.repo)

    @property
    def repo(self) -> Repo:
        with self.kit.sandbox.store.read() as tx:
            found = repos.find(tx, *self.ada.repo.split("/"))
        assert found is not None
        return found

    def world(self, run: int = 1, **env: str) -> World:
        base = {
            "GITHUB_API_URL": f"{self.url or self.kit.url}/api/v3",
            "GITHUB_SERVER_URL": self.kit.url,
            "GITHUB_REPOSITORY": self.ada.repo,
            "GITHUB_TOKEN": self.token,
        }
        chosen = {**base, **self.variables(run), **self.env, **env}
        return World(chosen, settings_from(chosen), self.said.append, QUICK, self.cml_seconds)


@dataclass(kw_only=True)
class MemoryDesk(Desk):
    """In this process, with the token of a job."""

    forge: MemoryForge

    @property
    def home(self) -> MemoryHome:
        return MemoryHome(self.forge)

    def world(self, run: int = 1, **env: str) -> World:
        chosen = {**self.variables(run), **self.env, **env}
        settings = replace(self.home.job_settings(), bot=chosen.get("GITML_BOT", ""))
        return World(chosen, settings, self.said.append, QUICK, self.cml_seconds)


def desk(kit: Kit, folder: Path, *, branch: str = "feature", kind: str = "job", **more: Any) -> SandboxDesk:
    repo, ada, _, _ = seeded(kit)
    bot = kit.user("gitml-bot[bot]")
    with kit.sandbox.store.write() as tx:
        token = tokens.mint(tx, user_id=bot.id, kind=kind, repo_id=repo.id, permissions=JOB)
    number = ada.pull(branch, **more)["number"]
    with SandboxHome(kit, repo).as_() as hub:
        return SandboxDesk(kit=kit, ada=ada, folder=folder, pull=hub.pulls.get(number), token=token)


def new_desk(folder: Path) -> MemoryDesk:
    """The same without a server."""
    home = memory_home(folder / "forge")
    home.write("ada", "README.md", "# hello\n")
    return MemoryDesk(forge=home.forge, folder=folder, pull=opened(home))


def weak(d: SandboxDesk, **permissions: str) -> str:
    """A job's token of this repository that may do only that."""
    with d.kit.sandbox.store.write() as tx:
        named = {k.replace("_", "-"): v for k, v in permissions.items()}
        bot = d.kit.user("gitml-bot[bot]").id
        return tokens.mint(tx, user_id=bot, kind="job", repo_id=d.repo.id, permissions=named)


def with_chart(report: Report, image: str) -> Report:
    model = replace(report.models[0], charts=(Chart("roc", image=image),))
    return replace(report, models=(model,))


def fork_event(d: Desk, folder: Path, **changes: Any) -> Path:
    run = {
        "id": 77,
        "run_attempt": 1,
        "event": "pull_request",
        "head_sha": d.head,
        "head_branch": d.pull.head.branch,
        "head_repository": {"full_name": d.pull.head.repository},
        **changes,
    }
    path = folder / "event.json"
    path.write_text(json.dumps({"workflow_run": run, "repository": {"full_name": d.home.repository}}))
    return path


def as_person(d: SandboxDesk, login: str) -> Api:
    return api(d.kit, d.ada.repo, login)
