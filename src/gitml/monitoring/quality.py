"""The data contract: rules that every window keeps or breaks, whatever the statistics say.

Each breach names its column, what was expected, what was seen, and since which window without a break.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.special import bdtrc

from gitml.models.fields import Field
from gitml.monitoring.subject import Look, Subject
from gitml.sketches.grids import CategoryGrid, NumberGrid
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import ColumnSketch
from gitml.spec.monitors import MonitorQuality
from gitml.verdict import Phase, Verdict

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
# Fewer rows than this are of one value by chance; fewer windows than this have no median worth the name.
_SOME_ROWS, _SOME_LOOKS = 30, 3
_SAME_ALL_DAY = 0.99
_HALF = 0.5
# A rule about a share of rows is not broken by what happens in one of so many windows anyway.
_NO_CHANCE = 1e-3
_REFUSED, _FAILED = ("invalid", "refused", "busy"), ("failed", "timed out", "dropped")


@dataclass(frozen=True)
class Breach:
    """``column`` is the model's own name, '' where a rule is of the whole window."""

    rule: str
    column: str
    expected: str
    seen: str
    since: datetime

    def __str__(self) -> str:
        of = f"{self.column}: " if self.column else ""
        return f"{of}{self.rule}: {self.seen}, expected {self.expected}, since {self.since:%Y-%m-%d %H:%M} UTC"


def judge_quality(
    subject: Subject, looks: Sequence[Look], rules: MonitorQuality, duplicates: float | None = None
) -> tuple[Verdict, tuple[Breach, ...]]:
    """Of the newest look; the others say since when. ``duplicates``: the share of repeated rows in the newest one."""
    if not any(rows_of(look) or _asked(look) for look in looks):
        return Verdict(Phase.INCONCLUSIVE, "no request of this version came in any window"), ()
    newest = breaches_of(subject, looks, rules)
    if duplicates is not None and rules.duplicates is not None and duplicates > rules.duplicates:
        newest["duplicates", ""] = (f"at most {rules.duplicates:.1%} repeated rows", f"{duplicates:.1%}")
    found = tuple(
        Breach(rule, column, expected, seen, _since(subject, looks, rules, (rule, column)))
        for (rule, column), (expected, seen) in newest.items()
    )
    measured = {"rows": rows_of(looks[-1]), "rules broken": len(found)}
    if not found:
        return Verdict(Phase.SUCCESSFUL, "the data keep their contract", measured), ()
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Verdict(Phase.FAILED, f"{found[0]}{more}", measured), found


Broken = dict[tuple[str, str], tuple[str, str]]


def breaches_of(subject: Subject, looks: Sequence[Look], rules: MonitorQuality) -> Broken:
    """(rule, column) → what was expected and what was seen in the last of ``looks``."""
    look, found = looks[-1], Broken()
    for rule, expected, seen in (*_of_requests(look, rules), *_of_volume(looks, rules)):
        found[rule, ""] = (expected, seen)
    for name, field in subject.fields.items():
        for rule, expected, seen in _of_column(_Column(name, field, subject, look.sketch.columns[name]), rules):
            found[rule, field.name] = (expected, seen)
    return found


def _since(subject: Subject, looks: Sequence[Look], rules: MonitorQuality, broken: tuple[str, str]) -> datetime:
    first = looks[-1].since
    for end in range(len(looks) - 1, 0, -1):
        # Without rows nothing was kept or broken.
        if rows_of(looks[end - 1]) or broken[0] == "volume":
            if broken not in breaches_of(subject, looks[:end], rules):
                break
            first = looks[end - 1].since
    return first


Told = Iterator[tuple[str, str, str]]


@dataclass(frozen=True)
class _Column:
    name: str
    field: Field
    subject: Subject
    live: ColumnSketch

    @property
    def present(self) -> int:
        return int(self.live.cells.sum())

    @property
    def missing(self) -> int:
        return int(self.live.missing.sum()) - self.live.unfit

    @property
    def rows(self) -> int:
        return self.present + self.missing + self.live.unfit

    @property
    def reference(self) -> ReferenceSketch | None:
        return self.subject.reference_of(self.name)

    @property
    def before(self) -> ColumnSketch | None:
        return self.reference.sketch.columns[self.name] if self.reference else None


def _of_column(column: _Column, rules: MonitorQuality) -> Told:
    live, rows = column.live, column.rows
    if live.absent:
        yield "absent", "the column in every row", f"{live.absent:,} of {rows + live.absent:,} rows are without it"
    if not rows:
        return
    if live.unfit > rules.unfit * rows:
        yield "type", column.field.expected, f"another type in {live.unfit / rows:.1%} of rows"
    if live.infinite:
        yield "infinite", "finite numbers", f"{live.infinite:,} infinite ones"
    yield from _missing(column, rules)
    if column.present:
        for rule in (_unseen, _outside, _constant):
            yield from rule(column, rules)


def _missing(column: _Column, rules: MonitorQuality) -> Told:
    share, before = column.missing / column.rows, column.before
    if not column.field.nullable and column.missing:
        yield "missing", "no missing value", f"{share:.1%} missing"
    elif before is not None and (usual := _missing_share(before)) < _HALF:
        most = 1 - (1 - usual) * (1 - rules.missing)
        if _is_more(column.missing, column.rows, most):
            yield "missing", f"at most {most:.1%} missing", f"{share:.1%}"


def _missing_share(before: ColumnSketch) -> float:
    missing = int(before.missing.sum())
    return missing / max(missing + int(before.cells.sum()), 1)


