"""Two versions on the same rows, as Markdown: what is the model's doing, and what is that of an easier hold-out."""

from __future__ import annotations

from collections.abc import Iterator

from gitml.reports.cut import Section
from gitml.reports.escape import code, html_code, prose, row
from gitml.reports.facts import ReportedModel
from gitml.reports.figures import between, decimals, figure, plural, share, signed
from gitml.reports.headline import places_of
from gitml.reports.holdoutfacts import (
    InputApart,
    LikeTraffic,
    ReportedHoldOut,
    RowSet,
    SameRows,
    SliceRow,
    WindowChange,
    WindowPart,
)
from gitml.reports.noise import Word, judge, judge_strictly
from gitml.reports.rowfacts import ComparisonRole, Row
from gitml.reports.tables import MORE_ROWS, folded, header, metric_head, metric_line
from gitml.stats.comparison import Reading
from gitml.verdict import Phase, Verdict

_TITLES = {RowSet.NEW: "New hold-out", RowSet.OLD: "Old hold-out", RowSet.TRAFFIC: "Recent traffic"}
_PHASES = {Word.BETTER: Phase.SUCCESSFUL, Word.WORSE: Phase.FAILED}


def verdict(held: ReportedHoldOut) -> Verdict:
    """Better is successful, worse failed; noise, both at once and whatever was not compared are inconclusive."""
    told = held.rows_of(RowSet.NEW)
    if held.why or told is None:
        return Verdict(Phase.INCONCLUSIVE, held.why or "no rows were compared")
    word = judge_strictly(told.metrics).word
    reason = f"on the same {told.rows:,} rows it is {word.value}"
    return Verdict(_PHASES.get(word, Phase.INCONCLUSIVE), reason, {"rows": told.rows, f"{told.unit}s": told.units})


def holdout(model: ReportedModel) -> Iterator[Section]:
    """What stands below the table of the new hold-out."""
    held = model.holdout
    if held is None:
        return
    if held.why and not held.changed:
        yield Section(2, f"The same rows were not answered by both: {prose(held.why)}.")
    told = held.rows_of(RowSet.NEW)
    if told is not None and told.metrics:
        yield Section(1, _about(told, held))
    if (rows := _apart(held)) and held.changed:
        yield Section(1, _APART, tuple(rows), "", MORE_ROWS)
    if held.like_traffic is not None:
        yield Section(1, _likeness(held.like_traffic))
    if held.window is not None:
        yield Section(1, _window(held.window))
    if lines := [_behaviour(found) for found in held.sets if found.flips or found.calibration]:
        cells = ["rows", "decisions that flip", "right now / before", "positives", "mean answer", "calibration error"]
        yield Section(2, header(cells, "lrrrrr"), tuple(lines))
    yield from (_other(found, held) for found in held.sets if found.rowset is not RowSet.NEW)
    if held.slices:
        yield _slices(held)
    if held.notes:
        yield Section(3, "", tuple(f"- {prose(note)}" for note in held.notes), "", "\n*and {} more notes*")


def _about(told: SameRows, held: ReportedHoldOut) -> str:
    alike = "" if told.unit == "row" else f"; rows of a {told.unit} count as one observation"
    which = "the new hold-out" if held.changed else "the hold-out, which did not change"
    left = f" {_rows(told.left_out)} that a version was trained on are left out." if told.left_out else ""
    return f"Both versions answered {which}: {_extent(told)}{alike}.{left}"


def _extent(told: SameRows) -> str:
    days = f", {prose(told.first)} to {prose(told.last)}" if told.first else ""
    units = f" of {plural(told.units, told.unit)}" if told.unit != "row" else ""
    return f"{_rows(told.rows)}{units}{days}"


def _rows(count: int) -> str:
    return plural(count, "row")


_APART = "What each was recorded with, on rows of its own, and where the difference comes from:\n\n" + header(
    ["metric", "recorded before", "here", "from the rows", "from the model"], "lrrrr"
)


def _apart(held: ReportedHoldOut) -> list[str]:
    """new on new − old on old = (old on new − old on old) + (new on new − old on new)."""
    new, old = held.rows_of(RowSet.NEW), held.rows_of(RowSet.OLD)
    before = {r.metric: r for r in old.metrics} if old else {}
    lines = []
    for found in new.metrics if new else ():
        other = before.get(found.metric)
        if other is None or found.old is None or other.old is None:
            continue
        places = places_of(found)
        cells = [figure(other.old, places), figure(found.new, places), signed(found.old - other.old, places)]
        lines.append(row([code(found.metric), *cells, signed(found.value, places)]))
    return lines


