"""What the change consists of: data, params, packages, code, commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitml.reports.cut import Section
from gitml.reports.escape import code, link, path_in_url, prose, row
from gitml.reports.facts import Report, ReportedChange, ReportedCommit, ReportedModel, ReportedShift, Table
from gitml.reports.figures import plural, share, signed
from gitml.reports.tables import MORE_ROWS, folded, header

_OPEN_ROWS = 12
_NAMED = 6


def changes(model: ReportedModel, before: str) -> Iterator[Section]:
    """One table: data, params, columns, packages, code. Folded when it is long. ``before`` heads the old column."""
    lines = [
        *(line for table in model.data for line in _table(table)),
        *(_line("param", change) for change in model.params),
        *_signature(model.signature),
        *(_line("package", change) for change in model.packages),
        *_code(model.code),
    ]
    if not lines:
        return
    if model.left_out:
        lines.append(row([f"and {plural(model.left_out, 'change')} more", "", ""]))
    head = header(["what changed", before, "here"], "lll")
    if len(lines) <= _OPEN_ROWS:
        yield Section(2, head, tuple(lines), "", MORE_ROWS)
    else:
        count = len(lines) + (model.left_out - 1 if model.left_out else 0)
        yield folded(plural(count, "change") + " of data, params, packages and code", head, lines, 2)


def _table(table: Table) -> Iterator[str]:
    path = code(table.path)
    if table.old_rows != table.new_rows:
        gap = ""
        if table.old_rows is not None and table.new_rows is not None:
            gap = f" ({signed(float(table.new_rows - table.old_rows), 0)})"
        yield row([f"rows of {path}", _count(table.old_rows), _count(table.new_rows) + gap])
    if table.added or table.removed:
        yield row([f"columns of {path}", _columns(table.removed, "without"), _columns(table.added, "with")])
    for shift in table.missing:
        yield row([f"missing in {code(shift.name)} of {path}", share(shift.old), share(shift.new)])
    for shift in table.labels:
        yield row([f"label {code(shift.name)} of {path}", share(shift.old), share(shift.new)])
    said = table.old_rows != table.new_rows or table.added or table.removed or table.missing or table.labels
    if not said:
        old, new = (code(digest[:12]) if digest else "–" for digest in (table.old_digest, table.new_digest))
        yield row([f"content of {path}", old, new])


def _count(rows: int | None) -> str:
    return "–" if rows is None else f"{rows:,}"


def _columns(names: Sequence[str], word: str) -> str:
    if not names:
        return ""
    return f"{word} {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(code(name, 40) for name in names[:_NAMED]) + more


def _line(kind: str, change: ReportedChange) -> str:
    return row([f"{kind} {code(change.name)}", *(_value(value) for value in (change.old, change.new))])


def _value(value: str | None) -> str:
    return "–" if value is None else code(value)


def _signature(found: Sequence[ReportedChange]) -> Iterator[str]:
    """Columns that the model takes or gives: those that came and went in one line, the changed ones in one each."""
    new, gone = [c.name for c in found if c.old is None], [c.name for c in found if c.new is None]
    if new or gone:
        yield row(["columns of the model", _columns(gone, "without"), _columns(new, "with")])
    yield from (_line("column of the model", c) for c in found if c.old is not None and c.new is not None)


def _code(found: Sequence[ReportedChange]) -> Iterator[str]:
    """Digests of files say nothing to a reader; which files they are does."""
    parts = {
        "changed": [c.name for c in found if c.old is not None and c.new is not None],
        "new": [c.name for c in found if c.old is None],
        "gone": [c.name for c in found if c.new is None],
    }
    for word, names in parts.items():
        if names:
            yield row([f"code, {word}", "", _listed(names)])


def commits(report: Report, repository: str) -> Iterator[Section]:
    """The commits of the change, newest first as they come. ``repository`` is the address of its pages."""
    if report.commits:
        lines = tuple(_commit(commit, repository) for commit in report.commits)
        head = f"<details>\n<summary>{plural(len(lines), 'commit')}</summary>\n"
        yield Section(5, head, lines, "\n</details>", MORE_ROWS)


def _commit(commit: ReportedCommit, repository: str) -> str:
    label = code(commit.sha[:8])
    shown = link(label, f"{repository}/commit/{path_in_url(commit.sha)}") if repository else label
    return f"- {shown} {prose(commit.subject, 100)} — {prose(commit.author, 60)}"


def shifts(found: Sequence[ReportedShift]) -> tuple[ReportedShift, ...]:
    """Those whose share changed, the largest change first: what a report needs of a long list."""
    changed = [s for s in found if s.old != s.new]
    return tuple(sorted(changed, key=lambda s: -abs((s.new or 0.0) - (s.old or 0.0))))
