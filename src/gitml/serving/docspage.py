"""The page for people: what each model takes, a call to copy, and a form to try it. It loads nothing from elsewhere."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape

from gitml.models.fields import Field
from gitml.serving.openapi import example
from gitml.serving.state import Served

_SHOWN = 30
_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre,textarea{overflow:auto;padding:1rem;border:1px solid #8888;font:14px/1.5 ui-monospace,monospace}"
    "textarea{width:100%;box-sizing:border-box}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}"
)
_SCRIPT = (
    "for(const form of document.querySelectorAll('form'))form.onsubmit=async e=>{e.preventDefault();"
    "const out=form.querySelector('output'),token=form.elements.token;"
    "const headers={'content-type':'application/json'};"
    "if(token&&token.value)headers.authorization='Bearer '+token.value;"
    "try{const said=await fetch(form.action,{method:'POST',headers,body:form.elements.body.value});"
    "out.textContent=said.status+' '+await said.text()}catch(error){out.textContent=error}}"
)


def page(models: Mapping[str, Served], address: str, *, asks: bool) -> bytes:
    """HTML. ``address``: scheme and host as the caller wrote them; ``asks``: whether callers need a token."""
    parts = [_section(served, address, asks=asks) for served in models.values()]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>gitml</title><style>{_STYLE}</style><h1>Models</h1>"
        + ("".join(parts) or "<p>No model is served yet.</p>")
        + f"<p><a href=/openapi.json>OpenAPI</a>, <a href=/metrics>metrics</a></p><script>{_SCRIPT}</script></html>"
    ).encode()


def _section(served: Served, address: str, *, asks: bool) -> str:
    signature = served.champion.model.signature
    body, path = json.dumps({"rows": [example(signature)]}, indent=2), f"/models/{served.name}/predict"
    token = " -H 'Authorization: Bearer TOKEN'" if asks else ""
    call = f"curl{token} -d {shlex.quote(body)} {shlex.quote(address + path)}"
    versions = "".join(
        f"<tr><td>{escape(v.version)}<td>{v.role}<td>{escape(v.model.format)}" for v in served.variants.values()
    )
    inputs = "".join(f"<tr><td>{escape(f.name)}<td>{escape(_expected(f))}" for f in signature.inputs)
    outputs = "".join(f"<tr><td>{escape(f.name)}<td>{escape(f.type)}" for f in signature.outputs)
    field = "<p><label>Token <input name=token type=password autocomplete=off></label></p>" if asks else ""
    return (
        f"<h2>{escape(served.name)}</h2><table><tr><th>Version<th>Variant<th>Format{versions}</table>"
        f"<pre>{escape(call)}</pre>"
        f"<form action='{escape(path)}'>{field}"
        f"<textarea name=body rows=8 aria-label='Request'>{escape(body)}</textarea>"
        "<p><button>Ask</button></p><pre><output></output></pre></form>"
        f"<table><tr><th>Input<th>Expected{inputs}</table><table><tr><th>Output<th>Type{outputs}</table>"
    )


def _expected(field: Field) -> str:
    """What a value must be, with the words that the model knows."""
    if not field.categories:
        return field.expected
    known = ", ".join(field.categories[:_SHOWN])
    more = f" and {len(field.categories) - _SHOWN} more" if len(field.categories) > _SHOWN else ""
    return f"{field.expected}: {known}{more}"
