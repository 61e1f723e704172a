"""Orders for a server's process, and processes that follow them, without Git and without a forge."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agent.kit import SIGNATURE, sha256, trained
from deadly import Calm, Deadly
from gitml.agent.childlog import SERVER_LOG
from gitml.agent.childprocess import ChildPatience
from gitml.agent.confinement import Confinement
from gitml.agent.messages import BeginOrder, GivenVersion, ServeOrder
from gitml.agent.supervisor import Supervisor
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Record, name_of
from gitml.serving.listener import Listen, bound, url_of
from gitml.spec.deployment import Canary, Deployment, Pin, render_deployment


def given(model: str, artifact: Path, samples: Path | None = None) -> GivenVersion:
    """A version from files that lie here."""
    name = f"artifacts/{model}/{artifact.name}"
    files = {name: artifact, **({f"artifacts/{model}/samples.parquet": samples} if samples else {})}
    created = "2026-01-01T00:00:00Z"
    digest = external_digest(model, sha256(artifact), "a test")
    record = Record(
        model=model,
        version=name_of(digest, created),
        digest=digest,
        created=created,
        origin="external",
        source="a test",
        artifact=name,
        files={path: File(sha256=sha256(file), size=file.stat().st_size) for path, file in files.items()},
        signature=SIGNATURE,
        roles={"samples": f"artifacts/{model}/samples.parquet"} if samples else {},
    )
    return GivenVersion(record=record, files={path: str(file) for path, file in files.items()})


def order(*versions: GivenVersion, shadow: bool = False, **more: Any) -> ServeOrder:
    """Serve the first; the second is its shadow if ``shadow``."""
    pins = [Pin(version=v.record.version, digest=v.record.files[v.record.artifact].sha256) for v in versions]
    deployment = Deployment(champion=pins[0], shadow=tuple(pins[1:]) if shadow else ())
    first = versions[0].record
    return ServeOrder(
        name=first.model,
        deployment=render_deployment(deployment),
        commit="0" * 40,
        versions=versions,
        stored={"d": (first.artifact, "pickle")} if first.artifact.endswith(".joblib") else {},
        **more,
    )


def sound(cache: Path, model: str = "m", slope: float = 2.0) -> ServeOrder:
    """A linear model that answers slope · a + b."""
    return order(given(model, *trained(cache, model, slope)))


def deadly(cache: Path, model: Any = None) -> ServeOrder:
    """Serve an object of the module ``deadly`` as `d`."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "model.joblib").write_bytes(pickle.dumps(model or Deadly()))
    return order(given("d", cache / "model.joblib"), pickle=True)


def beside(cache: Path, weight: float) -> ServeOrder:
    """Serve an object of ``deadly`` that harms nobody as `d`, and one that raises as its canary."""
    cache.mkdir(parents=True, exist_ok=True)
    found = []
    for name, model in (("calm", Calm()), ("deadly", Deadly())):
        place = cache / name / "model.joblib"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(pickle.dumps(model))
        found.append(given("d", place))
    champion, canary = (Pin(version=v.record.version, digest=v.record.files[v.record.artifact].sha256) for v in found)
    wanted = Deployment(champion=champion, canary=Canary(**canary.model_dump(), weight=weight))
    first = order(*found, pickle=True)
    return first.model_copy(update={"deployment": render_deployment(wanted)})


@dataclass
class Apart:
    """A supervisor with a process that answers at ``url``."""

    supervisor: Supervisor
    url: str
    notes: list[str] = field(default_factory=list)

    def ask(self, model: str, a: float = 3.0, seconds: float = 30.0) -> float:
        """The answer to one row. Connections that come while no process is there wait for the next one."""
        body = {"rows": [{"a": a, "b": 0.0}]}
        answer = httpx.post(f"{self.url}/models/{model}/predict", json=body, timeout=seconds)
        assert answer.status_code == 200, answer.text
        return float(answer.json()["outputs"]["y"][0])


@contextmanager
def apart(
    folder: Path, patience: ChildPatience | None = None, log: str = "", program: str = "gitml.agent.child", **more: Any
) -> Iterator[Apart]:
    """A process that is there, and answers nothing yet."""
    notes: list[str] = []
    said = folder / SERVER_LOG
    confinement = Confinement(folder / "cache", folder / "server", log, program=program, said=said)
    listen = Listen(port=0, grace=2.0)
    begin = BeginOrder(environment="production", log=log, **more)
    listener: socket.socket = bound(listen)
    with Supervisor(begin, confinement, listener, note=notes.append, patience=patience) as supervisor:
        supervisor.start()
        yield Apart(supervisor, url_of(listen, listener), notes)
