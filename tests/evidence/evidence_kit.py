"""Keys, statements, and a repository whose main and ledger agree: the tests of evidence break it, one way each."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import QUICK_GIT, git, write
from gitml.evidence.dsse import sign
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import Binding, SignedChange, Statement, to_payload
from gitml.git import ledger
from gitml.spec.policy import TrustedKey

REPOSITORY = "acme/app"
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
ALL = ("trained", "evaluated", "gate", "approved", "promoted", "rolled-back", "deployed")
VERSION = "20260301T070000Z-3f2a90bc"


def key_pair() -> tuple[SigningKey, str]:
    private, public = generate()
    return signing_key(private), public


def trusted(public: str, purposes: tuple[str, ...] = ALL, **more: str) -> TrustedKey:
    given = {"public": public, "owner": "CI", "purposes": list(purposes), "from": "2026-01-01", **more}
    return TrustedKey.model_validate(given)


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def binding(kind: str = "gate", **more: Any) -> Binding:
    given = {"kind": kind, "repository": REPOSITORY, "time": stamp(START), "head": "a" * 40, **more}
    return Binding.model_validate(given)


def enveloped(about: Binding, key: SigningKey, details: Mapping[str, Any] | None = None) -> bytes:
    return sign(to_payload(Statement(about, details or {})), key)


def named(about: Binding, envelope: bytes) -> str:
    return ledger.event_name(about.time, about.kind, envelope)


@dataclass
class World:
    """A clone at ``root`` with its own server; commits and events are a minute apart, from ``START`` on."""

    root: Path
    key: SigningKey
    public: str
    minute: int = 0
    names: list[str] = field(default_factory=list)

    @property
    def server(self) -> ledger.Remote:
        return ledger.Remote(f"file://{self.root.parent}/server.git")

    def copy(self, folder: Path) -> World:
        """The same in another place, to be changed freely."""
        shutil.copytree(self.root.parent, folder, dirs_exist_ok=True, symlinks=True)
        other = replace(self, root=folder / "app", names=list(self.names))
        other.git("remote", "set-url", "origin", other.server.url)
        return other

    def now(self) -> datetime:
        self.minute += 1
        return START + timedelta(minutes=self.minute)

    def git(self, *words: str, author: str = "Ada", check: bool = True) -> str:
        """Like ``conftest.git``, a minute later."""
        when = stamp(self.now())
        who = {"NAME": author, "EMAIL": f"{author.lower()}@example.com", "DATE": when}
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        env |= {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        env |= {**QUICK_GIT, "GIT_CONFIG_SYSTEM": os.devnull}
        done = subprocess.run(["git", *words], cwd=self.root, env=env, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str], message: str = "change", author: str = "Ada") -> str:
        write(self.root, dict(files))
        self.git("add", "-A")
        self.git("commit", "-qm", message, author=author)
        return self.git("rev-parse", "HEAD")

    def policy(self, keys: Mapping[str, str], tail: str = "", **more: str) -> str:
        given = {"owner": "CI", "purposes": f"[{', '.join(ALL)}]", "from": "2026-01-01", **more}
        lines = ["environments:", "  production: {}", *(["keys:"] if keys else [])]
        for name, public in keys.items():
            lines += [f"  {name}:", f"    public: {public}", *(f"    {k}: {v}" for k, v in given.items())]
        return "\n".join([*lines, ""]) + tail

    def blob(self, revision: str, path: str) -> str:
        return self.git("rev-parse", "--verify", "--quiet", f"{revision}:{path}", check=False)

    def deploy(
        self, digest: str, environment: str = "production", *, pull: int = 7, author: str = "gitml-bot"
    ) -> Binding:
        """A change of a deployment file on main; the binding that its evidence has, but for the kind."""
        path = f"models/m/{environment}.yaml"
        base = self.git("rev-parse", "HEAD")
        old = self.blob(base, path)
        text = f"champion:\n  version: {VERSION}\n  digest: {hashlib.sha256(digest.encode()).hexdigest()}\n"
        head = self.commit({path: text}, f"Promote {digest}", author)
        change = SignedChange(path=path, old=old, new=self.blob(head, path))
        policy = hashlib.sha256(self.git("show", f"{base}:policy.yaml").encode() + b"\n").hexdigest()
        return binding(
            "promoted",
            model="m",
            environment=environment,
            version=VERSION,
            artifact=hashlib.sha256(digest.encode()).hexdigest(),
            change=change.model_dump(),
            pull=pull,
            head=head,
            base=base,
            policy=policy,
            by="ada",
            time=stamp(self.now()),
        )

    def sign(
        self, about: Binding, key: SigningKey | None = None, details: Mapping[str, Any] | None = None
    ) -> tuple[str, bytes]:
        envelope = enveloped(about, key or self.key, details or {"numbers": [1.5]})
        return named(about, envelope), envelope

    def record(self, *abouts: Binding, key: SigningKey | None = None, parents: tuple[str, ...] = ()) -> str:
        """Append each in a commit of its own; the last commit."""
        head = ""
        for about in abouts:
            name, envelope = self.sign(about, key)
            head = ledger.append(self.server, {name: envelope}, parents=parents)
            self.names.append(name)
        return head

    def promote(self, digest: str, environment: str = "production", **more: Any) -> Binding:
        """A change with all of its evidence."""
        about = self.deploy(digest, environment, **more)
        self.record(*(about.model_copy(update={"kind": kind}) for kind in ("gate", "approved", "promoted")))
        return about

    def publish(self) -> None:
        """main to the server, the ledger from it."""
        self.git("push", "-q", "-f", "origin", "HEAD:main")
        self.git("fetch", "-q", "origin")

    def rewrite_ledger(self, *words: str) -> None:
        """A commit on the ledger that gitml would not make: ``words`` are a shell script in a work tree of it."""
        tree = self.root.parent / "ledger-tree"
        self.git("fetch", "-q", "origin")
        self.git("worktree", "add", "-q", "--force", "--detach", str(tree), f"origin/{ledger.BRANCH}")
        subprocess.run(["sh", "-ec", " ".join(words)], cwd=tree, check=True)
        other = replace(self, root=tree)
        other.git("add", "-A")
        other.git("commit", "-q", "--allow-empty", "-m", "by hand", author="Eve")
        other.git("push", "-q", "-f", "origin", f"HEAD:{ledger.BRANCH}")
        self.git("worktree", "remove", "--force", str(tree))


def world(folder: Path, **more: str) -> World:
    """Policy with one key, and nothing else; ``more`` is what the policy says of it."""
    key, public = key_pair()
    root = folder / "app"
    git(folder, "init", "-q", "--bare", "-b", "main", "server.git")
    git(folder / "server.git", "config", "uploadpack.allowFilter", "true")
    git(folder, "init", "-q", "-b", "main", "app")
    git(root, "remote", "add", "origin", f"file://{folder}/server.git")
    made = World(root, key, public)
    made.commit(
        {
            "gitml.yaml": "application: app\nmodels:\n  m: {artifact: a.onnx}\n",
            "policy.yaml": made.policy({"ci": public}, **more),
        }
    )
    return made
