"""What a server says of itself: OpenAPI for programs, a page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from gitml import __version__
from gitml.models.fields import FLOATS, Field
from gitml.models.signature import Signature
from gitml.serving.state import Served
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


def document(models: Mapping[str, Served], *, taken: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 description of what can be asked now; ``taken``: whether the server takes labels and events."""
    paths: dict[str, Any] = {"/events": {"post": _telling("events", _EVENTS)}} if taken else {}
    for name, served in models.items():
        signature = served.champion.model.signature
        paths[f"/models/{name}/predict"] = {"post": _operation(name, _plain(signature), _answer(signature))}
        paths[f"/v2/models/{name}/infer"] = {"post": _operation(f"{name}-v2", _TENSORS, {"type": "object"})}
        if taken:
            paths[f"/models/{name}/labels"] = {"post": _telling(f"{name}-labels", _LABELS)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "gitml", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def page(models: Mapping[str, Served]) -> bytes:
    """HTML with an example of a call for each model; it loads nothing from elsewhere."""
    parts = [_section(served) for served in models.values()] or ["<p>No model is served yet.</p>"]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<title>gitml</title><style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem;"
        "color-scheme:light dark}pre{overflow:auto;padding:1rem;border:1px solid #8888}td,th{text-align:left;"
        "padding:.2rem 1rem .2rem 0}</style><h1>Models</h1>"
        + "".join(parts)
        + "<p><a href=/openapi.json>OpenAPI</a>, <a href=/metrics>metrics</a></p></html>"
    ).encode()


def example(signature: Signature) -> dict[str, Any]:
    """A row that fits."""
    return {f.name: _example(f) for f in signature.inputs}


def _section(served: Served) -> str:
    signature = served.champion.model.signature
    body = json.dumps({"rows": [example(signature)]}, indent=2)
    rows = "".join(
        f"<tr><td>{escape(v.version)}<td>{v.role}<td>{escape(v.model.format)}" for v in served.variants.values()
    )
    inputs = "".join(f"<tr><td>{escape(f.name)}<td>{escape(f.expected)}" for f in signature.inputs)
    return (
        f"<h2>{escape(served.name)}</h2><table><tr><th>Version<th>Variant<th>Format{rows}</table>"
        f"<pre>curl -d '{escape(body)}' http://HOST/models/{escape(served.name)}/predict</pre>"
        f"<table><tr><th>Input<th>Expected{inputs}</table>"
    )


def _operation(name: str, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    described = "Headers x-request-id, gitml-model, gitml-version and gitml-variant name what answered."
    codes = {
        "400": "Not readable", "401": "No known token", "404": "Not served", "408": "The body came too slowly",
        "413": "Too large", "422": "Does not fit the signature", "429": "Busy: try again after Retry-After",
        "500": "The model failed", "504": "The model was too slow",
    }  # fmt: skip
    return {
        "operationId": name,
        "parameters": [
            {"name": "Gitml-Unit", "in": "header", "schema": {"type": "string"}},
            {"name": "Gitml-Strict", "in": "header", "schema": {"type": "string", "enum": ["true", "false"]}},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": described, "content": {"application/json": {"schema": answer}}},
            **{code: {"description": words} for code, words in codes.items()},
        },
    }


def _telling(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    codes = {
        "400": "Not readable", "401": "No known token", "403": "The token is not for this", "404": "No such model",
        "408": "The body came too slowly", "413": "Too large", "422": "Some are wrong, none was kept",
        "503": "The disk did not take them",
    }  # fmt: skip
    kept = {"type": "object", "properties": {"kept": {"type": "integer"}}}
    return {
        "operationId": name,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {
            "200": {"description": "How many were kept", "content": {"application/json": {"schema": kept}}},
            **{code: {"description": words} for code, words in codes.items()},
        },
    }


def _plain(signature: Signature) -> dict[str, Any]:
    required = [f.name for f in signature.inputs if not f.nullable]
    properties = {f.name: _schema(f) for f in signature.inputs}
    row = {"type": "object", "required": required, "additionalProperties": False, "properties": properties}
    columns = {name: {"type": "array", "items": schema} for name, schema in properties.items()}
    return {
        "type": "object",
        "properties": {
            "rows": {"type": "array", "items": row},
            "columns": {"type": "object", "properties": columns, "required": list(columns)},
            "unit": {"type": "string"},
            "id": {"type": "string"},
        },
        "example": {"rows": [example(signature)]},
    }


def _answer(signature: Signature) -> dict[str, Any]:
    outputs = {f.name: {"type": "array", "items": _schema(f)} for f in signature.outputs}
    words = {name: {"type": "string"} for name in ("id", "model", "version", "variant")}
    said = {"outputs": {"type": "object", "properties": outputs}, "warnings": _WARNINGS}
    return {"type": "object", "properties": {**words, **said}}


def _schema(field: Field) -> dict[str, Any]:
    kind = "string" if field.type == "string" else "boolean" if field.type == "bool" else "integer"
    kind = "number" if field.type in FLOATS else kind
    found: dict[str, Any] = {"type": [kind, "null"] if field.nullable else kind}
    return {**found, "examples": list(field.categories[:3])} if field.categories else found


def _field(field: Field) -> dict[str, Any]:
    found: dict[str, Any] = {"name": field.name, "type": field.type, "nullable": field.nullable}
    return {**found, "categories": list(field.categories)} if field.categories is not None else found


def _example(field: Field) -> Any:
    if field.type == "string":
        return field.categories[0] if field.categories else "text"
    return {"bool": True}.get(field.type, 1.5 if field.type in FLOATS else 1)


_WARNINGS = {"type": "array", "items": {"type": "string"}, "description": "words that are none of the categories"}
_TENSORS: dict[str, Any] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype", "data"],
                "properties": {
                    "name": {"type": "string"},
                    "shape": {"type": "array", "items": {"type": "integer"}},
                    "datatype": {"type": "string"},
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
                    "caller": {"type": "string", "maxLength": LONGEST},
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
                    "value": {"type": "number", "default": 1},
                    "id": {"type": "string", "maxLength": LONGEST},
                },
            },
        },
    },
    "example": {"events": [{"unit": "N725MQ", "time": "2026-04-01T09:30:00Z", "name": "compensation", "value": 120}]},
}
