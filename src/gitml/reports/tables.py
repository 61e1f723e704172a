"""The metrics of one model against those of other versions, and by group of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitml.reports.cut import Section
from gitml.reports.escape import code, html_code, row
from gitml.reports.facts import ReportedComparison, ReportedMetric, ReportedModel, ReportedSlice, SliceMetric
from gitml.reports.figures import between, decimals, figure, plural, signed
from gitml.reports.headline import leading, on_other_rows, places_of, reading
from gitml.reports.noise import JudgedRows, contained, judge
from gitml.reports.rowfacts import ComparisonRole, Row
from gitml.stats.comparison import Reading

MORE_ROWS = "\n*and {} more*"


def folded(summary: str, head: str, rows: Sequence[str], rank: int) -> Section:
    """A table that opens with a click. ``summary`` is HTML already."""
    opening = f"<details>\n<summary>{summary}</summary>\n\n{head}"
    return Section(rank, opening, tuple(rows), "\n</details>", MORE_ROWS)


def header(cells: Sequence[str], aligned: str) -> str:
    """The first two lines of a table; ``aligned`` has an l or r for each column."""
    rules = {"l": ":--", "r": "--:"}
    return f"{row(cells)}\n| {' | '.join(rules[a] for a in aligned)} |"


def metrics(model: ReportedModel) -> Iterator[Section]:
    """The table that the verdict speaks of in full, other comparisons and metrics without a direction folded."""
    lead = leading(model)
    if lead is None:
        if model.metrics:
            yield _alone(model.metrics)
        return
    judged = judge(lead.rows)
    rows = [r for r in lead.rows if r.reading is not Reading.UNKNOWN]
    rest = [r for r in lead.rows if r.reading is Reading.UNKNOWN]
    if rows:
        said = [f"*{words}*" for words in (contained(rows), _unpaired(rows)) if words]
        tail = "".join(f"\n{words}" for words in said)
        yield Section(1, metric_head(_title(lead)), tuple(metric_line(r, judged) for r in rows), tail, MORE_ROWS)
    yield from _environments(model, lead)
    yield from _recorded(model, lead)
    if rest:
        summary = f"{plural(len(rest), 'other metric')}, not judged" if rows else plural(len(rest), "metric")
        yield folded(summary, metric_head(_title(lead)), [metric_line(r, judged) for r in rest], 6)


def _recorded(model: ReportedModel, lead: ReportedComparison) -> Iterator[Section]:
    """Metrics that the version was recorded with, and that rows alone do not tell: there is nothing to hold them
    against."""
    told = {row.metric for row in lead.rows}
    rest = [m for m in model.metrics if m.name not in told]
    if rest and model.holdout and model.holdout.changed:
        summary = f"{plural(len(rest), 'other metric')} of its own hold-out, not comparable"
        alone = _alone(rest)
        yield folded(summary, alone.head, alone.rows, 6)


def _unpaired(rows: Sequence[Row]) -> str:
    """Said because an interval of unpaired rows hides differences that a paired one shows."""
    if not any(row.low is not None and not row.paired for row in rows):
        return ""
    return (
        "Not paired, as the two have other test rows, or one no replicates: the intervals are wider than paired ones."
    )


def _environments(model: ReportedModel, lead: ReportedComparison) -> Iterator[Section]:
    seen = {lead.version}
    for comparison in model.comparisons:
        if comparison is lead or not comparison.rows or (comparison.version in seen and comparison.version):
            continue
        if on_other_rows(model, comparison):
            continue
        seen.add(comparison.version)
        judged = judge(comparison.rows)
        summary = f"Against {html_code(comparison.name)}: {judged.word.value}"
        rows = [metric_line(r, judged) for r in comparison.rows if r.reading is not Reading.UNKNOWN]
        if rows:
            yield folded(summary, metric_head(_title(comparison)), rows, 3)


def _title(comparison: ReportedComparison) -> str:
    return "before" if comparison.role is ComparisonRole.BEFORE else code(comparison.name, 40)


def metric_head(other: str) -> str:
    return header(["metric", other, "here", "difference", "95 % interval", ""], "lrrrrl")


def metric_line(found: Row, judged: JudgedRows) -> str:
    places = places_of(found)
    return row(
        [
            code(found.metric),
            figure(found.old, places),
            figure(found.new, places),
            signed(found.value, places) if found.value is not None else "",
            between(found.low, found.high, places, sign=True),
            reading(found, judged),
        ]
    )


def _alone(found: Sequence[ReportedMetric]) -> Section:
    ordered = sorted(found, key=lambda metric: metric.better is None)
    lines = []
    for metric in ordered:
        places = _places(metric)
        lines.append(row([code(metric.name), figure(metric.value, places), between(metric.low, metric.high, places)]))
    return Section(1, header(["metric", "here", "95 % interval"], "lrr"), tuple(lines), "", MORE_ROWS)


def _places(metric: ReportedMetric | SliceMetric) -> int:
    if metric.low is None or metric.high is None:
        return decimals(None)
    return decimals(metric.high - metric.low)


@dataclass(frozen=True)
class _Group:
    """A slice's value of the metric that groups are ordered by; ``gap`` is how much worse than the whole."""

    group: ReportedSlice
    metric: SliceMetric
    gap: float
    is_worse: bool


