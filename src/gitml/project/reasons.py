"""The files under `reasons`: they are there, can be read, and speak of inputs that the model has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitml.errors import Problem, SpecError
from gitml.spec.application import Application, Model
from gitml.spec.reasons import Reasons
from gitml.spec.validate import build, nearest
from gitml.spec.yamlfile import Document, read


def reasons_problems(root: Path, app: Application, document: Document) -> Iterator[Problem]:
    for name, model in app.models.items():
        if model.reasons is None:
            continue
        if not (root / model.reasons).is_file():
            yield document.problem(
                ("models", name, "reasons"), f"{model.reasons} is not there", "write it: reasons: []"
            )
            continue
        try:
            said = read(root / model.reasons, model.reasons)
            yield from _inputs_known(build(Reasons, said), said, _inputs(root, model))
        except SpecError as exc:
            yield from exc.problems


def _inputs_known(reasons: Reasons, document: Document, inputs: list[str]) -> Iterator[Problem]:
    for number, reason in enumerate(reasons.reasons):
        if inputs and reason.input not in inputs:
            key = ("reasons", number, "input")
            yield document.problem(key, f"the model has no input {reason.input!r}", nearest(reason.input, inputs))


def _inputs(root: Path, model: Model) -> list[str]:
    """Those of the last training; none where its signature is not here or not sound, which is said elsewhere."""
    found: Any = None
    with suppress(OSError, ValueError):
        found = json.loads((root / model.signature).read_bytes()) if model.signature else None
    columns = found.get("inputs") if isinstance(found, dict) else None
    return [str(c["name"]) for c in columns if isinstance(c, dict) and "name" in c] if isinstance(columns, list) else []
