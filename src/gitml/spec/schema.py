"""JSON schemas of gitml.yaml, policy.yaml, deployments and the files that describe a model: made from their types."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from gitml.jsontext import pretty
from gitml.spec.application import Application
from gitml.spec.deployment import Deployment
from gitml.spec.describing import DESCRIBING
from gitml.spec.ensemble import Ensemble
from gitml.spec.policy import Policy
from gitml.spec.reasons import Reasons

SCHEMAS: dict[str, type[BaseModel]] = {
    "gitml": Application,
    "policy": Policy,
    "deployment": Deployment,
    "ensemble": Ensemble,
    "reasons": Reasons,
    **DESCRIBING,
}
FILES = {
    "gitml": "gitml.yaml",
    "policy": "policy.yaml",
    "deployment": "models/MODEL/ENVIRONMENT.yaml",
    "ensemble": "the artifact of an ensemble",
    "reasons": "the file under `reasons` of a model",
    **{name: f"{name}.json" for name in DESCRIBING},
}
# Python's own way to name a group, which JSON Schema's regular expressions (ECMA 262) do not know.
_PYTHON_NAME = re.compile(r"\(\?P<\w+>")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_of(name: str) -> dict[str, Any]:
    """The schema of one of FILES."""
    model = SCHEMAS[name]
    raw = model.model_json_schema(by_alias=True, mode="validation")
    raw.pop("title", None)
    # Editors complete from the first line on, also before the file is whole.
    return {"$schema": _DIALECT, "title": FILES[name], **_plain(raw)}


def schema_text(name: str) -> str:
    """The same as the text of a file."""
    return pretty(schema_of(name), indent=2)


def _plain(value: Any, *, names: bool = False) -> Any:
    """Without the titles and nulls that pydantic adds; ``names``: keys are names of things, not JSON schema's words."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if not isinstance(value, dict):
        return value
    if names:
        return {k: _plain(v) for k, v in value.items()}
    kept = {k: v for k, v in value.items() if k != "title" and not (k == "default" and v in (None, {}, [], ""))}
    by_pattern = kept.pop("patternProperties", {})
    for pattern, inner in by_pattern.items():
        # Pydantic lets other names pass; here a name that does not fit is an error.
        kept["propertyNames"] = {"pattern": pattern}
        kept["additionalProperties"] = inner
    choices = [c for c in kept.get("anyOf", ()) if c != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept = {**choices[0], **kept}
    if isinstance(kept.get("pattern"), str):
        kept["pattern"] = _PYTHON_NAME.sub("(", kept["pattern"])
    return {k: _plain(v, names=k in {"properties", "$defs"}) for k, v in kept.items()}
