"""The page of `gitml bias`: one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from gitml.reports.biasfacts import BiasCount, BiasTable, GroupMeasure, category_row

# What the numbers are, and what they are not: on the page and in the terminal alike.
PURPOSE = (
    "These numbers are input for an independent auditor. They are not an audit. A ratio below .8 is a rule of thumb "
    "for a closer look (29 CFR 1607.4 D); no law makes .8 a pass mark."
)
_STYLE = """:root{color-scheme:light dark}body{margin:0 auto;max-width:64rem;padding:2rem 1.25rem;
font:15px/1.5 system-ui,sans-serif}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8886}td.n,th.n{text-align:right}
h2{font-size:1.1rem;margin:2rem 0 .4rem}.soft{opacity:.75}"""
_HEAD = ("Category", "People", "Selected", "Rate", "95 % interval", "Impact ratio", "95 % interval", "Note")


def bias_page(found: BiasCount) -> bytes:
    """The page as UTF-8. All that comes from tables and files is escaped."""
    title = escape(f"Selection by sex, race and ethnicity: {found.model}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    parts = [f"<h1>{title}</h1>", f"<p>{escape(PURPOSE)}</p>", *map(_line, described(found))]
    parts += [text for table in found.tables for text in _table(table, found.kind)]
    parts += _measures(found.measures)
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>{_STYLE}</style>\n<body>\n{body}\n</body>\n</html>\n"
    ).encode("utf-8", "backslashreplace")


def described(found: BiasCount) -> Iterator[str]:
    """What was counted, in sentences."""
    yield f"Source: {found.source}"
    yield f"Data: {found.data}; {found.people:,} people" + (
        f"; versions {', '.join(found.versions)}" if found.versions else ""
    )
    if found.median is not None:
        yield f"Scoring rate: the share of a category above the median of the full sample, {found.median:.4g}"
    if found.nameless or found.unanswered:
        yield f"Not counted: {found.nameless:,} answers without a unit, {found.unanswered:,} people without an answer"


def cells(table: BiasTable) -> list[list[str]]:
    """The rows of a table as text, with the people of whom the category is unknown last."""
    rows = []
    for one in table.rates:
        row = category_row(one)
        counts = [f"{row[name]:,}" if row[name] is not None else "" for name in ("people", "selected")]
        rate = [_figure(row["rate"], "{:.1%}"), _range(row["rate_low"], row["rate_high"], "{:.1%}")]
        ratio = [_figure(row["impact_ratio"], "{:.2f}"), _range(row["ratio_low"], row["ratio_high"], "{:.2f}")]
        if row["impact_ratio"] == 1:
            ratio[1] = ""
        rows.append([" / ".join(one.name), *counts, *rate, *ratio, row["note"]])
    return [*rows, ["unknown", f"{table.unknown:,}", "", "", "", "", "", "not counted"]]


def heads(kind: str) -> list[str]:
    """The names of these columns."""
    above = {"Selected": "Above median", "Rate": "Scoring rate"} if kind == "scoring" else {"Rate": "Selection rate"}
    return [above.get(name, name) for name in _HEAD]


def measure_cells(measures: Sequence[GroupMeasure]) -> list[list[str]]:
    return [
        [one.table, one.name, " / ".join(one.category), f"{one.value:+.3f}", _range(*_ends(one), "{:+.3f}")]
        for one in measures
    ]


def _ends(one: GroupMeasure) -> tuple[float, float]:
    return one.interval.low, one.interval.high


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _range(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{form.format(low)} to {form.format(high)}"


def _line(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def _table(table: BiasTable, kind: str) -> Iterator[str]:
    yield f"<h2>{escape(table.title)}</h2>"
    yield _rows(heads(kind), cells(table), numbers=range(1, 7))


def _measures(measures: Sequence[GroupMeasure]) -> Iterator[str]:
    if measures:
        yield "<h2>Further measures</h2>"
        names = ["Table", "Measure", "Category", "Value", "95 % interval"]
        yield _rows(names, measure_cells(measures), numbers=range(3, 5))


def _rows(names: Sequence[str], rows: Sequence[Sequence[str]], numbers: range) -> str:
    def line(tag: str, row: Sequence[str]) -> str:
        marks = (' class="n"' if place in numbers else "" for place in range(len(row)))
        return "".join(f"<{tag}{mark}>{escape(cell)}</{tag}>" for mark, cell in zip(marks, row, strict=True))

    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table>\n<tr>{line('th', names)}</tr>\n{body}\n</table>"
