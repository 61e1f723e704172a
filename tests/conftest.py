"""Real repositories for tests: one template built once, a copy for each test."""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import pytest
from hypothesis import HealthCheck, settings

from forkserver import call, needs_new_interpreter

# A busy machine makes examples slow, not wrong.
settings.register_profile("gitml", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("gitml"), max_examples=400)  # make test-nightly
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gitml"))

# With a test in each core, threads that wait for each other burn a second core; no result depends on their number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# An interpreter that may not keep what it compiled compiles all of gitml again for every command that a test runs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_STARTUP = str(Path(__file__).parent / "startup")
if _STARTUP not in os.environ.get("PYTHONPATH", ""):
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_STARTUP, os.environ.get("PYTHONPATH"))))
# This process may have started without it, the processes that run tests did not.
importlib.import_module("startup.sitecustomize")
# Half a million objects that live to the end are made before the first test: to look through them again and again for
# garbage is a tenth of what collecting the tests costs.
gc.set_threshold(50_000, 20, 50)

DATA = Path(__file__).parent / "data"
# No upkeep after each commit and fetch, and no samples of hooks to copy: a third of what Git costs here.
QUICK_GIT = {"GIT_CONFIG_GLOBAL": f"{_STARTUP}/gitconfig", "GIT_TEMPLATE_DIR": f"{_STARTUP}/repository"}


def pytest_collection_finish() -> None:
    """No collection of garbage looks at modules and tests again."""
    gc.freeze()


def git(folder: Path, *words: str, check: bool = True) -> str:
    """A git that knows nothing of the machine's own configuration."""
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        **QUICK_GIT,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
    }
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def packed(folder: Path) -> Path:
    """``folder`` with each Git repository in it as few files: a copy takes a fifth of the time."""
    for objects in [place for place in folder.rglob("objects") if (place.parent / "HEAD").is_file()]:
        git(objects.parent, "-c", "gc.writeCommitGraph=false", "gc", "-q")
    return folder


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def at_home() -> dict[str, str]:
    """The environment of a person's machine: no CI, and none of Git's variables."""
    return {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("GIT_")}


def gitml(folder: Path, *words: str, env: dict[str, str] | None = None, timeout: float = 120) -> Ran:
    """The command as users call it, in a process of its own, outside CI unless ``env`` says otherwise."""
    return program(
        folder, "gitml", *words, env={**at_home(), "GIT_CONFIG_GLOBAL": os.devnull, **(env or {})}, timeout=timeout
    )


def program(folder: Path, *words: str, env: dict[str, str], timeout: float = 120) -> Ran:
    """``gitml`` or ``dvc``: a fork of a process that has imported them, or a new one where that makes a difference."""
    if not needs_new_interpreter(words, env):
        return Ran(*call(words, folder, env, timeout))
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def dvc(folder: Path, *words: str) -> None:
    """``dvc WORDS…``; what only writes files of settings is done without the second that its start takes."""
    if words[0] == "init":
        settings = {
            ".dvc/config": "[core]\n    analytics = false\n",
            ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        }
        write(folder, {**settings, ".dvcignore": "# patterns of files that DVC leaves out\n"})
    elif words[:3] == ("remote", "add", "-d"):
        name, url = words[3:]
        place = url if url.startswith("/") else f"../{url}"  # DVC counts from its own folder
        config = (folder / ".dvc/config").read_text(encoding="utf-8") or "[core]\n"
        added = f"{config}    remote = {name}\n['remote \"{name}\"']\n    url = {place}\n"
        (folder / ".dvc/config").write_text(added, encoding="utf-8")
    else:
        done = dvc_ran(folder, *words, "-q")
        assert done.code == 0, done.err


def dvc_ran(folder: Path, *words: str) -> Ran:
    return program(folder, "dvc", *words, env=dict(os.environ))


def commit(folder: Path, message: str, paths: Sequence[str] = (".",)) -> str:
    git(folder, "add", "--", *paths)
    git(folder, "commit", "-qm", message)
    return git(folder, "rev-parse", "HEAD")