def _is_more(count: int, rows: int, share: float) -> bool:
    """Whether more than the share of the rows are so, and no chance makes as many of it: one row of fifty is 2 %, and
    comes in half of all windows in which 1 % of the rows are like it.

    >>> [_is_more(count, 50, 0.01) for count in (1, 4, 5)], [_is_more(count, 1_000, 0.01) for count in (11, 30)]
    ([False, False, True], [False, True])
    """
    return count > share * rows and float(bdtrc(count - 1, rows, share)) < _NO_CHANCE


def _unseen(column: _Column, rules: MonitorQuality) -> Told:
    grid = column.subject.layout.columns[column.name]
    if not isinstance(grid, CategoryGrid) or not grid.categories:
        return
    known = column.field.categories
    # What the reference does not have, and what it has of words that the model does not know.
    places = [len(grid.categories), *(i for i, word in enumerate(grid.categories) if known and word not in known)]
    count, before = int(column.live.cells[:, places].sum()), column.before
    usual = int(before.cells[:, places].sum()) / max(int(before.cells.sum()), 1) if before is not None else 0.0
    most = max(2 * usual, usual + rules.unseen)
    if _is_more(count, column.present, most):
        yield "unseen", f"at most {most:.1%} of categories not known", f"{count / column.present:.1%}"


def _outside(column: _Column, rules: MonitorQuality) -> Told:
    grid, before = column.subject.layout.columns[column.name], column.before
    if not isinstance(grid, NumberGrid) or len(grid.edges) < 2 or before is None or before.least is None:
        return
    count, live = int(column.live.cells[:, [0, -1]].sum()), column.live
    if (
        not _is_more(count, column.present, rules.outside)
        or before.most is None
        or live.least is None
        or live.most is None
    ):
        return
    far = rules.margin * (before.most - before.least)
    low, high = before.least - far, before.most + far
    if live.least < low or live.most > high:
        # The extremes themselves are single rows' values, and those that were seen are nobody's business.
        ends = " and ".join(end for end, is_off in (("below", live.least < low), ("above", live.most > high)) if is_off)
        yield (
            "range",
            f"about {low:.2g} to {high:.2g}",
            f"far {ends}; {count / column.present:.1%} outside the reference's range",
        )


def _constant(column: _Column, rules: MonitorQuality) -> Told:
    before, reference = column.before, column.reference
    if not rules.constant or before is None or reference is None or column.present < _SOME_ROWS:
        return
    # It does not rain for days, and the weekday is the same all day: neither is a mistake.
    if before.cells.sum(axis=0).max() > _HALF * before.cells.sum():
        return
    if any(reference.alike.get(cluster, {}).get(column.name, 0.0) >= _SAME_ALL_DAY for cluster in ("hour", "day")):
        return
    if _varies(before) and not _varies(column.live):
        yield "constant", "several values", f"one value in {column.present:,} rows"


def _varies(column: ColumnSketch) -> bool:
    if column.least is not None:
        return column.least != column.most
    return int(np.count_nonzero(column.cells.sum(axis=0))) > 1 or bool(column.cells[:, -1].any())


def _of_requests(look: Look, rules: MonitorQuality) -> Told:
    asked = _asked(look)
    for rule, outcomes, most in (("refused", _REFUSED, rules.refused), ("failed", _FAILED, rules.failed)):
        count = sum(requests for route, (_, requests) in look.sketch.routes.items() if route[2] in outcomes)
        if asked and count > most * asked:
            yield rule, f"at most {most:.1%} of requests", f"{count / asked:.1%} of {asked:,}"


def _asked(look: Look) -> int:
    return sum(requests for _, requests in look.sketch.routes.values())


def _of_volume(looks: Sequence[Look], rules: MonitorQuality) -> Told:
    look, rows = looks[-1], rows_of(looks[-1])
    usual = _usual(looks)
    if usual and (rows * rules.volume < usual or rows > usual * rules.volume):
        low, high = usual / rules.volume, usual * rules.volume
        yield "volume", f"{low:,.0f} to {high:,.0f} rows ({usual:,.0f} are usual)", f"{rows:,} rows"
    if rules.fresh is not None:
        newest = max((hour for hour, _ in look.sketch.hours), default=None)
        # To the hour: the newest row may have come at its end.
        age = look.until - datetime.fromtimestamp((newest + 1) * 3600, UTC) if newest is not None else None
        if age is None or age > rules.fresh:
            seen = "no row" if age is None else f"the newest is {age // _HOUR} h old"
            yield "fresh", f"a row of the last {rules.fresh}", seen


def _usual(looks: Sequence[Look]) -> float:
    """The median rows of the windows before, of the same weekday where a window is a day; 0 where there are too few."""
    length = looks[-1].until - looks[-1].since
    started = next((i for i, look in enumerate(looks) if rows_of(look)), len(looks))
    before = looks[started:-1]
    if length == _DAY:
        weekdays = [look for look in before if (looks[-1].since - look.since).days % 7 == 0]
        before = weekdays if len(weekdays) >= _SOME_LOOKS else before
    # The window in which a version came is not a whole one.
    before = before if len(before) <= _SOME_LOOKS else before[1:] if before[0] is looks[started] else before
    return float(statistics.median(map(rows_of, before))) if len(before) >= _SOME_LOOKS else 0.0


def rows_of(look: Look) -> int:
    return int(look.sketch.rows.sum())
