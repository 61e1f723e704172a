"""What the tests of ``gitml reproduce`` share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conftest import TOY, commit, git, gitml, write
from conftest import dvc as dvc_command
from gitml.dvc.lockentries import Entry
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import name_of

# The toy with sample rows; `shift` moves the predictions by so much times a random number.
SAMPLED = {
    **TOY,
    "gitml.yaml": TOY["gitml.yaml"].replace("    charts:", "    samples: artifacts/m/samples.parquet\n    charts:"),
    "dvc.yaml": TOY["dvc.yaml"]
    .replace("      - artifacts/m/charts\n", "      - artifacts/m/charts\n      - artifacts/m/samples.parquet\n")
    .replace(
        "deps: [artifacts/m/model.onnx, evaluate.py]",
        "deps: [artifacts/m/model.onnx, evaluate.py]\n    params: [shift]",
    ),
    "params.yaml": TOY["params.yaml"].replace("noise: false", "noise: true") + "shift: 0\n",
    "evaluate.py": TOY["evaluate.py"]
    + """
import os, yaml, pyarrow, pyarrow.parquet
shift = yaml.safe_load(open("params.yaml"))["shift"] * int.from_bytes(os.urandom(2), "big")
rows = {"id": ["a", "b", "c"], "x": [1, 2, 3], "prediction": [value + shift, None, 0.25]}
pyarrow.parquet.write_table(pyarrow.table(rows), out / "samples.parquet")
""",
}


def start(folder: Path, files: dict[str, str], *, train: bool = True, dvc: str = ".") -> Path:
    """A repository of its own, trained and committed."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, files)
    git(folder, "init", "-q", "-b", "main")
    dvc_command(folder / dvc, "init")
    commit(folder, "start")
    if train:
        done = gitml(folder, "train")
        assert done.code == 0, done.err
        commit(folder, "train")
    return folder


def reproduce(root: Path, *words: str, environment: str = "current", **env: str) -> dict[str, Any]:
    done = gitml(root, "reproduce", "m", "--environment", environment, "--json", *words, env=env)
    assert done.code in (0, 1, 3), done.err
    found: dict[str, Any] = json.loads(done.out)
    assert found["exit_code"] == done.code
    assert {"successful": 0, "failed": 1, "inconclusive": 3}[found["phase"]] == done.code
    return found


def record_of(root: Path) -> Path:
    (path,) = (root / "models" / "m" / "versions").glob("*.json")
    return path


def edit(root: Path, change: Callable[[dict[str, Any]], None], *, renamed: bool = False) -> Path:
    """Change the record; with ``renamed`` its digest and name are made to fit again, as a forger would."""
    path = record_of(root)
    data = json.loads(path.read_bytes())
    change(data)
    if renamed:
        entries = {name: Entry.from_dict(raw) for name, raw in data["stages"].items()}
        data["digest"] = lineage_digest("m", entries)
        data["version"] = name_of(data["digest"], data["created"])
        path.unlink()
        path = path.with_name(f"{data['version']}.json")
    path.write_text(json.dumps(data, indent=1) + "\n")
    return path


def everything(root: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time of change and kind of every file of the clone, those of Git and DVC too."""
    found = {}
    for path in [root, *root.rglob("*")]:
        about = path.lstat()
        found[str(path.relative_to(root))] = (about.st_size, about.st_mtime_ns, oct(about.st_mode))
    return found