# A pipeline of three stages in plain Python: fast, and deterministic unless `noise` is set.
TOY = {
    "gitml.yaml": """\
application: toy
models:
  m:
    artifact: artifacts/m/model.onnx
    metrics: artifacts/m/metrics.json
    replicates: artifacts/m/replicates.json
    charts: artifacts/m/charts
    better: {accuracy: higher, loss: lower}
""",
    "dvc.yaml": """\
stages:
  ingest:
    cmd: python ingest.py
    deps: [ingest.py]
    params: [rows]
    outs: [data]
  train:
    cmd: python train.py
    deps: [data, train.py]
    params: [rate, noise]
    outs: [artifacts/m/model.onnx]
  evaluate:
    cmd: python evaluate.py
    deps: [artifacts/m/model.onnx, evaluate.py]
    outs:
      - artifacts/m/charts
      - artifacts/m/replicates.json: {cache: false}
    metrics:
      - artifacts/m/metrics.json: {cache: false}
""",
    "params.yaml": "rows: 20\nrate: 0.5\nnoise: false\n",
    "ingest.py": """\
import pathlib, yaml
rows = yaml.safe_load(open("params.yaml"))["rows"]
pathlib.Path("data").mkdir(exist_ok=True)
pathlib.Path("data/rows.txt").write_text("".join(f"{i}\\n" for i in range(rows)))
pathlib.Path("data/über uns.txt").write_text("names with spaces\\n")
print("ingested", rows)
""",
    "train.py": """\
import os, pathlib, uuid, yaml
params = yaml.safe_load(open("params.yaml"))
total = sum(int(line) for line in open("data/rows.txt"))
salt = uuid.uuid4().hex if params["noise"] else ""
pathlib.Path("artifacts/m").mkdir(parents=True, exist_ok=True)
pathlib.Path("artifacts/m/model.onnx").write_text(f"{params['rate'] * total} {salt}")
print("trained")
""",
    "evaluate.py": """\
import json, pathlib, random
value = float(open("artifacts/m/model.onnx").read().split()[0])
accuracy = value / (value + 100)
random.seed(1)
noise = [random.gauss(0, 0.01) for _ in range(100)]
out = pathlib.Path("artifacts/m")
(out / "charts").mkdir(exist_ok=True)
(out / "charts" / "roc.vl.json").write_text("{}")
spread = {"value": accuracy, "low": accuracy - 0.02, "high": accuracy + 0.02}
(out / "metrics.json").write_text(json.dumps({"accuracy": spread, "loss": 1 - accuracy}))
replicates = {"accuracy": [accuracy + n for n in noise], "loss": [1 - accuracy - n for n in noise]}
(out / "replicates.json").write_text(json.dumps({"rows_digest": "sha256:1", "seed": 1, "replicates": replicates}))
""",
    ".gitignore": "__pycache__/\n/sub/\n",
}


@pytest.fixture(scope="session")
def toy_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write(folder, TOY)
    git(folder, "init", "-q", "-b", "main")
    dvc(folder, "init")
    commit(folder, "start")
    return packed(folder)


@pytest.fixture(scope="session")
def trained_template(toy_template: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Made once for all processes that run tests; nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "trained" / "app"
    with filelock.FileLock(folder.parent.with_suffix(".lock")):
        if not folder.exists():
            begun = Path(shutil.copytree(toy_template, tmp_path_factory.mktemp("trained") / "app", symlinks=True))
            done = gitml(begun, "train")
            assert done.code == 0, done.err
            commit(begun, "train")
            folder.parent.mkdir()
            packed(begun).rename(folder)
    return folder


@pytest.fixture
def toy(toy_template: Path, tmp_path: Path) -> Path:
    """A repository with a pipeline that never ran."""
    return Path(shutil.copytree(toy_template, tmp_path / "app", symlinks=True))


@pytest.fixture
def trained(trained_template: Path, tmp_path: Path) -> Path:
    """The same, trained and committed."""
    return Path(shutil.copytree(trained_template, tmp_path / "app", symlinks=True))


@pytest.fixture
def set_params() -> Callable[[Path, str, str], None]:
    """Replace a line of params.yaml."""

    def change(folder: Path, old: str, new: str) -> None:
        path = folder / "params.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The processes that this one starts."""
    found: list[object] = []
    real = subprocess.Popen.__init__

    def counted(self: subprocess.Popen[bytes], *args: Any, **more: Any) -> None:
        found.append(args[:1])
        real(self, *args, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", counted)
    return found
