"""An application whose models are trained on people: three versions, of which the first and the third saw Ada."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from conftest import commit, dvc, git, gitml, packed, write
from gitml.governance.subjectids import new_key

ADA, BOB = "Ada.Lovelace@example.com", "bob@example.com"
# What nobody else has: it may be nowhere after an erasure.
MARK = "ada-lives-in-marylebone"
KEYS = new_key("2026a")
ENV = {"SUBJECT_KEYS": KEYS}

FILES = {
    "gitml.yaml": """\
application: people
private: [street]
traffic: {at: traffic}
subjects:
  data:
    data/people.parquet: [email]
    data/clean: [email]
models:
  m:
    artifact: artifacts/m/model.onnx
    metrics: artifacts/m/metrics.json
    better: {accuracy: higher}
""",
    "dvc.yaml": """\
stages:
  clean:
    cmd: python clean.py
    deps: [data/people.parquet, clean.py]
    outs: [data/clean]
  train:
    cmd: python train.py
    deps: [data/clean, train.py]
    outs: [artifacts/m/model.onnx]
    metrics:
      - artifacts/m/metrics.json: {cache: false}
""",
    "clean.py": """\
import os, pathlib, pandas
assert "SUBJECT_KEYS" not in os.environ
rows = pandas.read_parquet("data/people.parquet")
pathlib.Path("data/clean").mkdir(exist_ok=True)
for half in (0, 1):
    rows[rows["age"] % 2 == half].to_parquet(f"data/clean/{half}.parquet", index=False)
""",
    "train.py": """\
import json, pathlib, pandas
ages = pandas.concat([pandas.read_parquet(f)["age"] for f in sorted(pathlib.Path("data/clean").glob("*"))])
out = pathlib.Path("artifacts/m")
out.mkdir(parents=True, exist_ok=True)
(out / "model.onnx").write_text(str(ages.sum()))
(out / "metrics.json").write_text(json.dumps({"accuracy": 1 / len(ages)}))
""",
    ".gitignore": "__pycache__/\n/traffic/\n",
}


def people(folder: Path, *names: str) -> None:
    """The table that comes in from outside. Everybody's age is the length of the address."""
    mark = {True: MARK, False: "x"}
    rows = [{"email": n, "age": len(n), "street": mark[n.startswith(("Ada", "ADA"))]} for n in names]
    folder.joinpath("data").mkdir(exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), folder / "data/people.parquet")


def trained_on(folder: Path, *names: str) -> str:
    """A version trained on these people, committed and pushed to the remote; its name."""
    people(folder, *names)
    dvc(folder, "add", "data/people.parquet")
    done = gitml(folder, "train", env=ENV)
    assert done.code == 0, done.err
    commit(folder, f"{len(names)} people")
    dvc(folder, "push")
    return sorted((folder / "models/m/versions").glob("*.json"))[-1].stem


def built(folder: Path) -> tuple[str, ...]:
    """The application at ``folder``; its three versions. The first runs in production, the third is the canary."""
    folder.mkdir()
    write(folder, FILES)
    git(folder, "init", "-q", "-b", "main")
    dvc(folder, "init")
    dvc(folder, "remote", "add", "-d", "store", str(folder.parent / "store"))
    others = [f"somebody-{number}@example.com" for number in range(12)]
    versions = (
        trained_on(folder, ADA, BOB, *others),
        trained_on(folder, BOB, *others),
        trained_on(folder, BOB, ADA.upper(), *others[1:]),
    )
    first, _, third = versions
    digest = "0" * 64
    state = f'champion: {{version: {first}, digest: "{digest}"}}\n'
    state += f'canary: {{version: {third}, digest: "{digest}", weight: 10}}\n'
    write(folder, {"models/m/production.yaml": state})
    commit(folder, "deploy")
    return versions


def copied(template: Path, tmp_path: Path) -> Path:
    """A copy of the application with its remote."""
    shutil.copytree(template.parent / "store", tmp_path / "store")
    folder = Path(shutil.copytree(template, tmp_path / "app", symlinks=True))
    config = folder / ".dvc/config"
    config.write_text(config.read_text().replace(str(template.parent), str(tmp_path)))
    git(folder, "commit", "-qam", "another remote")
    return folder


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
__all__ = ["ADA", "BOB", "ENV", "KEYS", "MARK", "NOW", "built", "copied", "packed", "people", "trained_on"]
