"""What a workflow_dispatch is given, as its workflow declares it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitml_sandbox.actions.coercions import to_number, to_string, truthy
from gitml_sandbox.actions.workflows import WorkflowError, strings


def typed_inputs(where: str, declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a dispatch with their defaults and types. Raises WorkflowError."""
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise WorkflowError(f"{where}: unexpected inputs: {', '.join(unknown)}")
    return {name: _typed(where, name, spec or {}, given) for name, spec in declared.items()}


def _typed(where: str, name: str, spec: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    value = given.get(name)
    if value is None or value == "":
        if truthy(spec.get("required")) and spec.get("default") is None:
            raise WorkflowError(f"{where}: the input {name} is required")
        value = spec.get("default")
    kind = spec.get("type", "string")
    if kind == "boolean":
        if value not in {True, False, None, "true", "false"}:
            raise WorkflowError(f"{where}: the input {name} must be true or false, not {value!r}")
        return value in {True, "true"}
    if kind == "number":
        number = to_number(value)
        if number != number:
            raise WorkflowError(f"{where}: the input {name} must be a number, not {value!r}")
        return int(number) if number == int(number) else number
    if kind == "choice" and to_string(value) not in strings(spec.get("options")):
        options = spec.get("options")
        raise WorkflowError(f"{where}: the input {name} must be one of {options}, not {value!r}")
    return to_string(value)
