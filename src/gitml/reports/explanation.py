"""An explanation for the person whom an answer is about: one HTML file without scripts, which loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from gitml.reports.escape import visible
from gitml.reports.explanationfacts import ExplainedInput, Explanation
from gitml.reports.figures import figure, signed

_STYLE = """
:root{color-scheme:light dark}*{box-sizing:border-box}
body{margin:0 auto;max-width:46rem;padding:2rem 1.25rem 4rem;font:16px/1.55 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem}p,ul{margin:.4rem 0}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8886;vertical-align:top;overflow-wrap:anywhere}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem}dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}tr{break-inside:avoid}}
"""
SCALES = {
    "answer": "in the unit of the answer",
    "log-odds": "as log-odds: 0 is a chance of one half, more is likelier",
    "log": "as logarithms: a sum of 0.69 doubles the answer",
    "score": "as scores before they become chances: more is likelier than the other classes",
}
_MOST = 4


def page(facts: Explanation) -> bytes:
    """The page as UTF-8; everything that comes from outside is escaped."""
    body = "\n".join([*_answer(facts), *_reasons(facts), *_inputs(facts), *_proof(facts)])
    title = _text(f"How the answer to request {facts.request.request_id} came about")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{_STYLE}</style>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


def words(one: ExplainedInput) -> str:
    """The reason, or the plain fact where nobody wrote one.

    >>> words(ExplainedInput("distance", "2,475", 0.3))
    'distance is 2,475, which raised the answer'
    """
    value = "is missing" if one.value is None else f"is {one.value}"
    moved = {"raises": "raised", "lowers": "lowered"}[one.direction]
    return one.reason or f"{one.name} {value}, which {moved} the answer"


def _answer(facts: Explanation) -> Iterator[str]:
    when = facts.request.answered.replace("T", " ").rstrip("Z")
    yield (
        f"<p>On {_text(when)} (UTC) a computed model, <b>{_text(facts.model.name)}</b>, answered "
        f"<b>{_text(facts.output)} = {figure(facts.answer)}</b>.</p>"
    )
    if facts.model.purpose:
        yield f"<p>What the answer is used for: {_text(facts.model.purpose)}</p>"
    if facts.model.owner:
        yield f"<p>Who answers for the model, and whom to ask for a review by a person: {_text(facts.model.owner)}</p>"


def _reasons(facts: Explanation) -> Iterator[str]:
    for direction, head in (("raises", "What raised the answer"), ("lowers", "What lowered it")):
        some = [one for one in facts.reasons if one.direction == direction][:_MOST]
        if some:
            yield f"<h2>{head}</h2><ul>" + "".join(f"<li>{_text(words(one))}</li>" for one in some) + "</ul>"


def _inputs(facts: Explanation) -> Iterator[str]:
    yield "<h2>Everything that the model was told</h2>"
    yield f"<p>Each number is what that input contributed, {SCALES[facts.scale]}."
    yield f"Together with {signed(facts.base)}, where the model starts from when nothing is known, they add up to"
    yield f"{signed(facts.total)}, which is the answer.</p>"
    sampled = facts.method == "sampled"
    error = '<th class="number">±</th>' if sampled else ""
    yield f'<table><tr><th>input</th><th>value</th><th class="number">contribution</th>{error}</tr>'
    for one in facts.inputs:
        cells = f"<td>{_text(one.name)}</td><td>{_text(one.value or '') if one.value is not None else 'missing'}</td>"
        margin = f'<td class="number">{figure(2 * (one.error or 0))}</td>' if sampled else ""
        yield f'<tr>{cells}<td class="number">{signed(one.contribution)}</td>{margin}</tr>'
    yield "</table>"


def _proof(facts: Explanation) -> Iterator[str]:
    how = "exact Shapley values of the model's trees" if facts.method == "trees" else (
        f"Shapley values sampled with {facts.calls:,} calls of the model, ± two standard errors"
    )  # fmt: skip
    rows = [
        ("request", facts.request.request_id + (f", row {facts.request.row}" if facts.request.row else "")),
        ("environment", facts.request.environment or "not known"),
        ("version", facts.model.version),
        ("SHA-256 of the model", facts.model.digest),
        ("method", how),
    ]
    yield "<h2>How this can be checked</h2>"
    yield "<dl>" + "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in rows) + "</dl>"


def _text(value: str) -> str:
    return escape(visible(value))
