"""A card as Markdown with the head that Hugging Face reads, and as one HTML file that loads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape

from gitml.reports.cardfacts import CardSection, ModelCard
from gitml.reports.escape import code, prose, row, visible

_LONGEST = 2000
_STYLE = """
:root{color-scheme:light dark}
body{margin:0 auto;max-width:60rem;padding:2rem 1.25rem;font:15px/1.5 system-ui,sans-serif}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8886;
vertical-align:top;overflow-wrap:anywhere}
"""


def markdown(card: ModelCard) -> str:
    """Valid for ``huggingface_hub.ModelCard``: its head is JSON, which YAML reads."""
    parts = ["---", *_head(card), "---", "", f"# {prose(card.model)} {code(card.version)}", ""]
    if card.description:
        parts += [prose(card.description), ""]
    for section in card.sections:
        if section.lines:
            parts += [f"## {section.title}", "", *_table(section), ""]
    return "\n".join(parts)


def _head(card: ModelCard) -> Iterator[str]:
    yield f"tags: {json.dumps(['gitml'])}"
    for key, value in (("license", card.license), ("library_name", card.library)):
        if value:
            yield f"{key}: {json.dumps(value, ensure_ascii=True)}"
    metrics = [
        {
            "type": one.name,
            "name": one.name,
            "value": one.value,
            **({"args": {"interval": one.interval}} if one.interval else {}),
        }
        for one in card.metrics
    ]
    data = {"type": "gitml", "name": card.data}
    results = [{"task": {"type": card.task}, "dataset": data, "metrics": metrics}] if metrics else []
    if results:
        yield f"model-index: {json.dumps([{'name': card.model, 'results': results}], ensure_ascii=True)}"


def _table(section: CardSection) -> Iterator[str]:
    yield row(["what", "", "stands in"])
    yield "|---|---|---|"
    for line in section.lines:
        value = code(line.value, _LONGEST) if section.is_exact else prose(line.value)
        yield row([prose(line.name), value, code(line.source)])


def html(card: ModelCard) -> bytes:
    """One page, as UTF-8."""
    title = _text(card.title)
    tables = "\n".join(
        f"<h2>{_text(section.title)}</h2>\n<table><tr><th>what</th><th></th><th>stands in</th></tr>\n"
        + "\n".join(
            f"<tr><td>{_text(line.name)}</td><td>{_text(line.value)}</td><td><code>{_text(line.source)}</code></td></tr>"
            for line in section.lines
        )
        + "\n</table>"
        for section in card.sections
        if section.lines
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n<style>{_STYLE}</style>\n'
        f"<body>\n<h1>{title}</h1>\n<p>{_text(card.description)}</p>\n{tables}\n</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


def _text(value: str) -> str:
    return escape(visible(value))
