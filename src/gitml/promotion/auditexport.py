"""``gitml audit export`` and the way back: a folder that can be judged again without its repository."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from gitml import clock
from gitml.errors import UsageError
from gitml.evidence.audit import Audit
from gitml.evidence.audit import audit as judge
from gitml.evidence.export import FACTS, files, parse_facts
from gitml.evidence.findings import Finding, Kind
from gitml.evidence.page import page
from gitml.verdict import Phase, Verdict

PAGE = "index.html"


def export(audit: Audit, folder: Path) -> tuple[Path, ...]:
    """Write the files and the page; those of an older export there are replaced, others stay.

    Raises UsageError when the folder holds something that is no export.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / FACTS).is_file())):
        raise UsageError(f"{folder} is there and is no export of an audit", "choose an empty or a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    contents = _contents(audit)
    # The facts come last: a folder without them is no export, so one that was interrupted does not pass for whole.
    for name in sorted(contents, key=lambda n: n == FACTS):
        _write(folder / name, contents[name])
    return tuple(folder / name for name in sorted(contents))


def _contents(audit: Audit) -> dict[str, bytes]:
    return {**files(audit), PAGE: page(audit)}


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".export-", delete=False) as stream:
        stream.write(content)
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)


def reread(folder: Path, ledger_head: str = "", *, now: datetime | None = None) -> Audit:
    """Judge the facts of an export again, signatures and all; a file beside them that says something else is found."""
    path = folder / FACTS
    if not path.is_file():
        raise UsageError(
            f"{folder} is no export of an audit: there is no {FACTS}", "gitml audit export --out DIR makes one"
        )
    try:
        facts = parse_facts(path.read_bytes())
        result = judge(replace(facts, kept=(ledger_head,)) if ledger_head else facts, now or clock.now())
    except (ValueError, KeyError, AttributeError) as exc:
        raise UsageError(f"{path}: {exc}", "export the audit again") from exc
    wrong = tuple(_edited(folder, _contents(judge(facts, now or clock.now()))))
    if not wrong:
        return result
    verdict = Verdict(Phase.FAILED, f"{len(wrong)} files of the export were edited", result.verdict.measurements)
    return replace(result, findings=(*result.findings, *wrong), verdict=verdict)


def _edited(folder: Path, expected: Mapping[str, bytes]) -> list[Finding]:
    found = []
    for name, content in sorted(expected.items()):
        path = folder / name
        if not path.is_file():
            found.append(Finding(Kind.EXPORT_EDITED, name, "is missing from the export"))
        elif path.read_bytes() != content:
            found.append(Finding(Kind.EXPORT_EDITED, name, "is not what the facts of the export give"))
    return found