def _likeness(found: LikeTraffic) -> str:
    """Better on rows that nobody asks about is no reason to promote."""
    if found.why:
        return f"Whether the hold-out is like live traffic is not known: {prose(found.why)}."
    beside = f"{_rows(found.rows)} of traffic, {prose(found.first)} to {prose(found.last)}"
    if not found.apart:
        return f"The hold-out is like live traffic in all {plural(found.columns, 'input')} ({beside})."
    told = "; ".join(map(_input_apart, found.apart[:_MOST_APART]))
    more = f" and {len(found.apart) - _MOST_APART} more" if len(found.apart) > _MOST_APART else ""
    return (
        f"**⚠ The hold-out is not like live traffic** ({beside}): {told}{more}. "
        "Whatever stands above says little of what is asked there."
    )


_MOST_APART = 5


def _input_apart(found: InputApart) -> str:
    what = "" if found.of == "values" else " in missing values"
    shown = f", {prose(found.shown)}" if found.shown else ""
    return f"{code(found.column, 40)}{what} {found.estimate:.2f} apart ({found.low:.2f} to {found.high:.2f}){shown}"


def _window(found: WindowChange) -> str:
    if found.why:
        return f"What the window gained and lost is not known: {prose(found.why)}."
    said = [f"gained {_part(found.gained)}", f"lost {_part(found.lost)}"]
    return f"The window {' and '.join(said)}; it has {_part(found.new)}, before {_part(found.old)}."


def _part(part: WindowPart) -> str:
    if not part.rows:
        return "nothing"
    positives = "" if part.positives is None else f", {share(part.positives)} positive"
    return f"{_rows(part.rows)} of {plural(part.days, 'day')} ({prose(part.first)} to {prose(part.last)}{positives})"


def _behaviour(found: SameRows) -> str:
    flips, calibration = found.flips, found.calibration
    cells = [_TITLES[found.rowset], "", "", share(found.positives) if found.positives is not None else "", "", ""]
    if flips:
        cells[1] = f"{share(flips.share)} ({share(flips.low)} to {share(flips.high)})"
        cells[2] = f"{flips.gained:,} / {flips.lost:,}"
    if calibration:
        cells[4] = f"{share(calibration.old_mean)} → {share(calibration.new_mean)}"
        places = decimals(calibration.old_error, calibration.new_error)
        cells[5] = f"{figure(calibration.old_error, places)} → {figure(calibration.new_error, places)}"
    return row(cells)


def _other(found: SameRows, held: ReportedHoldOut) -> Section:
    title = _TITLES[found.rowset]
    if not found.metrics:
        return Section(3, f"{title}: not compared, {prose(found.why)}.")
    judged = judge(() if found.seen else found.metrics)
    word = "not judged" if found.seen or found.why else judged.word.value
    said = [f"{_extent(found)}."]
    if found.seen:
        some = "all of it" if found.seen == found.rows else f"{_rows(found.seen)} of it"
        said.append(f"The new version was trained on {some}: that is no test of it.")
    if found.left_out:
        said.append(f"{_rows(found.left_out)} that a version was trained on are left out.")
    if found.why:
        said.append(f"{prose(found.why)}.")
    lines = [metric_line(_unjudged(r) if found.seen else r, judged) for r in found.metrics]
    head = f"{' '.join(said)}\n\n{metric_head(_champion(held))}"
    return folded(f"{title}: {word}", head, lines, 3)


def _champion(held: ReportedHoldOut) -> str:
    """The head of its column."""
    return "before" if held.role is ComparisonRole.BEFORE else code(held.name, 40)


def _unjudged(found: Row) -> Row:
    return Row(found.metric, found.new, found.old, found.value, found.low, found.high, found.paired)


def _slices(held: ReportedHoldOut) -> Section:
    judged = [s for s in held.slices if s.row is not None]
    small = len(held.slices) - len(judged)
    worse = [s for s in judged if s.row and s.row.reading is Reading.WORSE]
    said = f"{plural(len(worse), 'group is', 'groups are')} worse" if worse else "none is clearly worse"
    metric = html_code(judged[0].row.metric) if judged and judged[0].row else "no metric"
    few = f"; {plural(small, 'group has', 'groups have')} too few rows" if small else ""
    names = ["group", "rows", _champion(held), "here", "difference", "interval of all groups", ""]
    summary = f"Groups of the new hold-out by {metric}: {said}{few}"
    return folded(summary, header(names, "lrrrrrl"), [_slice(s) for s in sorted(judged, key=_worst)], 4)


def _worst(found: SliceRow) -> tuple[bool, str, str]:
    is_worse = found.row is not None and found.row.reading is Reading.WORSE
    return not is_worse, found.column, found.value


def _slice(found: SliceRow) -> str:
    r = found.row or Row("", None, None)
    places = places_of(r)
    words = {Reading.BETTER: "▲ better", Reading.WORSE: "▼ worse", Reading.NOISE: "within noise"}
    return row(
        [
            f"{code(found.column, 40)} = {code(found.value, 40)}",
            f"{found.rows:,}",
            figure(r.old, places),
            figure(r.new, places),
            signed(r.value, places),
            between(r.low, r.high, places, sign=True),
            words.get(r.reading, "–"),
        ]
    )
