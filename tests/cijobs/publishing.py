"""A repository with a pull request in a sandbox, and a report to publish on it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gitml.cijobs.publish import Published, PublishOrder, World, publish
from gitml.forges.table import settings_from
from gitml.http import Patience
from gitml.reports.exchange import to_json
from gitml.reports.facts import Chart, Outcome, Report, ReportedHow, ReportedModel, ReportedStage
from gitml_sandbox.forge import tokens
from sandbox.forge_kit import Kit
from sandbox.rest_kit import Api, api, seeded

QUICK = Patience(tries=5, total=20, first=0.05, longest=0.2, answer=1.0)
MARKER = "<!-- gitml:report:toy/train -->"
JOB = {"contents": "write", "pull-requests": "write", "statuses": "write", "actions": "read"}


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


@dataclass
class Desk:
    """``pull`` is the pull request as it was opened; ``run()`` publishes in its name and ``said`` is what was noted."""

    kit: Kit
    ada: Api
    folder: Path
    pull: dict[str, Any]
    token: str
    url: str = ""
    said: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    cml_seconds: float = 60

    @property
    def head(self) -> str:
        return str(self.pull["head"]["sha"])

    @property
    def number(self) -> int:
        return int(self.pull["number"])

    def report(self, *models: ReportedModel, **more: Any) -> Report:
        about = {"branch": self.pull["head"]["ref"], "base": "main", "commit": self.head, **more}
        return Report("toy", self.ada.repo, models=models or (GOOD,), **about)

    def world(self, run: int = 1, **env: str) -> World:
        base = {
            "GITHUB_API_URL": f"{self.url or self.kit.url}/api/v3",
            "GITHUB_SERVER_URL": self.kit.url,
            "GITHUB_REPOSITORY": self.ada.repo,
            "GITHUB_TOKEN": self.token,
            "GITHUB_SHA": self.head,
            "GITHUB_REF": f"refs/heads/{self.pull['head']['ref']}",
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "PATH": "/usr/bin:/bin",
        }
        chosen = {**base, **self.env, **env}
        return World(chosen, settings_from(chosen), self.said.append, QUICK, self.cml_seconds)

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

    def comments(self) -> list[dict[str, Any]]:
        found = self.ada.get(f"issues/{self.number}/comments", per_page=100)
        return [c for c in found if MARKER in c["body"]]

    def status(self, commit: str = "") -> tuple[str, str]:
        found = self.ada.get(f"commits/{commit or self.head}/statuses")
        newest = next(s for s in found if s["context"] == "gitml/train")
        return newest["state"], newest["description"]


def desk(kit: Kit, folder: Path, *, branch: str = "feature", kind: str = "job", **pull: Any) -> Desk:
    repo, ada, _, _ = seeded(kit)
    bot = kit.user("gitml-bot[bot]")
    with kit.sandbox.store.write() as tx:
        token = tokens.mint(tx, user_id=bot.id, kind=kind, repo_id=repo.id, permissions=JOB)
    return Desk(kit, ada, folder, ada.pull(branch, **pull), token)


def weak(d: Desk, **permissions: str) -> str:
    """A job's token of this repository that may do only that."""
    with d.kit.sandbox.store.write() as tx:
        row = tx.execute("SELECT id FROM repos WHERE name = ?", (d.ada.repo.split("/")[1],)).fetchone()
        named = {k.replace("_", "-"): v for k, v in permissions.items()}
        bot = d.kit.user("gitml-bot[bot]").id
        return tokens.mint(tx, user_id=bot, kind="job", repo_id=row["id"], permissions=named)


def with_chart(report: Report, image: str) -> Report:
    model = replace(report.models[0], charts=(Chart("roc", image=image),))
    return replace(report, models=(model,))


def fork_event(d: Desk, folder: Path, **changes: Any) -> Path:
    run = {
        "id": 77,
        "run_attempt": 1,
        "event": "pull_request",
        "head_sha": d.head,
        "head_branch": d.pull["head"]["ref"],
        "head_repository": {"full_name": d.pull["head"]["repo"]["full_name"]},
        **changes,
    }
    path = folder / "event.json"
    path.write_text(json.dumps({"workflow_run": run, "repository": {"full_name": d.ada.repo}}))
    return path


def as_person(d: Desk, login: str) -> Api:
    return api(d.kit, d.ada.repo, login)


Making = Callable[..., Desk]
