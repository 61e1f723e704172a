"""An export: the same bytes each time, nothing that a spreadsheet or browser would run, and judged again alone."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evidence.evidence_kit import REPOSITORY, START, World, enveloped, key_pair, named, world
from gitml.errors import UsageError
from gitml.evidence.audit import Audit
from gitml.evidence.audit import audit as judge
from gitml.evidence.facts import AuditFacts
from gitml.git import ledger
from gitml.promotion.audit import AuditCall, audit
from gitml.promotion.auditexport import export, reread
from gitml.verdict import Phase

NOW = START + timedelta(days=2)
HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two promotions, one of them without evidence; people with hostile names; a key that nobody knows."""
    made = world(tmp_path_factory.mktemp("exported"))
    made.promote("one")
    made.deploy("two", author=HOSTILE)
    stranger, _ = key_pair()
    about = made.deploy("three")
    made.record(about.model_copy(update={"kind": "gate", "run": f"=HYPERLINK(1) {HOSTILE}"}), key=stranger)
    made.record(about.model_copy(update={"kind": "approved", "run": "@SUM(1)"}))
    made.rewrite_ledger('echo x > "<img src=x onerror=alert(1)>"')
    made.publish()
    return made


@pytest.fixture
def audited(app: World) -> Audit:
    return audit(app.root, {}, AuditCall(repository=REPOSITORY), now=NOW)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_bytes_and_the_same_verdict(audited: Audit, tmp_path: Path) -> None:
    export(audited, tmp_path / "a")
    export(audited, tmp_path / "b")
    export(audited, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(contents(tmp_path / "a")) == 12
    again = reread(tmp_path / "a", now=NOW)
    assert (again.verdict, again.findings, again.changes) == (audited.verdict, audited.findings, audited.changes)
    assert {f.kind.value for f in again.findings} >= {"change-without-evidence", "unknown-key", "foreign-file"}
    assert "ledger-rewritten" in {f.kind.value for f in reread(tmp_path / "a", "f" * 40, now=NOW).findings}


@pytest.mark.parametrize("name", ["changes.csv", "events.jsonl", "index.html", "verdict.json"])
def test_an_edited_file_is_found(audited: Audit, tmp_path: Path, name: str) -> None:
    export(audited, tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(b"m", b"n", 1))
    found = [f for f in reread(tmp_path, now=NOW).findings if f.kind.value == "export-edited"]
    assert [f.subject for f in found] == [name]
    (tmp_path / name).unlink()
    assert (
        "is missing" in next(f for f in reread(tmp_path, now=NOW).findings if f.kind.value == "export-edited").message
    )


def test_a_forged_envelope_in_an_export_is_found(tmp_path: Path) -> None:
    """Whoever edits the facts and writes all other files anew still has no key."""
    made = world(tmp_path)
    made.promote("one")
    made.publish()
    good = audit(made.root, {}, AuditCall(repository=REPOSITORY), now=NOW)
    assert good.verdict.phase is Phase.SUCCESSFUL
    oid, envelope = next((o, c) for o, c in good.facts.contents.items() if b'"sig"' in c)
    sig = json.loads(envelope)["signatures"][0]["sig"]
    forged = envelope.replace(sig.encode(), sig[::-1].encode().replace(b"=", b"A")[:86] + b"==")
    facts = good.facts.__dict__ | {"contents": {**good.facts.contents, oid: forged}}
    export(judge(AuditFacts(**facts), NOW), tmp_path / "out")
    again = reread(tmp_path / "out", now=NOW)
    assert {"bad-signature", "event-misnamed"} & {f.kind.value for f in again.findings}
    assert again.verdict.phase is Phase.FAILED


def test_files_that_are_no_export(audited: Audit, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="no export"):
        export(audited, tmp_path)
    with pytest.raises(UsageError, match="no export"):
        reread(tmp_path)
    for text in (b"", b"[]", b"{}", b'{"format": "gitml audit 1"}', b"\xff"):
        folder = tmp_path / "broken"
        folder.mkdir(exist_ok=True)
        (folder / "facts.json").write_bytes(text)
        with pytest.raises(UsageError):
            reread(folder)


def test_no_cell_is_a_formula(audited: Audit, tmp_path: Path) -> None:
    export(audited, tmp_path)
    cells = []
    for name in ("events.csv", "changes.csv", "findings.csv"):
        rows = list(csv.reader(io.StringIO((tmp_path / name).read_text(encoding="utf-8"), newline="")))
        assert len({len(row) for row in rows}) == 1
        cells += [cell for row in rows for cell in row]
    assert not [c for c in cells if c.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert "'@SUM(1)" in cells
    assert not [c for c in cells if not c.isprintable()]


def test_json_lines(audited: Audit, tmp_path: Path) -> None:
    export(audited, tmp_path)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [e["kind"] for e in events] == [e.binding.kind if e.binding else "" for e in audited.events]
    assert [e["believed"] for e in events].count(False) == 1
    changes = [json.loads(line) for line in (tmp_path / "changes.jsonl").read_text().splitlines()]
    assert [c["phase"] for c in changes] == ["successful", "failed", "failed"]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_is_whole_and_harmless(audited: Audit, tmp_path: Path) -> None:
    export(audited, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert not tags.tags & {"script", "img", "iframe", "link", "object", "a", "form"}
    assert tags.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "title"}
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert not re.search(r"https?://|url\(", text)
    assert "The audit found failures" in text


def test_who_approved_and_who_overrode_is_told_in_words(tmp_path: Path) -> None:
    made = world(tmp_path)
    about = made.deploy("one")
    words = "size opened by rita, olga until 2026-04-01 12:00 UTC: the holiday week"
    details: dict[str, dict[str, object]] = {
        "gate": {"override": {"gates": ["size"], "verdict": {"reason": words}}},
        "approved": {"approvers": ["olga", "rita"]},
        "promoted": {},
    }
    for kind, said in details.items():
        mine = about.model_copy(update={"kind": kind})
        envelope = enveloped(mine, made.key, said)
        ledger.append(made.server, {named(mine, envelope): envelope})
    made.publish()
    found = audit(made.root, {}, AuditCall(repository=REPOSITORY), now=NOW)
    (row,) = found.changes
    assert (row.approvers, row.overridden, row.phase) == (("olga", "rita"), words, Phase.SUCCESSFUL)
    export(found, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<td>olga, rita</td>" in page
    assert f"passed; overridden: {words}" in page
    (line,) = csv.DictReader(io.StringIO((tmp_path / "out" / "changes.csv").read_text()))
    assert (line["approvers"], line["overridden"]) == ("olga rita", words)
    assert reread(tmp_path / "out", now=NOW).changes == found.changes
