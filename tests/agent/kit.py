"""A world for agents: a bare repository as the forge has it, a DVC remote on disk, versions, and signed evidence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from conftest import commit, git, write
from gitml.evidence.dsse import sign
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import Binding, SignedChange, Statement, to_payload
from gitml.git.ledger import append, event_name
from gitml.git.orphan import Remote
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Record, name_of

REPOSITORY = "ada/flights"
SIGNATURE = {
    "inputs": [{"name": "a", "type": "float64"}, {"name": "b", "type": "float64"}],
    "outputs": [{"name": "y", "type": "float64"}],
}
GITML = """\
application: toy
models:
  m: {origin: external, artifact: artifacts/m/model.skops, metrics: artifacts/m/metrics.json}
  n: {origin: external, artifact: artifacts/n/model.skops, metrics: artifacts/n/metrics.json}
  o: {origin: external, artifact: artifacts/o/model.onnx, metrics: artifacts/o/metrics.json}
  e: {origin: external, artifact: artifacts/e/ensemble.yaml, format: ensemble, metrics: artifacts/e/metrics.json}
"""


@cache
def keys() -> dict[str, tuple[str, str]]:
    """Name → private and public key; made once."""
    return {name: generate(name) for name in ("gate", "agent", "stranger")}


def key(name: str = "gate") -> SigningKey:
    return signing_key(keys()[name][0])


def policy(**more: Any) -> str:
    purposes = {
        "gate": ["trained", "evaluated", "gate", "approved", "promoted", "rolled-back", "overridden"],
        "agent": ["deployed"],
    }
    return yaml.safe_dump(
        {
            "roles": {"operations": {"people": ["olga"]}},
            "environments": {
                "staging": {"approvals": {"operations": 1}},
                "production": {"approvals": {"operations": 1}},
            },
            "keys": {
                name: {"public": keys()[name][1], "owner": name, "purposes": kinds, "from": "2020-01-01"}
                for name, kinds in purposes.items()
            },
            **more,
        },
        sort_keys=False,
    )


@dataclass
class World:
    """``forge`` is the bare repository, ``clone`` a person's, ``store`` the DVC remote."""

    folder: Path
    versions: dict[str, Record] = field(default_factory=dict)

    @property
    def forge(self) -> Path:
        return self.folder / "forge.git"

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def remote(self) -> Remote:
        return Remote(str(self.forge))

    def begin(self) -> World:
        git(self.folder, "init", "-q", "--bare", "-b", "main", str(self.forge))
        git(self.folder, "clone", "-q", str(self.forge), str(self.clone))
        git(self.clone, "checkout", "-q", "-b", "main")
        config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {self.store}\n"
        write(self.clone, {"gitml.yaml": GITML, "policy.yaml": policy(), ".dvc/config": config})
        self.push("begin")
        return self

    def push(self, message: str = "change") -> str:
        made = commit(self.clone, message) if git(self.clone, "status", "--porcelain") else self.tip
        git(self.clone, "push", "-q", "origin", "main")
        return made

    @property
    def tip(self) -> str:
        return git(self.clone, "rev-parse", "HEAD")

    def version(self, slope: float, model: str = "m", *, minute: int | None = None) -> str:
        """A version on main whose model answers slope·a + b, with its artifact and samples in the DVC remote."""
        artifact, samples = trained(self.folder / "made", model, slope)
        return self._record(model, f"slope {slope}", artifact, samples, minute)

    def bought(self, artifact: Path, slope: float, model: str = "o") -> str:
        """A version on main from a file that somebody hands in, with the sample rows of slope·a + b."""
        return self._record(model, artifact.stem, artifact, sample_rows(artifact.parent, slope), None)

    def ensemble(self, *versions: str) -> str:
        """A version of the model `e` that answers with the mean of ``versions``."""
        records = [self.versions[name] for name in versions]
        members = [
            {"model": r.model, "version": r.version, "digest": r.files[r.artifact].sha256, "name": f"x{n}"}
            for n, r in enumerate(records)
        ]
        place = self.folder / "made" / "e"
        place.mkdir(parents=True, exist_ok=True)
        (place / "ensemble.yaml").write_text(yaml.safe_dump({"ensemble": "mean", "members": members}), "utf-8")
        slopes = [float((r.source or "").removeprefix("slope ")) for r in records]
        samples = sample_rows(place, sum(slopes) / len(slopes))
        return self._record("e", f"mean of {', '.join(versions)}", place / "ensemble.yaml", samples, None)

    def _record(self, model: str, source: str, artifact: Path, samples: Path, minute: int | None) -> str:
        name = f"artifacts/{model}/{artifact.name}"
        files = {name: artifact, f"artifacts/{model}/samples.parquet": samples}
        minute = len(self.versions) if minute is None else minute
        created = f"2026-01-01T00:{minute // 60:02}:{minute % 60:02}Z"
        digest = external_digest(model, sha256(artifact), source)
        record = Record(
            model=model,
            version=name_of(digest, created),
            digest=digest,
            created=created,
            origin="external",
            source=source,
            artifact=name,
            files={
                path: File(sha256=sha256(file), size=file.stat().st_size, dvc=f"md5:{self.keep(file)}")
                for path, file in files.items()
            },
            signature=SIGNATURE,
            roles={"samples": f"artifacts/{model}/samples.parquet"},
        )
        write(self.clone, {f"models/{model}/versions/{record.version}.json": record.to_json()})
        self.push(f"version {record.version}")
        self.versions[record.version] = record
        return record.version

    def keep(self, path: Path) -> str:
        """Put a file into the DVC remote; its MD5."""
        raw = path.read_bytes()
        md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        target = self.object(md5)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(raw)
        return md5

    def object(self, md5: str) -> Path:
        return self.store / "files" / "md5" / md5[:2] / md5[2:]

    def artifact(self, version: str) -> Path:
        """The model of a version in the DVC remote."""
        record = self.versions[version]
        return self.object((record.files[record.artifact].dvc or "").removeprefix("md5:"))

    def desired(self, champion: str, **more: Any) -> dict[str, Any]:
        return {"champion": self.pin(champion), **more}

    def pin(self, version: str, **more: Any) -> dict[str, Any]:
        record = self.versions[version]
        return {"version": version, "digest": record.files[record.artifact].sha256, **more}

    def merge(self, content: str, model: str = "m", environment: str = "production") -> Merged:
        """A pull request that writes the deployment file, merged; no evidence yet."""
        path = f"models/{model}/{environment}.yaml"
        base = self.tip
        old = git(self.clone, "rev-parse", f"HEAD:{path}", check=False) if (self.clone / path).exists() else ""
        git(self.clone, "checkout", "-q", "-b", "pull")
        write(self.clone, {path: content})
        head = commit(self.clone, f"promote {model}")
        git(self.clone, "checkout", "-q", "main")
        git(self.clone, "merge", "-q", "--no-ff", "-m", "merge", "pull")
        git(self.clone, "branch", "-q", "-D", "pull")
        self.push()
        return Merged(path, old, git(self.clone, "rev-parse", f"HEAD:{path}"), base, head, self.tip, model, environment)

    def say(self, kind: str, merged: Merged, **more: Any) -> str:
        """Sign one statement about a change and append it; ``more`` as for ``signed``."""
        name, envelope = self.signed(kind, merged, **more)
        append(self.remote, {name: envelope})
        return name

    def signed(
        self, kind: str, merged: Merged, *, by: str = "gate", details: Mapping[str, Any] | None = None, **more: Any
    ) -> tuple[str, bytes]:
        """A statement about a change, with its name; ``more`` replaces parts of the binding."""
        raw = git(self.clone, "show", f"{merged.base}:policy.yaml") + "\n"
        parts: dict[str, Any] = {
            "repository": REPOSITORY,
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "model": merged.model,
            "environment": merged.environment,
            "change": SignedChange(path=merged.path, old=merged.old, new=merged.new),
            "head": merged.head,
            "base": merged.base,
            "policy": hashlib.sha256(raw.encode()).hexdigest(),
            "by": "olga",
            **more,
        }
        statement = Statement(Binding(kind=kind, **parts), details or {})  # type: ignore[arg-type]
        envelope = sign(to_payload(statement), key(by))
        return event_name(parts["time"], kind, envelope), envelope

    def promote(self, champion: str, model: str = "m", environment: str = "production", **more: Any) -> Merged:
        """All that a promotion leaves: the merge, and its evidence."""
        merged = self.merge(yaml.safe_dump(self.desired(champion, **more)), model, environment)
        self.tell(merged, "gate", "approved")
        return merged

    def tell(self, merged: Merged, *kinds: str) -> None:
        """Several statements at once."""
        append(self.remote, dict(self.signed(kind, merged) for kind in kinds))

    def rollback(self, champion: str, model: str = "m", environment: str = "production", **more: Any) -> Merged:
        until = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        merged = self.promote(
            champion, model, environment, hold={"by": "olga", "reason": "broken", "until": until}, **more
        )
        self.say("rolled-back", merged)
        return merged


