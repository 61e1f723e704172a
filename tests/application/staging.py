"""Running the stages of a copy of the application as DVC does: as processes, with the folder of dvc.yaml as theirs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "pipelines"

SMALL: dict[str, dict[str, Any]] = {
    "window": {"last_day": "2013-02-07", "validation_days": 4, "holdout_days": 6},
    "train": {"max_iter": 40, "weather": True},
    "mlp": {"epochs": 2, "weather": True},
    "evaluate": {"replicates": 60, "samples": 50},
}


def change_params(folder: Path, changes: dict[str, dict[str, Any]]) -> None:
    path = folder / "params.yaml"
    values = yaml.safe_load(path.read_text())
    for group, some in changes.items():
        values[group].update(some)
    path.write_text(yaml.safe_dump(values))


def threads(count: int) -> dict[str, str]:
    """The environment of a run on so many threads, whose sets and dictionaries have an order of their own."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED"), str(count))


def run(folder: Path, *command: str, **environment: str) -> str:
    """Run a command of the application; its output, or a failure that shows it."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def stage(folder: Path, script: str, **environment: str) -> str:
    """Run one script with warnings as errors."""
    return run(folder, sys.executable, "-W", "error", f"pipelines/{script}.py", **environment)
