"""An application in a repository of a sandbox: versions on main, an environment or two, and people with roles."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from gitml.control.place import Place
from gitml.dvc.lockentries import Content, Entry
from gitml.forges.base import State
from gitml.forges.settings import Settings
from gitml.forges.table import connect
from gitml.git.commands import Git
from gitml.http import Patience
from gitml.promotion.promote import PromoteOrder, Proposed, promote
from gitml.refs import Reference, parse
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record, name_of
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


def write(folder: Path, files: dict[str, str | None]) -> None:
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@dataclass
class Town:
    """``main`` is a clone from which ada pushes to main; ``here`` another one, where commands are called."""

    kit: Kit
    repo: Repo
    main: Path
    here: Path
    versions: list[Record] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    now: datetime = NOW

    @property
    def ada(self) -> Api:
        return api(self.kit, self.repo, "ada")

    def as_(self, login: str) -> Api:
        return api(self.kit, self.repo, login)

    @property
    def tip(self) -> str:
        return git(self.main, "rev-parse", "HEAD").strip()

    def push(self, files: dict[str, str | None], message: str = "change") -> str:
        """A commit on main."""
        git(self.main, "pull", "-q", "--rebase", "origin", "main")
        write(self.main, files)
        git(self.main, "add", "-A")
        git(self.main, "commit", "-q", "-m", message)
        git(self.main, "push", "-q", "origin", "HEAD:main")
        return self.tip

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

    def state(self, environment: str, commit: str = "origin/main", model: str = "delay") -> Deployment:
        git(self.main, "fetch", "-q", "origin")
        text = git(self.main, "show", f"{commit}:models/{model}/{environment}.yaml")
        return parse_deployment(text.encode(), f"{environment}.yaml")

    @contextmanager
    def place(self, login: str = "ada", url: str = "", root: Path | None = None) -> Iterator[Place]:
        chosen = Settings(
            f"{url or self.kit.url}/api/v3", self.kit.url, self.repo.full_name, self.kit.token.get(login, login)
        )
        with connect(chosen, patience=QUICK) as forge:
            yield Place(root or self.here, forge, chosen, self.said.append, lambda: self.now)

    def promote(self, what: Record | str, to: str = "staging", login: str = "ada", **more: Any) -> Proposed:
        reference = parse(what) if isinstance(what, str) else Reference(what.model, what.version)
        with self.place(login) as place:
            return promote(place, PromoteOrder(reference, to, **more))

    def pulls(self, state: str = "open") -> list[dict[str, Any]]:
        return sorted(self.ada.get("pulls", state=state, per_page=100), key=lambda p: p["number"])

    def merge(self, number: int) -> str:
        return str(self.ada.merge(number)["sha"])

    def gate(self, number: int, state: State = State.SUCCESS, text: str = "open") -> None:
        head = self.ada.get(f"pulls/{number}")["head"]["sha"]
        self.ada.post(f"statuses/{head}", state=state.value, context="gitml/gate", description=text)


def pin(version: Record) -> Pin:
    return Pin(version=version.version, digest=version.files[version.artifact].sha256)


def town(kit: Kit, folder: Path, **more: Any) -> Town:
    repo, main = kit.seeded(folder / "main", **more)
    files = {"gitml.yaml": GITML, "policy.yaml": yaml.safe_dump(POLICY, sort_keys=False), "train.py": "pass\n"}
    made = Town(kit, repo, main, folder / "here")
    made.push(dict(files), "begin")
    kit.clone(repo, made.here)
    return made


def untouched(place: Path) -> tuple[str, str, str]:
    """What a command may not change in a clone: HEAD, the work tree, the branches."""
    words = Git(place)
    return words.text("rev-parse", "HEAD"), words.text("status", "--porcelain"), words.text("for-each-ref")


Making = Callable[[], Town]
