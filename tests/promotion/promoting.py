"""An application in a repository on a forge: versions on main, an environment or two, and people with roles."""

from __future__ import annotations

import itertools
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from forges.homes import Home, MemoryHome, SandboxHome, memory_home
from gitml.control.place import Place
from gitml.dvc.lockentries import Content, Entry
from gitml.forges.base import NewPull, OnPull, PullRequest, State, Status
from gitml.forges.governed import GovernedForge, PullCommit
from gitml.forges.memory import MemoryForge
from gitml.forges.settings import Settings, host_of
from gitml.forges.table import connect
from gitml.git.commands import Git
from gitml.promotion.promote import PromoteOrder, Proposed, promote
from gitml.refs import Reference, parse
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record, name_of
from gitml.retries import Patience
from gitml.spec import Deployment, parse_deployment, render_deployment
from gitml.spec.deployment import Pin
from gitml_sandbox.forge.repos import Repo
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import Api, api

QUICK = Patience(tries=5, total=20, first=0.05, longest=0.2, answer=10.0)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GITML = """\
application: flights
models:
  delay:
    description: Will it be late?
    artifact: model.skops
    metrics: metrics.json
    better: {auc: higher, cost: lower}
"""
POLICY = {
    "roles": {"operations": {"people": ["olga"]}, "risk": {"people": ["rita", "nobody-here"]}},
    "environments": {
        "staging": {"description": "Nobody acts on its answers", "approvals": {"operations": 1}},
        "production": {"description": "Its alerts reach passengers", "approvals": {"operations": 1, "risk": 1}},
    },
}
_MINUTES = itertools.count()


def record(seed: int, *, auc: float = 0.7, minute: int = 0, model: str = "delay", **more: Any) -> Record:
    """A version trained by CI, different for each seed."""
    entry = Entry(("python train.py",), (Content("train.py", f"md5:{seed:032x}", 9),), {}, ())
    digest = lineage_digest(model, {"train": entry})
    created = f"2026-02-01T{minute // 60:02}:{minute % 60:02}:00Z"
    facts = {
        "model": model,
        "version": name_of(digest, created),
        "digest": digest,
        "created": created,
        "origin": "ci",
        "artifact": "model.skops",
        "files": {"model.skops": {"sha256": f"{seed:064x}", "size": 1_500_000}},
        "metrics": {"auc": {"value": auc, "low": auc - 0.01, "high": auc + 0.01}, "rows": {"value": 26123.0}},
        "stages": {"train": entry.to_dict()},
        **more,
    }
    return Record.model_validate(facts)


