"""The first lines of a report: what a reviewer must know if nothing else is read."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.reports.escape import code, prose
from gitml.reports.facts import Outcome, Report, ReportedComparison, ReportedHow, ReportedModel
from gitml.reports.figures import decimals, figure, plural
from gitml.reports.holdoutfacts import RowSet
from gitml.reports.noise import JudgedRows, Word, judge, judge_strictly
from gitml.reports.rowfacts import ComparisonRole, Row
from gitml.stats.comparison import Reading

_MARKS = {Word.BETTER: "🟢", Word.WORSE: "🔴", Word.MIXED: "🟡", Word.NOISE: "⚪", Word.UNKNOWN: "🟡"}
_NAMED = 2


def summary(report: Report) -> str:
    """The verdict of the whole: one line for one model, else a line that counts and is followed by one each."""
    if report.problem:
        return f"**🔴 No verdict: {prose(report.problem)}**"
    if not report.models:
        return "**⚪ Nothing to train: no model has stages.**"
    if len(report.models) == 1:
        return f"**{verdict(report.models[0])}**{_environments(report.models[0])}"
    counts: dict[str, int] = {}
    for model in sorted(report.models, key=lambda m: _ORDER.index(_state(m))):
        counts[_state(model)] = counts.get(_state(model), 0) + 1
    return "**" + ", ".join(f"{plural(n, 'model')} {state}" for state, n in counts.items()) + ".**"


_ORDER = ("failed", "refused", "worse", "mixed", "better", "not comparable", "new", "within noise", "not changed")


def _state(model: ReportedModel) -> str:
    if model.outcome in (Outcome.FAILED, Outcome.REFUSED):
        return model.outcome.value
    lead = leading(model)
    if lead is None:
        return "not changed" if is_unchanged(model) else "new"
    words = {Word.MIXED: "mixed", Word.UNKNOWN: "not comparable"}
    word = Word.UNKNOWN if lead.why else _judged(model, lead).word
    return words.get(word, word.value)


def bullets(report: Report) -> tuple[str, ...]:
    """One line a model, where there are several."""
    if len(report.models) < 2:
        return ()
    return tuple(f"- {verdict(model)}{_environments(model)}" for model in report.models)


def leading(model: ReportedModel) -> ReportedComparison | None:
    """The comparison that the verdict speaks of: where the hold-out changed that on the same rows, else the base
    branch first, then the version before, then environments."""
    if _on_base(model) == model.version != "":
        return None  # what runs elsewhere differs from it, and nothing here is to blame
    held = model.holdout
    if held is not None and held.changed:
        told = held.rows_of(RowSet.NEW)
        return ReportedComparison(held.role, held.name, held.version, told.metrics if told else (), held.why)
    order = (ComparisonRole.BASE, ComparisonRole.BEFORE, ComparisonRole.ENVIRONMENT)
    known = [c for c in model.comparisons if c.rows]
    return min(known, key=lambda c: order.index(c.role), default=None)


def _on_base(model: ReportedModel) -> str | None:
    """The version that the base branch has, "" for none; None where there is no telling."""
    return next((c.version for c in model.comparisons if c.role is ComparisonRole.BASE), None)


def on_other_rows(model: ReportedModel, comparison: ReportedComparison) -> bool:
    """Whether its metrics are of a hold-out that this version does not have: one may be easier than the other."""
    return bool(model.holdout and model.holdout.changed and not any(row.paired for row in comparison.rows))


def is_unchanged(model: ReportedModel) -> bool:
    """Nothing was trained, and the base branch has the version too: one that came trained is new all the same."""
    return model.outcome in _UNCHANGED and leading(model) is None and _on_base(model) != ""


def is_new(model: ReportedModel) -> bool:
    """Trained here, or trained elsewhere and not the version that the base branch has."""
    if model.outcome in _UNCHANGED and model.version:
        return _on_base(model) not in (None, model.version)
    return model.outcome is Outcome.NEW


def verdict(model: ReportedModel) -> str:
    """A mark and a sentence."""
    name = code(model.name)
    if model.outcome is Outcome.FAILED:
        stage = next((s for s in model.stages if s.how is ReportedHow.FAILED), None)
        place = f" in stage {code(stage.name)}" if stage else ""
        return f"🔴 {name} failed{place}{_because(model.reason or (stage.why if stage else ''))}"
    if model.outcome is Outcome.REFUSED:
        return f"🔴 {name} was refused{_because(model.reason)}"
    if is_unchanged(model):
        return f"⚪ {name} {_UNCHANGED[model.outcome]}{_because(model.reason)}"
    return _compared(model, name)


_UNCHANGED = {Outcome.SAME: "did not change", Outcome.REPRODUCED: "was trained again and is the same version"}


def _because(reason: str) -> str:
    return f": {prose(reason).rstrip('.')}." if reason else "."


def _compared(model: ReportedModel, name: str) -> str:
    lead = leading(model)
    if lead is None:
        why = next((c.why for c in model.comparisons if c.why), model.reason)
        return f"🔵 {name} has a new version with nothing to compare it to{_because(why)}"
    if lead.why:
        return f"{_MARKS[Word.UNKNOWN]} {name} cannot be judged against {other(lead)}{_because(lead.why)}"
    judged = _judged(model, lead)
    same = " on the same rows" if model.holdout and model.holdout.changed else ""
    return f"{_MARKS[judged.word]} {name} {_sentence(judged, other(lead) + same)}"


def _judged(model: ReportedModel, lead: ReportedComparison) -> JudgedRows:
    return judge_strictly(lead.rows) if model.holdout and model.holdout.changed else judge(lead.rows)


def other(comparison: ReportedComparison) -> str:
    """What this one was compared with, in words."""
    if comparison.role is ComparisonRole.BEFORE:
        return "the version before"
    return code(comparison.name)


def _sentence(judged: JudgedRows, against: str) -> str:
    if judged.word is Word.UNKNOWN:
        return f"cannot be judged against {against}: no metric has a direction and an interval on both sides."
    if judged.word is Word.NOISE:
        return f"is within noise of {against}{_hints(judged.hints)}."
    if judged.word is Word.MIXED:
        doubts = tuple(row for row in judged.hints if row.reading is Reading.WORSE)
        worse = f"worse in {_named(judged.worse)}" if judged.worse else f"perhaps worse in {_named(doubts)}"
        return f"against {against}: better in {_named(judged.better)}, {worse}."
    rows = judged.better or judged.worse
    return f"is {judged.word.value} than {against}: {_named(rows)}{_rest(judged)}."


def _hints(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    words: dict[Reading, list[str]] = {}
    for row in rows:
        words.setdefault(row.reading, []).append(code(row.metric))
    said = [f"{', '.join(names[:_NAMED])} perhaps {reading.value}" for reading, names in words.items()]
    return f" ({'; '.join(said)})"


def _named(rows: Sequence[Row]) -> str:
    said = [f"{code(row.metric)} {_from_to(row)}" for row in rows[:_NAMED]]
    more = len(rows) - _NAMED
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _from_to(row: Row) -> str:
    places = places_of(row)
    return f"{figure(row.old, places)} → {figure(row.new, places)}"


def places_of(row: Row) -> int:
    """Decimals for a row: two digits of the narrower half of the difference's interval."""
    if row.value is None or row.low is None or row.high is None:
        return decimals(row.value)
    return decimals(row.high - row.low)


