"""``gitml bias``: rates of selection, impact ratios and further measures by sex, race and ethnicity.

The numbers are input for an independent auditor and decide nothing: no law makes a ratio of .8 a pass mark.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.errors import InconclusiveError, UsageError
from gitml.governance.biasrows import AnsweredPeople, categories, from_file, from_traffic, word_of
from gitml.reports.biasfacts import BiasCount, BiasTable, GroupMeasure
from gitml.spec import load_application
from gitml.spec.bias import Bias
from gitml.spec.validate import nearest
from gitml.stats import fixedsample
from gitml.stats.adverseimpact import (
    ImpactRules,
    Share,
    above_median,
    gap,
    hidden_together,
    impact_ratios,
    moved,
    share,
)
from gitml.stats.contrast import differences
from gitml.stats.influence import mean
from gitml.stats.interval import Interval
from gitml.traffic.reader import Window
from gitml.verdict import Phase, Verdict

TITLES = ("Sex", "Race/Ethnicity", "Sex and Race/Ethnicity")
_PLACES = ((0,), (1,), (0, 1))
Members = Mapping[tuple[str, ...], NDArray[np.bool_]]


@dataclass(frozen=True)
class BiasCall:
    """``traffic`` and its spool, or ``data``: a file of test data with a column ``label``."""

    model: str
    environment: str = ""
    traffic: str = ""
    spool: Path | None = None
    window: Window = field(default_factory=Window)
    data: Path | None = None
    label: str = ""


def bias(root: Path, call: BiasCall) -> BiasCount:
    """Count. Raises InconclusiveError where nobody answered was found."""
    spec = _spec(root, call.model)
    groups = categories(root, spec.groups, os.environ)
    people = _people(spec, call)
    names = [name for name, (answer, _) in people.answers.items() if word_of(answer)]
    if not names:
        raise InconclusiveError(f"no answer of {call.model} to a known person is there", "look at the window, and --in")
    answers = [people.answers[name][0] for name in names]
    chosen, median = _chosen(spec, answers)
    who = [groups.get(name, ("", "")) for name in names]
    rules, tables = ImpactRules(spec.least_share, spec.least_count), []
    measures: list[GroupMeasure] = []
    truth, scores = _truth(spec, [people.answers[name][1] for name in names]), _scores(answers)
    for title, places in zip(TITLES, _PLACES, strict=True):
        members, unknown = _members(who, places)
        rates = hidden_together(impact_ratios({name: chosen[mine] for name, mine in members.items()}, rules))
        tables.append(BiasTable(title, rates, unknown))
        # An interval tells how many there are, so what is hidden stays out of these too.
        shown = {one.name: members[one.name] for one in rates if not one.hidden}
        measures += _measures(title, shown, chosen, (truth, scores), rules.least_count)
    return BiasCount(
        model=call.model,
        kind="scoring" if median is not None else "selection",
        data=_told(call),
        source=spec.source,
        people=len(names),
        tables=tuple(tables),
        measures=tuple(measures),
        median=median,
        versions=tuple(sorted(people.versions)),
        nameless=people.nameless,
        unanswered=len(people.answers) - len(names),
    )


def _spec(root: Path, model: str) -> Bias:
    app = load_application(root)
    if model not in app.models:
        raise UsageError(f"gitml.yaml has no model {model!r}", nearest(model, app.models))
    if model not in app.bias:
        raise UsageError(f"gitml.yaml does not say how {model} is counted", f"add `bias: {{{model}: …}}` there")
    return app.bias[model]


def _people(spec: Bias, call: BiasCall) -> AnsweredPeople:
    if call.data:
        return from_file(call.data, spec.groups.unit, spec.output, call.label)
    return from_traffic((call.traffic, call.spool), call.model, call.environment, call.window, spec.output)


def _told(call: BiasCall) -> str:
    if call.data:
        return f"test data in {call.data.name}"
    window = call.window
    ends = (f"{word} {moment:%Y-%m-%d %H:%M} UTC" for word, moment in _ends(window) if moment)
    return " ".join([f"live traffic{f' of {call.environment}' if call.environment else ''}", *ends])


def _ends(window: Window) -> tuple[tuple[str, datetime | None], ...]:
    return ("from", window.since), ("until", window.until), ("as known at", window.at)


def _chosen(spec: Bias, answers: Sequence[Any]) -> tuple[NDArray[np.bool_], float | None]:
    """Who was selected; or who scored above the median of the full sample, and that median."""
    if spec.selected_as:
        return np.array([word_of(answer) in spec.selected_as for answer in answers]), None
    scores = _scores(answers)
    if scores is None:
        raise UsageError(
            f"the output {spec.output} is not a number", "name the answers that select: `selected_as` in gitml.yaml"
        )
    if spec.selected_from is not None:
        return scores >= spec.selected_from, None
    return above_median(scores), float(np.median(scores))


def _scores(answers: Sequence[Any]) -> NDArray[np.float64] | None:
    try:
        found = np.array([float(answer) for answer in answers])
    except (TypeError, ValueError):
        return None
    return found if np.isfinite(found).all() else None


def _truth(spec: Bias, labels: Sequence[Any]) -> NDArray[np.float64]:
    """1 where a person turned out to be suited, 0 where not, NaN where nobody knows yet."""
    suited = {word_of(float(one) if isinstance(one, int | float) else one) for one in spec.suited}
    told = [word_of(float(label) if isinstance(label, bool | int) else label) for label in labels]
    return np.array([np.nan if not word else float(word in suited) for word in told])


def _members(who: Sequence[tuple[str, str]], places: Sequence[int]) -> tuple[Members, int]:
    """Which people are in which category; and how many in none, because one of them is unknown."""
    found: dict[tuple[str, ...], NDArray[np.bool_]] = {}
    names = [tuple(one[place] for place in places) for one in who]
    for name in sorted({name for name in names if all(name)}):
        found[name] = np.array([one == name for one in names])
    return found, sum(not all(name) for name in names)


def _measures(
    title: str,
    members: Members,
    chosen: NDArray[np.bool_],
    known: tuple[NDArray[np.float64], NDArray[np.float64] | None],
    least: int,
) -> Iterator[GroupMeasure]:
    """Demographic parity; equalised odds and calibration where labels came. Rates of fewer people are not shown."""
    truth, scores = known
    parity = gap({name: share(chosen[mine]) for name, mine in members.items()})
    if parity:
        yield GroupMeasure(title, "demographic parity: largest difference of rates", (), *parity)
    for name, value in (("selected of those who were suited", 1.0), ("selected of those who were not", 0.0)):
        rates = {key: share(chosen[mine & (truth == value)]) for key, mine in members.items()}
        yield from _odds(title, name, {key: one for key, one in rates.items() if one.count >= least})
    if scores is None or not len(scores) or scores.min() < 0 or scores.max() > 1:
        return
    for key, mine in members.items():
        off = (truth - scores)[mine & ~np.isnan(truth)]
        found = fixedsample.interval(differences(mean(np.arange(len(off)), off), 0.0)) if len(off) >= least else None
        if found:
            yield GroupMeasure(title, "calibration: suited less than scored", key, float(off.mean()), found)


def _odds(title: str, name: str, rates: Mapping[tuple[str, ...], Share]) -> Iterator[GroupMeasure]:
    for key, one in rates.items():
        yield GroupMeasure(title, name, key, one.value or 0.0, one.interval)
    if found := gap(rates):
        yield GroupMeasure(title, f"equalised odds: largest difference of {name}", (), *found)


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Verdict:
    """Whether a ratio has moved beyond its interval since an earlier count; both as their JSON tells them."""
    earlier, told, compared = _ratios(before), [], 0
    for (title, name), row in _ratios(now).items():
        was = earlier.get((title, name))
        if was is None:
            continue
        compared += 1
        if moved(Interval(was["ratio_low"], was["ratio_high"]), Interval(row["ratio_low"], row["ratio_high"])):
            told.append(f"{' / '.join(name)} from {was['impact_ratio']:.2f} to {row['impact_ratio']:.2f}")
    if not compared:
        return Verdict(Phase.INCONCLUSIVE, "the two counts have no impact ratio in common")
    if told:
        return Verdict(Phase.FAILED, f"impact ratios moved beyond their intervals: {'; '.join(told)}")
    return Verdict(Phase.SUCCESSFUL, f"none of {compared} impact ratios moved beyond its interval")


def _ratios(count: Mapping[str, Any]) -> dict[tuple[str, tuple[str, ...]], Mapping[str, Any]]:
    """Rows with a ratio and its interval, which hidden ones have not."""
    return {
        (table["title"], tuple(row["category"])): row
        for table in count["tables"]
        for row in table["categories"]
        if row["impact_ratio"] is not None and row["ratio_low"] is not None
    }