def write(folder: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@dataclass(kw_only=True)
class Town(ABC):
    """``home`` is the repository on its forge; ``main`` a clone of it to work in; ``here`` another, for commands."""

    here: Path
    versions: list[Record] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    now: datetime = NOW

    @property
    @abstractmethod
    def home(self) -> Home: ...

    @property
    @abstractmethod
    def tip(self) -> str:
        """What the clone is at."""

    @abstractmethod
    def push(self, files: Mapping[str, str | None], message: str = "change") -> str:
        """A commit of ada's on main."""

    @abstractmethod
    def pull_of(self, files: Mapping[str, str | None], branch: str, login: str) -> int:
        """A branch from main with these files, and its pull request."""

    @abstractmethod
    def settings(self, login: str = "ada", url: str = "") -> Settings:
        """Of an account, or with a token as it is."""

    def train(self, seed: int, **more: Any) -> Record:
        """A new version on main."""
        made = record(seed, minute=next(_MINUTES) % 1000, **more)
        self.versions.append(made)
        self.push({f"models/{made.model}/versions/{made.version}.json": made.to_json()}, f"Train {made.reference}")
        return made

    def policy(self, **changes: Any) -> None:
        self.push({"policy.yaml": yaml.safe_dump({**POLICY, **changes}, sort_keys=False)}, "policy")

    def put(self, environment: str, state: Deployment, message: str = "") -> str:
        """A deployment file on main, as a merge would leave it."""
        path = f"models/delay/{environment}.yaml"
        return self.push({path: render_deployment(state)}, message or f"deploy to {environment}")

    def state(self, environment: str, commit: str = "main", model: str = "delay") -> Deployment:
        """What a commit or a branch of the forge says about an environment."""
        with self.hub() as hub:
            raw = hub.commits.file(f"models/{model}/{environment}.yaml", commit)
        assert raw is not None
        return parse_deployment(raw, f"{environment}.yaml")

    def hub(self, login: str = "ada") -> AbstractContextManager[GovernedForge]:
        return connect(self.settings(login), patience=QUICK)

    @contextmanager
    def place(self, login: str = "ada", url: str = "", root: Path | None = None) -> Iterator[Place]:
        chosen = self.settings(login, url)
        with connect(chosen, patience=QUICK) as forge:
            yield Place(root or self.here, forge, chosen, self.said.append, lambda: self.now)

    def promote(self, what: Record | str, to: str = "staging", login: str = "ada", **more: Any) -> Proposed:
        reference = parse(what) if isinstance(what, str) else Reference(what.model, what.version)
        with self.place(login) as place:
            return promote(place, PromoteOrder(reference, to, **more))

    def pulls(self) -> list[PullRequest]:
        """The open ones, oldest first."""
        with self.hub() as hub:
            return list(hub.pulls.all_open())

    def pull(self, number: int) -> PullRequest:
        with self.hub() as hub:
            return hub.pulls.get(number)

    def commits(self, number: int) -> tuple[PullCommit, ...]:
        with self.hub() as hub:
            return hub.merges.commits(number)

    def comments(self, number: int) -> list[str]:
        with self.hub() as hub:
            return [comment.body for comment in hub.comments.list(OnPull(number))]

    def close(self, number: int) -> None:
        with self.hub() as hub:
            hub.merges.close(number)

    def branch(self, name: str) -> str:
        """The newest commit of a branch, empty when there is none."""
        with self.hub() as hub:
            found = hub.commits.branch(name)
            return found.commit if found else ""

    def merge(self, number: int, login: str = "ada", method: str = "merge") -> str:
        """As the forge's own button does it."""
        with self.hub(login) as hub:
            return hub.merges.merge(number, hub.pulls.get(number).head.commit, method=method)

    def gate(self, number: int, state: State = State.SUCCESS, text: str = "open") -> None:
        """What the gate says, said by hand."""
        with self.hub() as hub:
            hub.commits.post(hub.pulls.get(number).head.commit, Status("gitml/gate", state, text))


@dataclass(kw_only=True)
class SandboxTown(Town):
    """In a running sandbox."""

    kit: Kit
    repo: Repo
    main: Path

    @property
    def home(self) -> SandboxHome:
        return SandboxHome(self.kit, self.repo)

    @property
    def ada(self) -> Api:
        return api(self.kit, self.repo, "ada")

    def as_(self, login: str) -> Api:
        return api(self.kit, self.repo, login)

    @property
    def tip(self) -> str:
        return git(self.main, "rev-parse", "HEAD").strip()

    def push(self, files: Mapping[str, str | None], message: str = "change") -> str:
        git(self.main, "pull", "-q", "--rebase", "origin", "main")
        write(self.main, files)
        git(self.main, "add", "-A")
        git(self.main, "commit", "-q", "-m", message)
        git(self.main, "push", "-q", "origin", "HEAD:main")
        return self.tip

    def pull_of(self, files: Mapping[str, str | None], branch: str, login: str) -> int:
        git(self.main, "fetch", "-q", "origin")
        git(self.main, "checkout", "-q", "-B", branch, "origin/main")
        write(self.main, files)
        commit_as(self, branch, login)
        git(self.main, "checkout", "-q", "-B", "main", "origin/main")
        with self.hub(login) as hub:
            return hub.pulls.open(NewPull(branch, branch, "main")).number

    def settings(self, login: str = "ada", url: str = "") -> Settings:
        token = self.kit.token.get(login, login)
        rest, host = f"{url or self.kit.url}/api/v3", host_of(self.kit.url)
        return Settings(rest, self.kit.url, self.repo.full_name, token, host=host)


@dataclass(kw_only=True)
class MemoryTown(Town):
    """In this process. Its clone is made when somebody asks for it, and follows what ``push`` brings to main."""

    forge: MemoryForge
    folder: Path
    pushed: str = ""

    @property
    def home(self) -> MemoryHome:
        return MemoryHome(self.forge)

    @property
    def main(self) -> Path:
        clone = self.folder / "main"
        if not clone.exists():
            git(self.folder, "clone", "-q", self.home.remote(), str(clone))
        elif self.pushed:
            git(clone, "fetch", "-q", "origin")
            if (clone / ".git/HEAD").read_text() == "ref: refs/heads/main\n":
                git(clone, "reset", "-q", "--hard", "origin/main")
        self.pushed = ""
        return clone

    @property
    def tip(self) -> str:
        return self.pushed or git(self.main, "rev-parse", "HEAD").strip()

    def push(self, files: Mapping[str, str | None], message: str = "change") -> str:
        acts = self.forge.as_("ada").acts
        self.pushed = acts.write(files, "main", message, by="Ada <ada@example.org>")
        return self.pushed

    def pull_of(self, files: Mapping[str, str | None], branch: str, login: str) -> int:
        mine = self.forge.as_(login)
        self.home.move(login, branch, self.branch("main"))
        mine.acts.write(files, branch, branch)
        return mine.pulls.open(NewPull(branch, branch, "main")).number

    def settings(self, login: str = "ada", url: str = "") -> Settings:
        return self.forge.settings(login.removeprefix("job:"), is_job=login.startswith("job:"))


def commit_as(town: Town, branch: str, login: str) -> str:
    """Commit what lies in the town's clone, as the account, and push it to the branch."""
    clone, user = town.main, town.home.person(login)
    mail = f"{user.id}+{login}@users.noreply.localhost"
    who = {f"GIT_{r}_{k}": v for r in ("AUTHOR", "COMMITTER") for k, v in (("NAME", login), ("EMAIL", mail))}
    git(clone, "add", "-A")
    git(clone, "commit", "-q", "--allow-empty", "-m", branch, env=who)
    return push_as(town, branch, login)


def push_as(town: Town, branch: str, login: str) -> str:
    """Push what is checked out in the town's clone, as the account, whatever the branch is at."""
    clone = town.main
    git(clone, "push", "-q", "--force", town.home.remote(login), f"HEAD:refs/heads/{branch}")
    town.home.pushed(login)
    return git(clone, "rev-parse", "HEAD").strip()


def pin(version: Record) -> Pin:
    return Pin(version=version.version, digest=version.files[version.artifact].sha256)


BEGIN = {"gitml.yaml": GITML, "policy.yaml": yaml.safe_dump(POLICY, sort_keys=False), "train.py": "pass\n"}


def town(kit: Kit, folder: Path, **more: Any) -> SandboxTown:
    repo, main = kit.seeded(folder / "main", **more)
    made = SandboxTown(kit=kit, repo=repo, main=main, here=folder / "here")
    made.push(BEGIN, "begin")
    kit.clone(repo, made.here)
    return made


def new_town(folder: Path) -> MemoryTown:
    """The same without a server."""
    home = memory_home(folder / "forge")
    home.write("ada", "README.md", "hello\n", by="Ada <ada@example.org>")
    made = MemoryTown(forge=home.forge, folder=folder, here=folder / "here")
    made.push(BEGIN, "begin")
    git(folder, "clone", "-q", home.remote(), str(made.here))
    return made


def copied(town: MemoryTown, folder: Path) -> MemoryTown:
    """A town that begins as this one is."""
    forge = town.forge.copy(folder / "forge")
    shutil.copytree(town.here, folder / "here", symlinks=True)
    config = folder / "here/.git/config"
    config.write_text(config.read_text().replace(str(town.folder), str(folder)))
    return MemoryTown(forge=forge, folder=folder, here=folder / "here")


def untouched(place: Path) -> tuple[str, str, str]:
    """What a command may not change in a clone: HEAD, the work tree, the branches."""
    words = Git(place)
    return words.text("rev-parse", "HEAD"), words.text("status", "--porcelain"), words.text("for-each-ref")