@dataclass(frozen=True)
class Merged:
    path: str
    old: str
    new: str
    base: str
    head: str
    commit: str
    model: str
    environment: str


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained(folder: Path, model: str, slope: float) -> tuple[Path, Path]:
    """A linear model slope·a + b as skops, and ten sample rows with its answers."""
    import skops.io
    from sklearn.linear_model import LinearRegression

    place = folder / f"{model}-{slope}"
    place.mkdir(parents=True, exist_ok=True)
    made = LinearRegression()
    made.coef_, made.intercept_, made.n_features_in_ = np.array([slope, 1.0]), 0.0, 2
    skops.io.dump(made, place / "model.skops")
    return place / "model.skops", sample_rows(place, slope)


def sample_rows(folder: Path, slope: float) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    a, b = np.arange(10.0), np.arange(10.0) / 2
    parquet.write_table(pa.table({"a": a, "b": b, "y": slope * a + b}), folder / "samples.parquet")
    return folder / "samples.parquet"


def template(folder: Path, made: Path) -> World:
    """A copy of the world at ``made``, usable: its URLs are put right."""
    shutil.copytree(made, folder, symlinks=True)
    world = World(folder)
    config = world.clone / ".git" / "config"
    config.write_text(config.read_text(encoding="utf-8").replace(str(made), str(folder)), encoding="utf-8")
    own = world.clone / ".dvc" / "config"
    own.write_text(own.read_text(encoding="utf-8").replace(str(made), str(folder)), encoding="utf-8")
    world.push("another store")
    for path in sorted((world.clone / "models").glob("*/versions/*.json")):
        record = Record.model_validate_json(path.read_bytes())
        world.versions[record.version] = record
    return world


def told(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
