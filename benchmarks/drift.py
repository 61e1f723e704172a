"""A million live rows of 40 columns against a reference, by gitml and others: `python -m benchmarks.drift [ROWS]`.

30 columns of numbers, three of them with missing values, and ten of categories; the first of each kind has moved.
Every tool gets the same two Parquet files, runs in a process and an environment of its own (made with uv, with the pins
that it needs to run at all), and is measured alike: CPU seconds of all threads to read and compare the live rows,
without imports and without what it makes of the reference before, and the peak of memory beyond what imports take.
What does not install or run is said.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from benchmarks.servers.table import CACHE

HERE = Path(__file__).parent
REFERENCE = 100_000
# Some of them would tell their makers that they ran.
QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True"}
# Script → what its environment has.
TOOLS: Mapping[str, Sequence[str]] = {
    "gitml": (),
    "whylogs": ("whylogs==1.6.4", "pandas<3", "numpy<2", "scipy", "pyarrow<20", "ipython", "pybars3"),
    "nannyml": ("nannyml==0.13.1", "statsmodels", "pandas<3", "numpy<2.3", "pyarrow<22"),
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "alibi_detect": ("alibi-detect==0.11.4", "numpy<1.25", "scipy<1.12", "numba==0.57.1", "pandas<2.1", "pyarrow<15"),
}


def frame(rng: np.random.Generator, rows: int, by: float) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    for k in range(30):
        values = rng.normal(size=rows) + by * (k == 0)
        if k % 10 == 9:
            values[rng.random(rows) < 0.05] = np.nan
        columns[f"n{k}"] = pa.array(values, from_pandas=True)
    words = np.array([f"word{i}" for i in range(13)])
    for k in range(10):
        often = np.where(np.arange(13) == 0, 1 + 5 * by * (k == 0), 1.0)
        columns[f"c{k}"] = pa.array(rng.choice(words, rows, p=often / often.sum()))
    return pa.table(columns)


def files(rows: int) -> tuple[Path, Path]:
    """Reference and live rows, written once."""
    folder = CACHE / "drift-rows"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(40)
    places = folder / f"reference-{REFERENCE}.parquet", folder / f"live-{rows}.parquet"
    for place, count, by in zip(places, (REFERENCE, rows), (0.0, 0.3), strict=True):
        if not place.exists():
            parquet.write_table(frame(rng, count, by), place, row_group_size=65_536)
    return places


def python_of(tool: str) -> Path:
    """Raises CalledProcessError where the environment cannot be made."""
    if not TOOLS[tool]:
        return Path(sys.executable)
    folder = CACHE / "environments" / f"drift-{tool}"
    if not (folder / "ready").exists():
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
        subprocess.run([uv, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        install = [uv, "pip", "install", "-q", "--python", str(folder / "bin/python"), *TOOLS[tool]]
        subprocess.run(install, check=True, capture_output=True, text=True)
        (folder / "ready").touch()
    return folder / "bin/python"


def line(tool: str, reference: Path, live: Path) -> str:
    try:
        command = [
            str(python_of(tool)),
            "-W",
            "ignore",
            str(HERE / f"monitors/of_{tool}.py"),
            str(reference),
            str(live),
        ]
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1_800, env=os.environ | QUIET)
        found = json.loads(ran.stdout.splitlines()[-1])
    except subprocess.SubprocessError as exc:
        said = str(getattr(exc, "stderr", "") or exc).strip().splitlines()[-1][:100]
        return f"  {tool:<14} does not run: {said}"
    wrong = len(set(found["drifted"]) - {"n0", "c0"})
    names = f"{len(found['drifted']) - wrong} of 2 found, {wrong} of 38 wrongly"
    return f"  {tool:<14} {found['version']:<9} {found['cpu']:>8.2f} {found['peak_mb']:>9,.0f}   {names}"


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    reference, live = files(rows)
    print(f"{rows:,} live rows of 40 columns against a reference of {REFERENCE:,}; 2 columns moved")
    print(f"  {'tool':<14} {'version':<9} {'CPU s':>8} {'peak MB':>9}   columns")
    for tool in TOOLS:
        print(line(tool, reference, live), flush=True)


if __name__ == "__main__":
    main()
