"""The page of an audit: one HTML file without scripts, that prints well and loads nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from gitml.evidence.audit import Audit, ChangeRow
from gitml.evidence.trust import Believed
from gitml.verdict import Phase

_MARKS = {Phase.SUCCESSFUL: "✓", Phase.FAILED: "✗", Phase.INCONCLUSIVE: "?", Phase.ERROR: "!"}
_TITLES = {
    Phase.SUCCESSFUL: "Every change has its evidence",
    Phase.FAILED: "The audit found failures",
    Phase.INCONCLUSIVE: "The audit could not settle everything",
    Phase.ERROR: "The audit could not be made",
}
_STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--back:#fff;--pale:#f6f8fa;
--good:#1a7f37;--bad:#cf222e;--odd:#9a6700}
@media (prefers-color-scheme:dark){:root{--ink:#f0f6fc;--soft:#9198a1;--line:#3d444d;--back:#0d1117;--pale:#151b23;
--good:#3fb950;--bad:#f85149;--odd:#d29922}}
*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:2rem 1.25rem 4rem;background:var(--back);
color:var(--ink);font:15px/1.5 system-ui,sans-serif}h1{font-size:1.6rem;margin:0 0 .25rem}
h2{font-size:1.15rem;margin:2.5rem 0 .5rem}p{margin:.25rem 0;max-width:60rem}.soft{color:var(--soft)}
.verdict{border:1px solid var(--line);border-left:.4rem solid var(--soft);background:var(--pale);padding:.8rem 1rem;
border-radius:.4rem;margin:1.2rem 0}.verdict strong{font-size:1.1rem}
.successful{--phase:var(--good)}.failed{--phase:var(--bad)}.inconclusive,.error{--phase:var(--odd)}
.verdict.successful,.verdict.failed,.verdict.inconclusive,.verdict.error{border-left-color:var(--phase)}
.mark{color:var(--phase);font-weight:600;white-space:nowrap}
.wrap{overflow-x:auto;border:1px solid var(--line);border-radius:.4rem}
table{border-collapse:collapse;width:100%;font-size:.87rem}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{background:var(--pale);font-weight:600;white-space:nowrap}tr:last-child td{border-bottom:0}
td.word{overflow-wrap:anywhere;min-width:14rem}code{font:.92em ui-monospace,monospace}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0}.wrap{overflow:visible}tr{break-inside:avoid}}
"""
MOST = 2000


