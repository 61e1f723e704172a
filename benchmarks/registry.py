"""`gitml models` and `gitml show` on 5,000 versions, `gitml --help` against importing click."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.timing import in_turn
from gitml.dvc.lockentries import Content, Entry
from gitml.registry import Record, lineage_digest, write_record
from gitml.registry.record import name_of

SPEC = """\
application: bench
models:
  m: {artifact: out/model.onnx, metrics: out/metrics.json, better: {auc: higher}}
"""


def write_versions(root: Path, count: int) -> None:
    """Records like those of a pipeline with four stages, a minute apart."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(count):
        stages = _stages(number)
        digest = lineage_digest("m", stages)
        created = f"{start + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}"
        files = {c.path: {"sha256": _hex(c.path, number), "size": 1000} for e in stages.values() for c in e.outs}
        record = Record.model_validate(
            {
                "model": "m",
                "version": name_of(digest, created),
                "digest": digest,
                "created": created,
                "origin": "ci",
                "commit": _hex("commit", number)[:40],
                "artifact": "out/model.onnx",
                "files": files,
                "metrics": {f"metric_{i}": {"value": 0.5, "low": 0.4, "high": 0.6} for i in range(9)}
                | {"auc": {"value": 0.7 + number / 1e5, "low": 0.6, "high": 0.8}},
                "stages": {name: entry.to_dict() for name, entry in stages.items()},
            }
        )
        write_record(root, record)


def _stages(number: int) -> dict[str, Entry]:
    names = ("ingest", "prepare", "train", "evaluate")
    outs = {"ingest": ("data/raw",), "prepare": ("data/features",), "train": ("out/model.onnx",)}
    last = ("out/metrics.json", "out/charts", "out/samples.parquet", "out/slices.json")
    return {
        name: Entry(
            (f"python pipelines/{name}.py",),
            tuple(_content(f"pipelines/{name}.py", number, i) for i in range(1)),
            {"params.yaml": {"train.rate": number, "train.depth": 6}},
            tuple(_content(path, number, 1) for path in outs.get(name, last)),
        )
        for name in names
    }


def _content(path: str, number: int, salt: int) -> Content:
    return Content(path, f"md5:{_hex(path, number, salt)[:32]}", 1000)


def _hex(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "gitml.yaml").write_text(SPEC)
        write_versions(root, 5000)
        gitml = [sys.executable, "-m", "gitml"]
        times = in_turn(
            {
                "import click": [sys.executable, "-c", "import click"],
                "gitml --help": [*gitml, "--help"],
                "gitml models (5,000 versions)": [*gitml, "models"],
                "gitml models m --all (5,000 versions)": [*gitml, "models", "m", "--all"],
                "gitml show m (5,000 versions)": [*gitml, "show", "m"],
            },
            cwd=root,
        )
    base = times["import click"].wall
    for label, timing in times.items():
        print(
            f"{label:40} {timing.wall:6.3f} s wall  {timing.cpu:6.3f} s CPU  {timing.wall / base:5.2f} × import click"
        )


if __name__ == "__main__":
    main()
