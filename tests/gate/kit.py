"""A repository with two versions of a model, real records and a DVC remote, without training anything."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conftest import git
from gitml.control.mainline import Mainline
from gitml.dvc.lockentries import Content, Entry
from gitml.evidence.statement import Binding, SignedChange, Statement
from gitml.evidence.trust import Believed
from gitml.gate.facts import Sources
from gitml.gate.version import Shelf
from gitml.gates.facts import Commit, Person
from gitml.git.commands import Git
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import Record, name_of

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
REPOSITORY = "acme/flights"
FOLDER = "artifacts/delay"
APPLICATION = f"""\
application: flights
models:
  delay:
    artifact: {FOLDER}/model.skops
    metrics: {FOLDER}/metrics.json
    replicates: {FOLDER}/replicates.json
    signature: {FOLDER}/signature.json
    slices: {FOLDER}/slices.json
    better: {{auc: higher}}
bias:
  delay:
    groups: {{table: $GROUPS, unit: person, sex: sex, race: race}}
    output: p
    source: All flights.
    audited: {{on: 2026-03-02, by: Example Auditors, report: "https://example.com/audit"}}
"""
POLICY = """\
roles:
  operations: {people: [olga]}
environments:
  staging: {approvals: {operations: 1}}
  production:
    approvals: {operations: 1}
    gates:
      format: [skops]
      metrics: {auc: {at_least: 0.65}}
      champion: {auc: {margin: 0.01}}
      signature: compatible
      data_age: 60d
      size: 1MB
      slices: [{column: origin, metric: auc, at_least: 0.6, min_rows: 100}]