def slices(model: ReportedModel) -> Iterator[Section]:
    """Groups of rows, the worst first, by the first metric with a direction that they have."""
    chosen = next((m for m in model.metrics if m.better and _judged(model.slices, m.name)), None)
    if chosen is None or chosen.value is None:
        return
    groups = sorted(_groups(model.slices, chosen), key=lambda g: -g.gap)
    small = [s for s in model.slices if not s.metrics]
    worse = sum(g.is_worse for g in groups)
    said = f"{worse} of {len(groups)} groups worse than the whole" if worse else "no group clearly worse than the whole"
    summary = f"Groups of rows by {html_code(chosen.name)}: {said}"
    whole = figure(chosen.value, _places(chosen))
    head = header(["group", "rows", code(chosen.name, 40), "95 % interval", "before", f"whole: {whole}"], "lrrrrl")
    section = folded(summary, head, [_group_line(g) for g in groups], 4)
    yield Section(section.rank, section.head, section.rows, _small(small) + section.tail, section.more)


def _judged(groups: Sequence[ReportedSlice], name: str) -> bool:
    return any(m.name == name and m.value is not None for group in groups for m in group.metrics)


def _groups(groups: Sequence[ReportedSlice], chosen: ReportedMetric) -> Iterator[_Group]:
    for group in groups:
        for metric in group.metrics:
            if metric.name == chosen.name and metric.value is not None and chosen.value is not None:
                sign = 1 if chosen.better == "higher" else -1
                best = metric.high if sign > 0 else metric.low
                is_worse = best is not None and sign * (chosen.value - best) > 0
                yield _Group(group, metric, sign * (chosen.value - metric.value), is_worse)


def _group_line(found: _Group) -> str:
    metric, places = found.metric, _places(found.metric)
    return row(
        [
            f"{code(found.group.column, 40)} = {code(found.group.value, 40)}",
            f"{found.group.rows:,}",
            figure(metric.value, places),
            between(metric.low, metric.high, places),
            figure(metric.old, places) if metric.old is not None else "",
            "▼ worse" if found.is_worse else "",
        ]
    )


def _small(groups: Sequence[ReportedSlice], most: int = 12) -> str:
    if not groups:
        return ""
    named = ", ".join(f"{code(g.column, 30)} = {code(g.value, 30)} ({g.rows:,})" for g in groups[:most])
    more = f" and {len(groups) - most} more" if len(groups) > most else ""
    return f"\nToo few rows to judge {plural(len(groups), 'group')}: {named}{more}.\n"
