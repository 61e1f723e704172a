"""An audit as files: JSON Lines and CSV for other tools, a page for people, and all that it takes to judge it again.

The same facts give the same bytes, so that two exports can be compared, and an edited one be told.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gitml.evidence.audit import Audit, ChangeRow
from gitml.evidence.facts import AuditFacts, Rules
from gitml.evidence.statement import strict_json
from gitml.evidence.trust import Believed
from gitml.git.ledgerline import LedgerEntry, Line, grown
from gitml.jsontext import plain

FACTS, KEYS, EVENTS, LOOKS, CHANGES, FINDINGS, VERDICT = (
    "facts.json",
    "keys.json",
    "events.jsonl",
    "looks.jsonl",
    "changes.jsonl",
    "findings.jsonl",
    "verdict.json",
)
_FORMAT = "gitml audit 1"
# What spreadsheets take for the beginning of a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def files(audit: Audit) -> dict[str, bytes]:
    """Every file of the export but the page, by name."""
    changes, events, findings = ([*map(change_row, audit.changes)], [*map(event_row, audit.events)], audit.findings)
    found, looks = plain(findings), [*map(event_row, audit.looks)]
    return {
        FACTS: _json(_facts(audit)),
        KEYS: _json({"policies": [*map(_keys, audit.facts.policies)]}),
        VERDICT: _json({"repository": audit.facts.repository, **plain(audit.verdict)}),
        EVENTS: _lines(events),
        LOOKS: _lines(looks),
        CHANGES: _lines(changes),
        FINDINGS: _lines(found),
        "events.csv": csv_text(events, event_row_columns()),
        "looks.csv": csv_text(looks, event_row_columns()),
        "changes.csv": csv_text(changes, tuple(ChangeRow.__dataclass_fields__)),
        "findings.csv": csv_text(found, ("finding", "phase", "subject", "message", "commit")),
    }


def change_row(row: ChangeRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ChangeRow.__dataclass_fields__}
    return {**values, "approvers": list(row.approvers), "events": list(row.events), "phase": row.phase.value}


def event_row_columns() -> tuple[str, ...]:
    about = ("kind", "time", "model", "environment", "version", "artifact", "pull", "by", "run", "result")
    return ("event", "commit", "believed", "reason", "signer", *about)


def event_row(event: Believed) -> dict[str, Any]:
    """One event: what it says of itself, and whether it counts. Its envelope is among the facts."""
    about = event.binding.to_dict() if event.binding else {}
    given = {
        "event": event.name,
        "commit": event.event.commit,
        "believed": bool(event),
        "reason": event.why_not,
        "signer": event.signer,
        **about,
    }
    return {name: given.get(name, "") for name in event_row_columns()}


def _keys(rules: Rules) -> dict[str, Any]:
    """The keys that one state of policy.yaml named, for a reader that knows no YAML."""
    keys = [{"name": name, **key.model_dump(mode="json", by_alias=True)} for name, key in sorted(rules.keys.items())]
    return {"commit": rules.commit, "sha256": rules.digest, "keys": keys}


def _facts(audit: Audit) -> dict[str, Any]:
    """The facts with those positions alone that something refers to; positions only have to keep their order."""
    facts = audit.facts
    named = {
        facts.main,
        facts.since,
        *(c.commit for c in (*facts.changes, *facts.records)),
        *(p.commit for p in facts.policies),
    }
    named |= {commit for change in facts.changes for commit in change.parents[:1]}
    named |= {word for e in audit.events if e.binding for word in (e.binding.base, e.binding.head)}
    order = {commit: place for commit, place in facts.order.items() if commit in named}
    bare = replace(facts, order=order, contents={}, line=replace(facts.line, entries={}))
    plain = TypeAdapter(AuditFacts).dump_python(bare, mode="json")
    contents = {oid: base64.b64encode(content).decode() for oid, content in sorted(facts.contents.items())}
    return {
        "format": _FORMAT,
        **plain,
        "contents": contents,
        "entries": [[*entry, list(behind)] for entry, behind in facts.line.entries.items()],
        "versions": sorted(facts.versions),
        "lines": sorted(facts.lines),
    }


def parse_facts(raw: bytes) -> AuditFacts:
    """The facts of an export. Raises ValueError."""
    data = strict_json(raw)
    if not isinstance(data, dict) or data.pop("format", None) != _FORMAT:
        raise ValueError(f"{FACTS} is no {_FORMAT}")
    try:
        contents = {oid: base64.b64decode(text, validate=True) for oid, text in data.pop("contents").items()}
        told = data.pop("entries", None)
        facts = TypeAdapter(AuditFacts).validate_python({**data, "contents": {}})
        return replace(facts, contents=contents, line=_line(facts, told))
    except (ValidationError, KeyError, AttributeError, TypeError, ValueError) as exc:
        raise ValueError(f"{FACTS} cannot be read: {exc}") from exc


def _line(facts: AuditFacts, told: Any) -> Line:
    """An older export has the commits alone. Raises ValueError for it where another ledger was put in front."""
    if told is not None:
        entries = {LedgerEntry(str(name), str(blob)): tuple(map(str, behind)) for name, blob, behind in told}
        return replace(facts.line, entries=entries)
    if facts.lines:
        raise ValueError("an older gitml made it of a ledger that was put behind another: export it anew")
    return grown(facts.ledger)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=True, allow_nan=False, sort_keys=True).encode() + b"\n"


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    dumped = (json.dumps(row, ensure_ascii=True, allow_nan=False, separators=(",", ":")) for row in rows)
    return "".join(f"{line}\n" for line in dumped).encode()


def csv_text(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    """RFC 4180, with nothing in it that a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """
    >>> _cell("=HYPERLINK(1)"), _cell(None), _cell(True), _cell(["a", "b"])
    ("'=HYPERLINK(1)", '', 'true', 'a b')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = " ".join(value) if isinstance(value, list) else str(value)
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return f"'{text}" if text.startswith(_FORMULA) else text