def _rest(judged: JudgedRows) -> str:
    left = len(judged.noise) + len(judged.hints)
    return f"; {left} within noise" if left else ""


def _environments(model: ReportedModel) -> str:
    """A sentence about what runs, where the verdict does not speak of it already."""
    lead = leading(model)
    if lead is None:
        return ""
    others = [
        c
        for c in model.comparisons
        if c.role is ComparisonRole.ENVIRONMENT and (c.role, c.name) != (lead.role, lead.name)
    ]
    others = [c for c in others if not c.rows or not on_other_rows(model, c)]
    same = [code(c.name) for c in others if c.version and c.version == lead.version]
    said = [f"In {code(c.name)}: {_short(c)}." for c in others if not c.version or c.version != lead.version]
    if same:
        said.append(f"{' and '.join(same)} {'runs' if len(same) == 1 else 'run'} what {other(lead)} has.")
    return f" {' '.join(said)}" if said else ""


def _short(comparison: ReportedComparison) -> str:
    if not comparison.rows:
        return prose(comparison.why).rstrip(".") or "nothing to compare with"
    word = judge(comparison.rows).word
    if word is Word.MIXED:
        return f"{word.value} of the metrics"
    if word is Word.NOISE:
        return "within noise of what runs there"
    return "not comparable" if word is Word.UNKNOWN else f"{word.value} than what runs there"


def reading(row: Row, judged: JudgedRows) -> str:
    """The last cell of a row: what it says, weaker where it does not hold among all metrics."""
    if row in judged.hints:
        return "△ perhaps better" if row.reading is Reading.BETTER else "▽ perhaps worse"
    return {Reading.BETTER: "▲ better", Reading.WORSE: "▼ worse", Reading.NOISE: "within noise"}.get(row.reading, "–")
