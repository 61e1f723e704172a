"""A gitml.yaml for a DVC pipeline that exists: its models and metrics are what its stages write."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from gitml.errors import UsageError
from gitml.refs import NAME
from gitml.spec.application import SUFFIXES
from gitml.spec.dvcfiles import Pipeline, load_pipeline
from gitml.spec.dvcplaces import DVC_FILE, pipeline_files
from gitml.spec.policy import POLICY
from gitml.spec.root import APPLICATION

_GENERIC = {"model", "models", "artifacts", "output", "outputs", "out", "data"}
_POLICY = """\
# yaml-language-server: $schema=schemas/policy.schema.json
# Who decides what, and what a model must show. It is always read from the main branch.
roles: # replace this by logins at your forge, or add teams: [organisation/team]
  operations: {people: [your-login]}

environments: # in the order of promotion; add gates: what a version must show to get there
  production:
    approvals: {operations: 1}
"""


def adoptable(root: Path) -> bool:
    """Whether there is a pipeline of DVC and no application yet."""
    return any((root / file).is_file() for file in pipeline_files(root)) and not (root / APPLICATION).exists()


def adopted(root: Path) -> dict[str, bytes]:
    """gitml.yaml and policy.yaml for the pipeline at ``root``.

    Raises SpecError when dvc.yaml is wrong, UsageError when no stage writes a model for which one writes metrics.
    """
    models = _models(load_pipeline(root))
    if not models:
        raise UsageError(
            f"no stage of {DVC_FILE} writes a model ({', '.join(SUFFIXES)}) with metrics beside it",
            "let a stage list a JSON file under `metrics`, or write gitml.yaml by hand",
        )
    lines = [
        "# yaml-language-server: $schema=schemas/gitml.schema.json",
        "# Made from the outputs of dvc.yaml: add descriptions, and which way each metric is better.",
        f"application: {_name(root.name, 'application')}",
        "",
        "models:",
    ]
    for name, (artifact, metrics) in models.items():
        lines += [f"  {name}:", f"    artifact: {_yaml(artifact)}", f"    metrics: {_yaml(metrics)}"]
    return {APPLICATION: ("\n".join(lines) + "\n").encode(), POLICY: _POLICY.encode()}


def _models(pipeline: Pipeline) -> dict[str, tuple[str, str]]:
    """Name → artifact and metrics. Each metrics file serves one model: the one whose path is nearest."""
    outs = [out for stage in pipeline.stages.values() for out in stage.outs.values()]
    metrics = [o.path for o in outs if o.kind == "metrics" and o.path.endswith(".json")]
    found: dict[str, tuple[str, str]] = {}
    for artifact in (o.path for o in outs if o.cached and o.path.lower().endswith(tuple(SUFFIXES))):
        free = [path for path in metrics if path not in {m for _, m in found.values()}]
        if free:
            nearest = max(free, key=lambda path: len(os.path.commonpath([path, artifact])))
            found[_unused(_called(artifact), found)] = (artifact, nearest)
    return found


def _called(artifact: str) -> str:
    """What people call it: its file, or the folder of a file that is just called model."""
    path = PurePosixPath(artifact)
    words = [path.stem, *(parent.name for parent in path.parents if parent.name)]
    return _name(next((word for word in words if word.lower() not in _GENERIC), path.stem), "model")


def _unused(name: str, taken: Mapping[str, object]) -> str:
    return next(n for n in (name, *(f"{name}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)


def _name(text: str, otherwise: str) -> str:
    """
    >>> _name("Churn Model_v2", "model")
    'churn-model_v2'
    """
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:60].strip("._-")
    return name if NAME.fullmatch(name) else otherwise


def _yaml(path: str) -> str:
    return path if re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", path) else json.dumps(path, ensure_ascii=False)
