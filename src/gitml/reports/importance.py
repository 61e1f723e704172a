"""What a version goes by, and what changed in that, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from gitml.reports.cut import Section
from gitml.reports.escape import code, html_code, row
from gitml.reports.facts import ReportedModel
from gitml.reports.figures import between, decimals, figure, plural
from gitml.reports.importancefacts import DependenceCurve, InputImportance, ReportedImportance
from gitml.reports.tables import folded, header

TOP = 5


def importance(model: ReportedModel, before: str) -> Iterator[Section]:
    """The first five inputs of this version and of the one before. ``before`` names that one."""
    new, old = model.importance, model.importance_before
    if new is None or not new.inputs:
        return
    comparable = old if old is not None and old.metric == new.metric else None
    lines = [_line(name, new, comparable) for name in _shown(new, comparable)]
    summary = f"What it goes by: {html_code(new.inputs[0].name)} first of {plural(len(new.inputs), 'input')}"
    if comparable is not None:
        count = sum(_moved(new, comparable, name) for name in _shown(new, comparable))
        summary += f", {plural(count, 'change')} beyond the intervals" if count else ", as before"
    metric = f"{code(new.metric, 40)} lost without it"
    head = header(["rank", "input", metric, "95 % interval", before, "rank", ""], "rlrrrrl")
    yield folded(summary, head, lines, 5)
    if new.curves:
        summary = "What it answers on average as these change"
        yield folded(summary, header(["input", "its value: the mean answer"], "ll"), list(map(_curve, new.curves)), 6)


def _shown(new: ReportedImportance, old: ReportedImportance | None) -> list[str]:
    first = [one.name for one in new.inputs[:TOP]]
    return list(dict.fromkeys([*first, *(one.name for one in (old.inputs[:TOP] if old else ()))]))


def _of(told: ReportedImportance | None, name: str) -> InputImportance | None:
    return next((one for one in told.inputs if one.name == name), None) if told else None


def _line(name: str, new: ReportedImportance, old: ReportedImportance | None) -> str:
    now, then = _of(new, name), _of(old, name)
    places = _places(now or then)
    rank, earlier = new.rank(name), old.rank(name) if old else None
    return row(
        [
            str(rank or ""),
            code(name, 60),
            figure(now.value, places) if now else "not an input any more",
            between(now.low, now.high, places) if now else "",
            figure(then.value, places) if then else "new" if old else "",
            str(earlier or ""),
            _word(now, then) if old else "",
        ]
    )


def _places(one: InputImportance | None) -> int:
    return decimals(None if one is None or one.low is None or one.high is None else one.high - one.low)


def _word(now: InputImportance | None, then: InputImportance | None) -> str:
    if now is None or then is None or not _apart(now, then):
        return ""
    return "▲ more" if now.value > then.value else "▼ less"


def _moved(new: ReportedImportance, old: ReportedImportance, name: str) -> bool:
    now, then = _of(new, name), _of(old, name)
    return now is None or then is None or _apart(now, then)


def _apart(one: InputImportance, other: InputImportance) -> bool:
    """Whether the intervals have nothing in common. Without both nothing is told."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low > other.high or other.low > one.high


def _curve(curve: DependenceCurve) -> str:
    points = ", ".join(f"{code(point.label, 40)}: {figure(point.mean)}" for point in curve.points)
    return row([code(curve.name, 60), points or "too few rows have the same value"])