"""


def skops(words: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("schema.json", json.dumps({"__class__": "Model", "words": words}))
    return stream.getvalue()


def files_of(auc: float, artifact: bytes) -> dict[str, bytes]:
    replicates = [round(auc + 0.001 * (i - 10), 6) for i in range(21)]
    column = {"name": "carrier", "type": "string", "categories": ["AA"]}
    texts: dict[str, Any] = {
        "metrics.json": {"auc": {"value": auc, "low": auc - 0.01, "high": auc + 0.01}},
        "replicates.json": {"rows_digest": "sha256:rows", "seed": 7, "replicates": {"auc": replicates}},
        "signature.json": {
            "inputs": [column],
            "outputs": [{"name": "p", "type": "float64"}],
            "data_until": "2026-10-31",
        },
        "slices.json": [{"column": "origin", "value": "JFK", "rows": 500, "metrics": {"auc": auc}}],
    }
    found = {f"{FOLDER}/{name}": json.dumps(value).encode() for name, value in texts.items()}
    return {**found, f"{FOLDER}/model.skops": artifact}


def record_of(created: str, auc: float, files: dict[str, bytes]) -> Record:
    md5 = {path: hashlib.md5(raw, usedforsecurity=False).hexdigest() for path, raw in files.items()}
    outs = tuple(sorted(Content(path, f"md5:{md5[path]}", len(raw)) for path, raw in files.items()))
    code = Content("train.py", f"md5:{hashlib.md5(created.encode(), usedforsecurity=False).hexdigest()}", 3)
    entry = Entry(("python train.py",), (code,), {"params.yaml": {"rate": auc}}, outs)
    digest = lineage_digest("delay", {"train": entry})
    roles = {role: f"{FOLDER}/{role}.json" for role in ("metrics", "replicates", "signature", "slices")}
    shas = {p: {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)} for p, raw in files.items()}
    return Record.model_validate(
        {
            "model": "delay",
            "version": name_of(digest, created),
            "digest": digest,
            "created": created,
            "origin": "ci",
            "artifact": f"{FOLDER}/model.skops",
            "files": shas,
            "metrics": {"auc": {"value": auc, "low": auc - 0.01, "high": auc + 0.01}},
            "roles": roles,
            "stages": {"train": entry.to_dict()},
        }
    )


@dataclass
class Scene:
    """``old`` runs in production, ``new`` in staging; ``remote`` is a DVC remote with both artifacts."""

    root: Path
    old: Record
    new: Record
    remote: Path

    @property
    def base(self) -> str:
        return git(self.root, "rev-parse", "main")

    @property
    def main(self) -> Mainline:
        return Mainline(Git(self.root), self.base)

    def write(self, path: str, content: str | bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, message: str = "x") -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "-q", "-m", message)
        return git(self.root, "rev-parse", "HEAD")

    def branch(self, files: dict[str, str | bytes | None]) -> str:
        """A commit on a branch of its own with these files (None: deleted); main is checked out again."""
        git(self.root, "switch", "-q", "-c", f"b{len(git(self.root, 'branch').splitlines())}", "main")
        for path, content in files.items():
            if content is None:
                (self.root / path).unlink()
            else:
                self.write(path, content)
        head = self.commit("promote")
        git(self.root, "switch", "-q", "main")
        return head

    def add(self, files: dict[str, bytes], *, written: dict[str, bytes] | None = None, metrics: Any = None) -> Record:
        """One more version on main, with ``files`` in place of its own; ``written`` lie there instead."""
        all_files = {**files_of(0.71, skops("other")), **{f"{FOLDER}/{n}": raw for n, raw in files.items()}}
        record = record_of("2026-11-24T13:00:00Z", 0.71, all_files)
        if metrics is not None:
            record = Record.model_validate({**record.model_dump(), "metrics": metrics})
        there = {**all_files, **{f"{FOLDER}/{n}": raw for n, raw in (written or {}).items()}}
        for path, raw in there.items():
            if path != record.artifact:
                self.write(path, raw)
        self.write(f"models/delay/versions/{record.version}.json", record.to_json())
        self.commit(record.version)
        return record

    def pin(self, record: Record) -> str:
        return f"{{version: {record.version}, digest: {record.files[record.artifact].sha256}}}"

    def sources(self, *believed: Believed, **changes: Any) -> Sources:
        main = self.main
        shelf = Shelf(main, main.application(), changes.pop("depot", None))
        start: dict[str, Any] = {
            "shelf": shelf,
            "repository": REPOSITORY,
            "now": NOW,
            "policy": main.policy(),
            "believed": believed,
            "lineage": lambda record, champion, environment: (Commit("c" * 40, (Person("ada", 1),)),),
        }
        return Sources(**{**start, **changes})


def believed(kind: str, record: Record, reason: str = "", change: SignedChange | None = None, **more: Any) -> Believed:
    details = more.pop("details", {})
    about = Binding(
        kind=kind,  # type: ignore[arg-type]
        repository=REPOSITORY,
        time=more.pop("time", "2026-11-24T12:00:00Z"),
        model=record.model,
        version=record.version,
        artifact=record.files[record.artifact].sha256,
        change=change,
        **more,
    )
    return Believed(Statement(about, details), "ci", reason)


def new_scene(folder: Path) -> Scene:
    root, remote = folder / "repo", folder / "remote"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    artifacts = {"old": skops("old"), "new": skops("new")}
    old = record_of("2026-11-01T12:00:00Z", 0.70, files_of(0.70, artifacts["old"]))
    new = record_of("2026-11-24T12:00:00Z", 0.71, files_of(0.71, artifacts["new"]))
    scene = Scene(root, old, new, remote)
    for path, text in {"gitml.yaml": APPLICATION, "policy.yaml": POLICY, "train.py": "1"}.items():
        scene.write(path, text)
    for auc, record in ((0.70, old), (0.71, new)):
        for path, raw in files_of(auc, b"").items():
            if path != record.artifact:
                scene.write(path, raw)
        scene.write(f"models/delay/versions/{record.version}.json", record.to_json())
        scene.commit(record.version)
    scene.write("models/delay/production.yaml", f"champion: {scene.pin(old)}\n")
    scene.write("models/delay/staging.yaml", f"champion: {scene.pin(new)}\n")
    scene.commit("deployed")
    for raw in artifacts.values():
        md5 = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        (remote / "files" / "md5" / md5[:2]).mkdir(parents=True, exist_ok=True)
        (remote / "files" / "md5" / md5[:2] / md5[2:]).write_bytes(raw)
    return scene
