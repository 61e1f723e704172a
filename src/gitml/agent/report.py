"""What an agent tells: the forge's page of deployments, and signed statements in an outbox. Neither ever stops it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gitml.agent.source import Mirror, Moved, Wanted
from gitml.agent.state import OUTBOX, Applied
from gitml.errors import GitmlError, OutsideError, SpecError
from gitml.evidence.dsse import sign
from gitml.evidence.keys import SigningKey
from gitml.evidence.statement import Binding, SignedChange, Statement, to_payload
from gitml.files import write_file
from gitml.forges.governed import Deployments, DeploymentState, NewDeployment
from gitml.git.ledger import MAX_EVENT, event_name, wrong_name
from gitml.spec.deployment import Deployment, Pin, parse_deployment
from gitml.spec.policy import POLICY

TASK = "deploy"


@dataclass(frozen=True)
class News:
    """One thing that happened to one model: it serves (or could not serve) what ``change`` of main brought.

    ``seconds`` from the moment that it was seen; ``details`` is JSON. ``by`` is whoever pinned it, for a local pin.
    ``about``: a version other than the champion.
    """

    environment: str
    model: str
    change: Moved
    deployment: Deployment
    result: Literal["passed", "failed"]
    reason: str
    time: str
    seconds: float
    by: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    about: Pin | None = None

    @property
    def pin(self) -> Pin:
        """The version that it is about: the champion, unless another is named."""
        return self.about or self.deployment.champion


def statement_of(news: News, repository: str, mirror: Mirror, host: str = "") -> Statement:
    """The ``deployed`` statement, bound to the change like the evidence that let it through."""
    change, pin = news.change, news.pin
    raw = mirror.file(change.parent, POLICY) if change.parent else None
    binding = Binding(
        kind="deployed",
        host=host,
        repository=repository,
        time=news.time,
        model=news.model,
        environment=news.environment,
        # What a person pinned by hand ran here without approval: no rollback or promotion may rest on that.
        version="" if news.by else pin.version,
        artifact="" if news.by else pin.digest,
        change=SignedChange(path=change.path, old=change.old, new=change.new) if change.old != change.new else None,
        head=change.commit,
        base=change.parent,
        policy=hashlib.sha256(raw).hexdigest() if raw is not None else "",
        run="local",
        by=news.by,
        result=news.result,
    )
    said = {"reason": news.reason, "seconds": round(news.seconds, 3), **pins_of(news.deployment)}
    return Statement(binding, {**said, **news.details})


def pins_of(deployment: Deployment) -> dict[str, Any]:
    """Versions by what they are, for reports."""
    canary = deployment.canary
    return {
        "champion": deployment.champion.version,
        "canary": {"version": canary.version, "weight": canary.weight} if canary else None,
        "shadow": [pin.version for pin in deployment.shadow],
    }


def facts_of(applied: Applied) -> dict[str, Any]:
    """What is applied, for those who ask the agent."""
    told = applied.model_dump(mode="json", include={"commit", "blob", "since", "evidence", "rollback", "checked"})
    return {**told, **_pins_in(applied.text.encode(), applied.path)}


def facts_of_wanted(wanted: Wanted | None) -> dict[str, Any] | None:
    """What main says; None where it says nothing."""
    return {"blob": wanted.blob, **_pins_in(wanted.content, wanted.path)} if wanted else None


def _pins_in(content: bytes, path: str) -> dict[str, Any]:
    try:
        return pins_of(parse_deployment(content, path))
    except SpecError:
        return {}


@dataclass(frozen=True)
class Outbox:
    """Signed statements that wait below ``folder``, and where they go: ``target`` is a folder or URL, '' keeps them."""

    folder: Path
    target: str = ""

    def put(self, statement: Statement, key: SigningKey) -> Path:
        """Write it down, whole or not at all."""
        envelope = sign(to_payload(statement), key)
        name = event_name(statement.binding.time, statement.binding.kind, envelope)
        place = self.folder / OUTBOX / name.rpartition("/")[2]
        write_file(place, envelope)
        return place

    def waiting(self) -> tuple[Path, ...]:
        return tuple(sorted((self.folder / OUTBOX).glob("*.json")))

    def deliver(self) -> int:
        """Bring what waits to ``target``; how many went. Raises OutsideError at the first that cannot."""
        if not self.target:
            return 0
        sent = 0
        for path in self.waiting():
            store(self.target, path.name, path.read_bytes())
            path.unlink()
            sent += 1
        return sent


def store(target: str, name: str, content: bytes) -> None:
    """Write a file of a folder or object store, whole or not at all. Raises OutsideError."""
    if "://" not in target:
        try:
            write_file(Path(target) / name, content)
        except OSError as exc:
            raise OutsideError(f"the outbox {target} cannot be written: {exc.strerror}") from exc
        return
    with _filesystem(target) as (fs, base):
        fs.makedirs(base, exist_ok=True)
        fs.pipe_file(f"{base}/{name}", content)


def contents(target: str, most: int = 10_000) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each statement in an outbox, by name. Raises OutsideError when it cannot be read."""
    with _filesystem(target) as (fs, base):
        if not fs.exists(base):
            return
        listed = sorted((i["name"], i["size"] or 0) for i in fs.ls(base, detail=True) if i["type"] == "file")
        for path, size in [(p, s) for p, s in listed if p.endswith(".json")][:most]:
            name = path.rpartition("/")[2]
            yield name, fs.cat_file(path) if size <= MAX_EVENT else b""


def remove(target: str, name: str) -> None:
    """Raises OutsideError."""
    with _filesystem(target) as (fs, base):
        fs.rm_file(f"{base}/{name}")


@contextmanager
def _filesystem(target: str) -> Iterator[tuple[Any, str]]:
    """The file system of a folder or URL, and the path there. Whatever it raises becomes an OutsideError."""
    # Comes with DVC, and knows whatever storage DVC was installed for.
    import fsspec

    try:
        fs, base = fsspec.core.url_to_fs(target)
        yield fs, str(base).rstrip("/")
    except GitmlError:
        raise
    except Exception as exc:  # each kind of storage has errors of its own
        raise OutsideError(f"the outbox {target}: {exc}", "see whether it is there and may be used") from exc


def full_name(name: str, envelope: bytes) -> str:
    """The ledger's name of an outbox's file. Raises ValueError when it is none, or not the content's."""
    full = f"{name[:4]}/{name[4:6]}/{name}"
    why = wrong_name(full, envelope)
    if why:
        raise ValueError(f"{name[:200]!r} {why}")
    return full


@dataclass(frozen=True)
class DeploymentsPage:
    """The forge's deployments. Every failure is told to ``note`` and forgotten: serving does not depend on a forge."""

    deployments: Deployments
    url: str
    note: Callable[[str], None]

    def tell(self, news: News, agent: str) -> bool:
        """Whether the forge took it."""
        payload = {
            "gitml": "deployed",
            "model": news.model,
            "agent": agent,
            "blob": news.change.new,
            "digest": news.pin.digest,
            **pins_of(news.deployment),
        }
        new = NewDeployment(
            commit=news.change.commit,
            environment=news.environment,
            # What became of a canary is not what became of the champion.
            task=f"{'canary' if news.about else TASK}:{news.model}",
            description=f"{news.model} {news.pin.version}",
            payload=payload,
        )
        state = "success" if news.result == "passed" else "failure"
        try:
            made = self.deployments.create(new)
            self.deployments.say(made.id, DeploymentState(state, news.reason, self.url))
        except GitmlError as exc:
            self.note(f"not reported to the forge: {exc.message}")
            return False
        return True
