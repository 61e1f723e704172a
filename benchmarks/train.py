"""`gitml train` against `dvc repro` on a pipeline where nothing changed, small and with 5,000 data files."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import git, in_turn

FILES = {
    "gitml.yaml": """\
application: bench
models:
  m: {artifact: out/model.onnx, metrics: out/metrics.json, better: {auc: higher}}
""",
    "dvc.yaml": """\
stages:
  ingest:
    cmd: python ingest.py
    deps: [ingest.py]
    params: [files]
    outs: [data]
  train:
    cmd: python train.py
    deps: [data, train.py]
    outs: [out/model.onnx]
  evaluate:
    cmd: python evaluate.py
    deps: [out/model.onnx, evaluate.py]
    metrics: [out/metrics.json: {cache: false}]
""",
    "ingest.py": """\
import json, pathlib
pathlib.Path("data").mkdir(exist_ok=True)
for number in range(json.load(open("params.yaml"))["files"]):
    pathlib.Path(f"data/{number}.txt").write_text(str(number))
""",
    "train.py": """\
import pathlib
pathlib.Path("out").mkdir(exist_ok=True)
pathlib.Path("out/model.onnx").write_text(str(len(list(pathlib.Path("data").iterdir()))))
""",
    "evaluate.py": "import pathlib\npathlib.Path('out/metrics.json').write_text('{\"auc\": 0.7}')\n",
    ".gitignore": "__pycache__/\n",
}


def main() -> None:
    for count in (10, 5000):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            for path, text in {**FILES, "params.yaml": f'{{"files": {count}}}'}.items():
                (root / path).write_text(text)
            git(root, "init", "-q", "-b", "main")
            subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=root, check=True)
            gitml = [sys.executable, "-m", "gitml", "train"]
            subprocess.run(gitml, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            git(root, "add", ".")
            git(root, "commit", "-qm", "trained")
            times = in_turn({"gitml": gitml, "dvc": [sys.executable, "-m", "dvc", "repro"]}, cwd=root)
        ours, theirs = times["gitml"], times["dvc"]
        print(
            f"nothing changed, {count:5} files: gitml train {ours.wall:.3f} s, dvc repro {theirs.wall:.3f} s: "
            f"{ours.wall / theirs.wall:.2f} × wall, {ours.cpu / theirs.cpu:.2f} × CPU"
        )


if __name__ == "__main__":
    main()