def page(audit: Audit) -> bytes:
    """The page as UTF-8. Everything that comes from the repository is escaped."""
    parts = [*_head(audit), *_findings(audit), *_changes(audit), *_events(audit), *_foot()]
    body = "\n".join(parts)
    title = escape(f"Audit of {audit.facts.repository}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{_STYLE}</style>\n<body>\n{body}\n</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


def _head(audit: Audit) -> Iterator[str]:
    facts, phase = audit.facts, audit.verdict.phase
    yield f"<h1>Audit of {_text(facts.repository)}</h1>"
    yield '<p class="soft">What main changed, against the signed evidence of the ledger, in both directions.</p>'
    mark = f'<span class="mark">{_MARKS[phase]}</span>'
    yield f'<div class="verdict {phase.value}"><strong>{mark} {_TITLES[phase]}</strong>'
    yield f"<p>{_text(audit.verdict.reason)}</p></div><dl>"
    rows = [("main", facts.main), ("ledger head", facts.head or "there is no ledger")]
    rows += [("compared with kept head", head) for head in facts.kept]
    rows += [("begins after", facts.since)] if facts.since else []
    rows.append(("pull requests", "asked from the forge" if facts.ways is not None else "from evidence alone"))
    rows.append(("keys on main", ", ".join(f"{n} ({k.owner})" for n, k in facts.rules.keys.items()) or "none"))
    yield "".join(f"<dt>{name}</dt><dd><code>{_text(value)}</code></dd>" for name, value in rows) + "</dl>"
    if not facts.kept:
        yield '<p class="soft">No ledger head was given to compare with, so a rewritten ledger could not be told.'
        yield "Keep the one above in another place, and give it to the next audit.</p>"


def _findings(audit: Audit) -> Iterator[str]:
    yield "<h2>Findings</h2>"
    if not audit.findings:
        yield "<p>None.</p>"
        return
    rows = (
        (_mark(f.phase, f.kind.value), _code(f.subject), _text(f.message), _code(f.commit[:12]))
        for f in sorted(audit.findings, key=lambda f: (f.phase is not Phase.FAILED, f))
    )
    yield from _table(("finding", "where", "what", "commit"), rows, len(audit.findings))


def _changes(audit: Audit) -> Iterator[str]:
    yield "<h2>Changes of deployments on main</h2>"
    if audit.older:
        yield f'<p class="soft">{audit.older} older changes were not judged.</p>'
    if not audit.changes:
        yield "<p>None.</p>"
        return
    heads = (
        "",
        "time (UTC)",
        "model",
        "environment",
        "version",
        "pull request",
        "gate",
        "approvals",
        "approved by",
        "recorded as",
        "by",
    )
    yield from _table(heads, map(_change, reversed(audit.changes)), len(audit.changes))


def _change(row: ChangeRow) -> Sequence[str]:
    return (
        _mark(row.phase),
        _text(row.time.replace("T", " ").rstrip("Z")),
        _text(row.model),
        _text(row.environment),
        _code(row.version),
        f"#{row.pull}" if row.pull else "–",
        _gate(row),
        _text(row.approval or "–"),
        _text(", ".join(row.approvers) or "–"),
        _text(row.placed or "–"),
        _text(row.by or "–"),
    )


def _gate(row: ChangeRow) -> str:
    return _text(f"{row.gate}; overridden: {row.overridden}" if row.overridden else row.gate or "–")


def _events(audit: Audit) -> Iterator[str]:
    yield "<h2>Evidence</h2>"
    if not audit.events:
        yield "<p>None.</p>"
        return
    counts = Counter(e.binding.kind if e.binding else "unreadable" for e in audit.events)
    yield f"<p>{_text(', '.join(f'{n} {kind}' for kind, n in sorted(counts.items())))}, newest first.</p>"
    heads = ("", "time (UTC)", "kind", "about", "result", "signed by", "event")
    yield from _table(heads, map(_event, reversed(audit.events)), len(audit.events))


def _event(event: Believed) -> Sequence[str]:
    about = event.binding
    phase = Phase.SUCCESSFUL if event else Phase.FAILED
    if about is None:
        return _mark(phase), "–", "–", _text(event.why_not), "–", "–", _code(event.name)
    where = f"{about.model} in {about.environment}" if about.environment else about.model
    what = " ".join(word for word in (where, about.version) if word)
    signer = event.signer if event else event.why_not
    time = about.time.replace("T", " ").rstrip("Z")
    return (
        _mark(phase),
        _text(time),
        _text(about.kind),
        _text(what),
        _text(about.result),
        _text(signer),
        _code(event.name),
    )


def _foot() -> Iterator[str]:
    yield "<h2>How to check this</h2>"
    yield "<p>The files beside this page hold every signed envelope and the public keys:"
    yield "<code>gitml audit --export DIR</code> judges them again, without a network and without the repository.</p>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], count: int) -> Iterator[str]:
    yield '<div class="wrap"><table><thead><tr>' + "".join(f"<th>{h}</th>" for h in heads) + "</tr></thead><tbody>"
    for number, row in enumerate(rows):
        if number == MOST:
            break
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"
    if count > MOST:
        yield f'<p class="soft">{count - MOST} more are in the files beside this page.</p>'


def _mark(phase: Phase, word: str = "") -> str:
    return f'<span class="mark {phase.value}" title="{phase.value}">{_MARKS[phase]} {_text(word)}</span>'


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else "–"


def _text(text: str) -> str:
    """Escaped; control characters, and those that turn the direction of text, are made visible."""
    return escape("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))
