"""What monitors saw of live traffic, and what was judged of candidates, as it was signed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitml.evidence.canaries import KIND as CANARY
from gitml.evidence.canaries import SignedCanary, canaries_of
from gitml.evidence.looks import KIND as LOOK
from gitml.evidence.looks import SignedLook, looks_of
from gitml.evidence.trust import Believed
from gitml.site.readchanges import phase_of, stamp
from gitml.site.watchfacts import SiteBreach, SiteDrift, SiteLook, SiteScore, SiteTrial

# Of each monitor: a year of weekly windows.
LOOKS_PER_MONITOR = 53
_MOST_COLUMNS, _MOST_TEXT = 200, 2000


def site_looks(told: Iterable[Believed]) -> tuple[SiteLook, ...]:
    """The newest of each monitor, oldest first. Only what counts is shown."""
    found: dict[tuple[str, str], list[SiteLook]] = {}
    for look in looks_of(one for one in told if one and one.kind == LOOK).counting:
        found.setdefault(look.monitor, []).append(_look(look))
    return tuple(look for monitor in sorted(found) for look in found[monitor][-LOOKS_PER_MONITOR:])


def site_trials(told: Iterable[Believed]) -> tuple[SiteTrial, ...]:
    """The newest evaluation of each pair and mode, newest first."""
    newest: dict[tuple[object, str], SignedCanary] = {}
    for one in canaries_of(one for one in told if one and one.kind == CANARY).counting:
        newest[one.pair, one.told.mode] = one
    trials = [_trial(one) for one in newest.values()]
    return tuple(sorted(trials, key=lambda one: (one.at, one.model, one.environment), reverse=True))


def _look(look: SignedLook) -> SiteLook:
    told = look.told
    verdicts = {
        part: (phase_of(verdict.get("phase")), text_of(verdict.get("reason")))
        for part, verdict in told["verdicts"].items()
    }
    return SiteLook(
        model=look.monitor[0],
        environment=look.monitor[1],
        version=look.version,
        since=stamp(look.window[0]),
        until=stamp(look.window[1]),
        phase=look.details.look.phase,
        rows=look.details.look.rows,
        verdicts=verdicts,
        drift=tuple(_drift(column) for column in dicts(told.get("drift")))[:_MOST_COLUMNS],
        quality=tuple(_breach(rule) for rule in dicts(told.get("quality")))[:_MOST_COLUMNS],
        scores=tuple(_scores(told)),
        id=look.id,
    )


def _drift(told: Mapping[str, Any]) -> SiteDrift:
    effect = told.get("values")
    effect = effect if isinstance(effect, Mapping) else {}
    return SiteDrift(
        column=str(told.get("column", "")),
        estimate=number(effect.get("estimate")),
        low=number(effect.get("low")),
        high=number(effect.get("high")),
        floor=number(effect.get("floor")),
        drifted=told.get("drifted") is True,
        muted=text_of(told.get("muted")),
        moved=text_of(told.get("moved")),
    )


def _breach(told: Mapping[str, Any]) -> SiteBreach:
    column, rule, expected, seen = (text_of(told.get(name)) for name in ("column", "rule", "expected", "seen"))
    return SiteBreach(column, rule, expected, seen, text_of(told.get("since"))[:10])


def _scores(told: Mapping[str, Any]) -> Iterator[SiteScore]:
    """Window by window: what labels say takes the place of the estimate; and the metric that harm is judged by."""
    report = told.get("performance")
    points = dicts(report.get("series")) if isinstance(report, Mapping) else []
    for point in points:
        measured = dicts(point.get("measured"))
        known = {one.get("metric") for one in measured}
        estimated = [("estimated", one) for one in dicts(point.get("estimated"))]
        for kind, one in [("measured", one) for one in measured] + estimated:
            if kind == "measured" or one.get("metric") not in known:
                yield from _score(one, text_of(point.get("since")), kind)
    harm = told.get("harm")
    if not points and isinstance(harm, Mapping):
        verdict = told["verdicts"].get("harm", {}).get("measurements", {})
        yield from _score({**harm, "evaluated": verdict.get("evaluated")}, text_of(told.get("since")), "measured")


def _score(told: Mapping[str, Any], since: str, kind: str) -> Iterator[SiteScore]:
    value, own = number(told.get("value")), told.get("evaluated")
    if value is not None:
        evaluated = number(own.get("value") if isinstance(own, Mapping) else own)
        bounds = number(told.get("low")), number(told.get("high"))
        yield SiteScore(text_of(told.get("metric")), since, value, *bounds, kind, evaluated)


def _trial(one: SignedCanary) -> SiteTrial:
    told = one.told
    return SiteTrial(
        model=told.model,
        environment=told.environment,
        mode=told.mode,
        candidate=told.candidate.version,
        champion=told.champion.version,
        since=stamp(told.since),
        at=stamp(told.at),
        phase=told.phase,
        reason=told.reason[:_MOST_TEXT],
        weight=told.step.weight,
        parts=tuple((part.name[:200], part.phase, part.reason[:_MOST_TEXT]) for part in told.parts),
        points=tuple((stamp(p.at), p.difference, p.low, p.high) for p in told.series),
    )


def dicts(value: Any) -> list[Mapping[str, Any]]:
    """Those of a list that are mappings; nothing for what is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def text_of(value: Any) -> str:
    return "" if value is None else str(value)[:_MOST_TEXT]


def number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_one and math.isfinite(value) else None
