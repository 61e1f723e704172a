"""The sites of four roles: 10 models × 200 versions. Bars: 5 seconds of CPU, 15 MB, no page over 1 MB."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gitml.dvc.lockentries import Content, Entry
from gitml.registry import Record, lineage_digest, write_record
from gitml.registry.record import name_of
from gitml.spec import Deployment, render_deployment
from gitml.spec.deployment import Pin

MODELS, VERSIONS = 10, 200
ROLES = ("science", "engineering", "operations", "business")
# What people of each need; the first sees everything.
VIEWS = {
    "engineering": "models, data, monitors, changes",
    "operations": "operations, deployments, changes, monitors, models, approvals",
    "business": "inventory, kpis, approvals, audit, policy, changes",
}
COLUMNS = [f"column_{number}" for number in range(12)]


def repository(root: Path, models: int = MODELS, versions: int = VERSIONS) -> None:
    """A commit for each tenth version, and a deployment with each."""
    names = [f"model-{number}" for number in range(models)]
    outs = "artifact: out/{0}.onnx, metrics: out/{0}.json, better: {{auc: higher}}"
    spec = ["application: bench", "models:", *(f"  {name}: {{{outs.format(name)}}}" for name in names)]
    roles = "".join(f"  {role}: {{people: [ada]}}\n" for role in ROLES)
    (root / "gitml.yaml").write_text("\n".join(spec) + "\n")
    views = "".join(f"  {role}: {{pages: [{pages}]}}\n" for role, pages in VIEWS.items())
    places = "environments:\n  staging: {}\n  production: {}\n"
    (root / "policy.yaml").write_text(f"roles:\n{roles}{places}views:\n{views}")
    stages = "".join(_stage(name) for name in names)
    (root / "dvc.yaml").write_text(f"stages:\n{stages}")
    _git(root, "init", "-q", "-b", "main")
    for number in range(versions):
        for name in names:
            record = _record(name, number)
            write_record(root, record)
            if number % 10 == 9:
                _deploy(root, record, "production" if number % 20 == 19 else "staging")
        if number % 10 == 9:
            _git(root, "add", "-A")
            _git(root, "commit", "-q", "-m", f"Versions up to {number}")


def _stage(name: str) -> str:
    return f"  {name}-train: {{cmd: train, deps: [data/{name}], outs: [out/{name}.onnx]}}\n"


def _deploy(root: Path, record: Record, environment: str) -> None:
    pin = Pin(version=record.version, digest=record.files[record.artifact].sha256)
    (root / "models" / record.model / f"{environment}.yaml").write_text(render_deployment(Deployment(champion=pin)))


def _record(model: str, number: int) -> Record:
    """As a pipeline of four stages leaves it."""
    names = ("ingest", "prepare", "train", "evaluate")
    stages = {name: _entry(model, name, number) for name in names}
    digest = lineage_digest(model, stages)
    created = f"{datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number):%Y-%m-%dT%H:%M:%SZ}"
    artifact = f"out/{model}.onnx"
    inputs = [{"name": name, "type": "double"} for name in COLUMNS]
    signature = {"inputs": inputs, "outputs": [{"name": "p", "type": "double"}]}
    return Record.model_validate(
        {
            "model": model,
            "version": name_of(digest, created),
            "digest": digest,
            "created": created,
            "origin": "ci",
            "commit": f"{number:040x}",
            "artifact": artifact,
            "files": {
                artifact: {"sha256": f"{number:064x}", "size": 1_000_000},
                "data/features": {
                    "sha256": f"{number:064x}",
                    "size": 8_000_000,
                    "rows": 100_000 + number,
                    "missing": {},
                },
            },
            "metrics": {f"metric_{i}": {"value": 0.5, "low": 0.4, "high": 0.6} for i in range(9)}
            | {"auc": {"value": 0.7 + number / 1e5, "low": 0.6, "high": 0.8}},
            "signature": signature,
            "stages": {name: entry.to_dict() for name, entry in stages.items()},
        }
    )


def _entry(model: str, name: str, number: int) -> Entry:
    code = Content(f"pipelines/{name}.py", f"md5:{number:032x}", 1000)
    out = Content(f"out/{model}.onnx" if name == "train" else f"data/{name}", f"md5:{number + 7:032x}", 1000)
    params = {"params.yaml": {f"{name}.rate": number, f"{name}.depth": 6}}
    return Entry((f"python pipelines/{name}.py",), (code,), params, (out,))


def _git(root: Path, *words: str) -> None:
    who = {f"GIT_{role}_{key}": "bench" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    subprocess.run(["git", *words], cwd=root, check=True, env={**os.environ, **who})


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "app"
        root.mkdir()
        repository(root)
        out = Path(name) / "sites"
        words = [sys.executable, "-m", "gitml", "site", "build", "--offline", "--out", str(out)]
        before = os.times()
        subprocess.run([*words, *(f"--role={role}" for role in ROLES)], cwd=root, check=True, stderr=subprocess.DEVNULL)
        after = os.times()
        spent = after.children_user - before.children_user + after.children_system - before.children_system
        sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
        print(f"{MODELS} models × {VERSIONS} versions × {len(ROLES)} roles: {spent:.2f} s CPU (bar 5)")
        print(
            f"{sum(sizes) / 1e6:.1f} MB in {len(sizes)} files (bar 15), largest {max(sizes) / 1e3:.0f} kB (bar 1,000)"
        )


if __name__ == "__main__":
    main()
