"""What a server says of itself to programs: OpenAPI 3.1 of all its addresses, with what each model takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gitml import __version__
from gitml.models.fields import FLOATS, INTEGERS, Field, bounds
from gitml.models.signature import Signature
from gitml.serving.limits import Limits
from gitml.serving.state import Served
from gitml.serving.v2 import DATATYPES
from gitml.traffic.intake import LONGEST, MOST


def described(served: Served) -> dict[str, Any]:
    """A model: its versions, their roles, and the champion's signature."""
    variants = [
        {"version": v.version, "variant": v.role, "digest": v.digest, "format": v.model.format, "called": v.runner.how}
        for v in served.variants.values()
    ]
    signature = served.champion.model.signature
    return {
        "model": served.name,
        "environment": served.environment,
        "commit": served.commit,
        "variants": variants,
        "inputs": [_field(f) for f in signature.inputs],
        "outputs": [_field(f) for f in signature.outputs],
    }


def document(
    models: Mapping[str, Served], limits: Limits, *, taken: bool, asks: bool, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The OpenAPI 3.1 description of what can be asked now.

    ``taken``: whether the server takes labels and events; ``asks``: whether it asks for tokens; ``more``: paths that
    something in front of it answers.
    """
    paths: dict[str, Any] = {**_pages(asks=asks), **more}
    if taken:
        paths["/events"] = {"post": _post("events", "Business events", _EVENTS, _KEPT, _TELLING_CODES, asks=asks)}
    for name, served in models.items():
        paths |= _of_model(name, served, limits, taken=taken, asks=asks)
    return {
        "openapi": "3.1.0",
        "info": {"title": "gitml", "version": __version__},
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Error": _ERROR},
        },
    }


def _of_model(name: str, served: Served, limits: Limits, *, taken: bool, asks: bool) -> dict[str, Any]:
    signature = served.champion.model.signature
    plain, one = _plain(signature, limits), _plain(signature, replace(limits, rows=1))
    paths: dict[str, Any] = {
        f"/models/{name}": {"get": _get(f"{name}-described", "Versions and signature", asks=asks)},
        f"/models/{name}/predict": {
            "post": _post(name, "Answers of the model", plain, _answer(signature), _CODES, asks=asks, headers=True)
        },
        f"/models/{name}/explain": {
            "post": _post(f"{name}-explain", "What one row's inputs contribute", one, _OBJECT, _CODES, asks=asks)
        },
        f"/v2/models/{name}": {"get": _get(f"{name}-v2-metadata", "Names and datatypes of the tensors", asks=asks)},
        f"/v2/models/{name}/ready": {"get": _get(f"{name}-v2-ready", "Whether it answers", asks=asks)},
        f"/v2/models/{name}/infer": {
            "post": _post(f"{name}-v2", "Answers as tensors", _TENSORS, _OBJECT, _CODES, asks=asks, headers=True)
        },
    }
    for version in served.variants:
        at, named = f"/v2/models/{name}/versions/{version}", f"{name}-v2-{version}"
        paths[at] = {"get": _get(f"{named}-metadata", "Names and datatypes of the tensors", asks=asks)}
        paths[f"{at}/ready"] = {"get": _get(f"{named}-ready", "Whether it answers", asks=asks)}
        asked = _post(named, "Answers of this version", _TENSORS, _OBJECT, _CODES, asks=asks, headers=True)
        paths[f"{at}/infer"] = {"post": asked}
    if taken:
        asked = _post(f"{name}-labels", "What really happened", _LABELS, _KEPT, _TELLING_CODES, asks=asks)
        paths[f"/models/{name}/labels"] = {"post": asked}
    return paths


def _pages(*, asks: bool) -> dict[str, Any]:
    ready = _get("ready", "Whether models are served", asks=False)
    ready["responses"]["503"] = _says("None is served yet, or it is ending", _OBJECT)
    return {
        "/": {"get": _get("front", "What is served", asks=False)},
        "/docs": {"get": _get("docs", "A page for people", asks=asks, kind="text/html")},
        "/openapi.json": {"get": _get("openapi", "This description", asks=asks)},
        "/metrics": {"get": _get("metrics", "What Prometheus reads", asks=asks, kind="text/plain")},
        "/v2": {"get": _get("v2", "The server and its extensions", asks=asks)},
        "/v2/health/live": {"get": _get("live", "Whether the process answers", asks=False)},
        "/v2/health/ready": {"get": ready},
    }


def _says(words: str, schema: Any, kind: str = "application/json") -> dict[str, Any]:
    return {"description": words, "content": {kind: {"schema": schema}}}


def _refusals(codes: Mapping[str, str], *, asks: bool) -> dict[str, Any]:
    """The answers that are errors, with their body."""
    known = {"400": "Not readable", **codes, **({"401": "No known token"} if asks else {})}
    return {code: _says(words, {"$ref": "#/components/schemas/Error"}) for code, words in sorted(known.items())}


def _get(name: str, words: str, *, asks: bool, kind: str = "application/json") -> dict[str, Any]:
    schema = _OBJECT if kind == "application/json" else {"type": "string"}
    responses = {"200": _says(words, schema, kind), **_refusals({}, asks=asks)}
    return {"operationId": name, "summary": words, "responses": responses, **_secured(asks=asks)}


def _secured(*, asks: bool) -> dict[str, Any]:
    return {"security": [{"token": []}]} if asks else {}


def example(signature: Signature) -> dict[str, Any]:
    """A row that fits."""
    return {f.name: _example(f) for f in signature.inputs}


_CODES = {
    "404": "Not served",
    "408": "The body came too slowly",
    "410": "Retired",
    "413": "Too large",
    "415": "Packed in another way than gzip",
    "422": "Does not fit the signature",
    "429": "Busy: try again after Retry-After",
    "500": "The model failed",
    "504": "The model was too slow",
}
_TELLING_CODES = {
    "404": "No such model", "408": "The body came too slowly", "413": "Too large",
    "415": "Packed in another way than gzip", "422": "Some are wrong, none was kept", "429": "Busy",
    "503": "The disk did not take them",
}  # fmt: skip


def _post(
    name: str,
    words: str,
    request: Mapping[str, Any],
    answer: Mapping[str, Any],
    codes: Mapping[str, str],
    *,
    asks: bool,
    headers: bool = False,
) -> dict[str, Any]:
    scoped = {**codes, **({"403": "The token is not for this"} if asks else {})}
    answered = _says(words, answer)
    if headers:
        answered["headers"] = {name: {"schema": {"type": "string"}} for name in _NAMED}
    return {
        "operationId": name,
        "summary": words,
        "parameters": _PARAMETERS if headers else [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {"200": answered, **_refusals(scoped, asks=asks)},
        **_secured(asks=asks),
    }


def _plain(signature: Signature, limits: Limits) -> dict[str, Any]:
    """Rows, or columns of equal length, which a schema cannot say; one of the two."""
    properties = {f.name: _schema(f) for f in signature.inputs}
    required = [f.name for f in signature.inputs if not f.nullable]
    row = {"type": "object", "required": required, "additionalProperties": False, "properties": properties}
    some = {"type": "array", "minItems": 1, "maxItems": limits.rows}
    columns = {name: {**some, "items": schema} for name, schema in properties.items()}
    called = {"unit": {"type": ["string", "integer", "null"]}, "id": {"description": _ID}}
    by_column = {
        "type": "object",
        "description": "Lists of equal length",
        "required": required,
        "minProperties": 1,
        "additionalProperties": False,
        "properties": columns,
    }
    return {
        "oneOf": [
            {
                "type": "object",
                "required": [key],
                "additionalProperties": False,
                "properties": {key: schema, **called},
            }
            for key, schema in {"rows": {**some, "items": row}, "columns": by_column}.items()
        ],
        "example": {"rows": [example(signature)]},
    }


def _answer(signature: Signature) -> dict[str, Any]:
    outputs = {f.name: {"type": "array", "items": _schema(f)} for f in signature.outputs}
    words = {name: {"type": "string"} for name in ("id", "model", "version", "variant")}
    given = {"type": "object", "required": list(outputs), "properties": outputs}
    return {
        "type": "object",
        "required": [*words, "outputs"],
        "properties": {**words, "outputs": given, "warnings": _WARNINGS},
    }


def _schema(field: Field) -> dict[str, Any]:
    found: dict[str, Any]
    if field.type in INTEGERS:
        low, high = bounds(field.type)
        found = {"type": "integer", "minimum": low, "maximum": high}
    elif field.type in FLOATS:
        found = {"type": "number", "minimum": -FLOATS[field.type], "maximum": FLOATS[field.type]}
    else:
        found = {"type": "string" if field.type == "string" else "boolean"}
    if field.nullable:
        found["type"] = [found["type"], "null"]
    return {**found, "examples": list(field.categories[:20])} if field.categories else found


def _field(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"name": field.name, "type": field.type, "nullable": field.nullable}
    return {**found, "categories": list(field.categories)} if field.categories is not None else found


def _example(field: Field) -> Any:
    if field.type == "string":
        return field.categories[0] if field.categories else "text"
    return {"bool": True}.get(field.type, 1.5 if field.type in FLOATS else 1)


_ID = "Text of up to 128 printable characters becomes the id of the request; anything else is passed over"
_NAMED = ("x-request-id", "gitml-model", "gitml-version", "gitml-variant")
_PARAMETERS = [
    {"name": "Gitml-Unit", "in": "header", "required": False, "schema": {"type": "string"}},
    {
        "name": "Gitml-Strict",
        "in": "header",
        "required": False,
        "description": "Refuse words that the model does not know, with 422",
        "schema": {"type": "string", "enum": ["true", "false", "1", "0"]},
    },
]
_OBJECT: dict[str, Any] = {"type": "object"}
_KEPT: dict[str, Any] = {
    "type": "object", "required": ["kept"], "properties": {"kept": {"type": "integer", "minimum": 0}}
}  # fmt: skip
_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string"},
        "hint": {"type": "string", "description": "What to do about it"},
        "problems": {"type": "array", "items": {"type": "object"}},
        "id": {"type": "string"},
    },
}
_WARNINGS = {"type": "array", "items": {"type": "string"}, "description": "words that are none of the categories"}
_TENSORS: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"description": _ID},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}},
                    "datatype": {"type": "string", "enum": sorted(DATATYPES)},
                    "data": {"type": "array"},
                },
            },
        },
    },
}
_LABELS: dict[str, Any] = {
    "type": "object",
    "required": ["labels"],
    "properties": {
        "labels": {
            "type": "array",
            "maxItems": MOST,
            "items": {
                "type": "object",
                "required": ["request_id", "label"],
                "additionalProperties": False,
                "properties": {
                    "request_id": {"type": "string", "minLength": 1, "maxLength": LONGEST},
                    "label": {"type": ["number", "boolean", "string"]},
                    "row": {"type": "integer", "minimum": 0, "default": 0},
                    "caller": {"type": ["string", "null"], "maxLength": LONGEST},
                },
            },
        },
    },
    "example": {"labels": [{"request_id": "x-request-id of the answer", "label": 1}]},
}
_EVENTS: dict[str, Any] = {
    "type": "object",
    "required": ["events"],
    "properties": {
        "events": {
            "type": "array",
            "maxItems": MOST,
            "items": {
                "type": "object",
                "required": ["unit", "time", "name"],
                "additionalProperties": False,
                "properties": {
                    "unit": {"type": "string", "minLength": 1, "maxLength": LONGEST},
                    "time": {"type": "string", "format": "date-time"},
                    "name": {"type": "string", "minLength": 1, "maxLength": LONGEST},
                    "value": {"type": ["number", "boolean", "null"], "default": 1},
                    "id": {"type": ["string", "null"], "maxLength": LONGEST},
                },
            },
        },
    },
    "example": {"events": [{"unit": "N725MQ", "time": "2026-04-01T09:30:00Z", "name": "compensation", "value": 120}]},
}
