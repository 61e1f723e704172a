"""The report of a candidate beside the champion: what the signed evaluation says, in words, a table and a picture.

Equal evaluations give equal bytes. The text stands alone where a forge shows no pictures.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitml.errors import GitmlError
from gitml.reports.canarychart import chart
from gitml.reports.charts import pngs
from gitml.reports.cut import Section, fit
from gitml.reports.escape import code, link, prose, row
from gitml.reports.figures import MINUS, between, decimals, figure, share, signed
from gitml.reports.lookfacts import MARKS, Told, day, list_of, moment, number, phase_of
from gitml.reports.tables import MORE_ROWS, header
from gitml.verdict import Phase

LIMIT = 60_000
# For the address of the picture, which is longer than its name.
_ADDRESSES = 2_000
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_HEAD = ("", "champion", "candidate", "difference", "lies within", "required", "units", "events")
_CAPTION = (
    "<sub>The difference is candidate − champion. The range in which it lies holds at all looks together, so looking "
    "often does no harm. Units and events: champion / candidate.</sub>"
)
# A number and what belongs to it stay on one line.
_SPACE = "\u00a0"
_COMPARED = ("primary", "kpi", "guardrail", "disagreement")
_SHARES = ("guardrail", "disagreement")
_MODES = {
    "replay": "a replay of logged requests: it opens no gate by itself.",
    "shadow": "a shadow: both answered the same requests, and users saw the champion's answers.",
    "split": "split traffic: each unit (user, order, or whatever callers name) was answered by one of the two.",
}
_SAYS = {
    "successful": "may become champion",
    "failed": "must not become champion",
    "inconclusive": "is not decided yet",
    "error": "cannot be judged",
}
_NOTES, _REST = 40, "*Not everything fits here: `gitml canary` shows the rest.*"

Draw = Callable[[Sequence[object]], Sequence[object]]


@dataclass(frozen=True)
class CanaryPage:
    """``text`` is Markdown of at most 60 KB. ``pictures`` by their names, which stand in it as ``![…](name)``."""

    text: str
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def canary_report(told: Mapping[str, Any], *, run: str = "", draw: Draw = pngs) -> CanaryPage:
    """``told`` has the shape of `Evaluation.to_dict`. ``run`` is the address of the job that tells it."""
    pictures = _pictures(told, draw)
    return CanaryPage(fit([*_sections(told, run, [*pictures])], LIMIT - _ADDRESSES, _REST), pictures)


def _pictures(told: Told, draw: Draw) -> dict[str, bytes]:
    """None where what draws is not installed, or cannot: the text stands alone."""
    spec = chart(told)
    if spec is None:
        return {}
    try:
        (drawn,) = draw([spec])
    except (GitmlError, ValueError):
        return {}
    words = f"{told.get('model', '')}-{told.get('environment', '')}-{_short(told, 'candidate')}"
    name = _ODD.sub("-", words).strip(".-")[:80] or "candidate"
    return {f"{name}.png": drawn} if isinstance(drawn, bytes) else {}


def _sections(told: Told, run: str, pictures: Sequence[str]) -> Iterator[Section]:
    yield Section(0, _headline(told))
    yield Section(0, f"{prose(str(told.get('reason', '')), 600)}.")
    yield from _table(told)
    for name in pictures:
        yield Section(2, f"![the difference and its range over time]({name})")
    yield from _needed(told)
    yield from _checks(told)
    facts = "\n".join(f"- {line}" for line in _facts(told))
    yield Section(1, f"**Labels, weight and dates**\n\n{facts}")
    yield from _notes(told)
    yield Section(0, _footer(told, run))


def _short(told: Told, arm: str) -> str:
    found = told.get(arm)
    return str(found.get("version", "")).rpartition("-")[2] if isinstance(found, Mapping) else ""


def _headline(told: Told) -> str:
    phase = phase_of(told)
    name = code(f"{told.get('model', '')}@{_short(told, 'candidate')}")
    champion, place = code(_short(told, "champion")), prose(str(told.get("environment", "")), 60)
    return (
        f"## {MARKS[phase]} {name} {_SAYS[phase.value]}\n\nBeside the champion {champion} in {place}, by "
        + _MODES.get(str(told.get("mode", "")), "live traffic.")
    )


def _table(told: Told) -> Iterator[Section]:
    parts = [part for kind in _COMPARED for part in list_of(told, "parts") if part.get("part") == kind]
    rows = tuple(_line(part) for part in parts if _is_compared(part))
    if rows:
        yield Section(1, header(_HEAD, "lrrrrrrr"), rows, f"\n{_CAPTION}", MORE_ROWS)


def _is_compared(part: Told) -> bool:
    """What is held against nothing is told in words."""
    return part.get("part") in _COMPARED and (part.get("part") != "disagreement" or part.get("margin") is not None)


def _line(part: Told) -> str:
    """Shares are percentages; metrics and KPIs have units of their own."""
    times, unit = (100.0, f"{_SPACE}%") if part.get("part") in _SHARES else (1.0, "")
    low, high, apart, champion, candidate = (
        None if (found := _maybe(part, key)) is None else found * times
        for key in ("low", "high", "difference", "champion", "candidate")
    )
    places = decimals(apart, high - low if low is not None and high is not None else None)
    cells = [
        f"{MARKS[phase_of(part)]}{_SPACE}{code(str(part.get('name', '')), 40)}",
        *(figure(value, places) + (unit if value is not None else "") for value in (champion, candidate)),
        signed(apart, places) + (unit if apart is not None else ""),
        _ends(low, high, places, unit),
        _required(part, times, unit),
        *(_both(part, key) for key in ("n", "events")),
    ]
    return row(cells)


def _ends(low: float | None, high: float | None, places: int, unit: str) -> str:
    if low is not None and high is not None:
        return between(low, high, places, sign=True).replace(" ", _SPACE) + unit
    if low is not None:
        return f"≥{_SPACE}{signed(low, places)}{unit}"
    return f"≤{_SPACE}{signed(high, places)}{unit}" if high is not None else "–"


def _required(part: Told, times: float, unit: str) -> str:
    """The side of the margin on which the difference must lie."""
    margin = _maybe(part, "margin")
    if margin is None:
        return ""
    told = f"{abs(margin) * times:.4g}{unit}"
    if part.get("part") in _SHARES:
        return f"≤{_SPACE}{told}"
    return f"≥{_SPACE}{MINUS}{told}" if margin < 0 else f"≤{_SPACE}+{told}" if margin > 0 else "better"


def _maybe(part: Told, key: str) -> float | None:
    return None if part.get(key) is None else number(part, key)


def _both(part: Told, key: str) -> str:
    found = part.get(key)
    if not isinstance(found, Mapping):
        return ""
    arms = [found.get(arm) for arm in ("champion", "candidate")]
    return "" if all(arm is None for arm in arms) else f"{_SPACE}/ ".join("–" if a is None else f"{a:,}" for a in arms)


def _needed(told: Told) -> Iterator[Section]:
    lines = []
    for part in list_of(told, "parts"):
        needed = part.get("needed")
        if isinstance(needed, Mapping):
            days = needed.get("days")
            long = f", {_long(number(needed, 'days'))}" if isinstance(days, int | float) else ""
            lines.append(f"- {code(str(part.get('name', '')), 40)}: ~{number(needed, 'units'):,.0f} units{long}")
    if lines:
        yield Section(1, "**Still needed**, at the present rate and if the difference stays:\n", tuple(lines))


def _long(days: float) -> str:
    return f"{days * 24:.0f} hours" if days < 2 else f"{days:.0f} days"


def _checks(told: Told) -> Iterator[Section]:
    parts = [part for part in list_of(told, "parts") if not _is_compared(part)]
    lines = tuple(f"- {MARKS[phase_of(part)]} {prose(str(part.get('reason', '')))}" for part in parts)
    if lines:
        yield Section(2, "**Log, units and their shares**\n", lines, "", MORE_ROWS)


def _facts(told: Told) -> Iterator[str]:
    labels = told.get("labels")
    if isinstance(labels, Mapping):
        yield _labels(labels)
    epochs = list_of(told, "epochs")
    if epochs:
        weights = ", ".join(f"{number(e, 'weight'):g} % since {day(e, 'since')}" for e in epochs[-10:])
        yield f"Weight of the candidate: {weights}"
    step = told.get("step")
    phase = phase_of(told)
    if isinstance(step, Mapping) and step.get("next") is not None and phase is not Phase.FAILED:
        following = "to become champion" if step.get("next") == "champion" else f"for {number(step, 'next'):g} %"
        ready = "ready" if step.get("ready") else "not ready yet"
        yield f"At {number(step, 'weight'):g} % of the traffic it is {ready} {following}"
    yield f"The test began {day(told, 'since')}, and counts what arrived before {day(told, 'until')}"
    ends, at = moment(told, "ends"), moment(told, "at")
    if ends and phase is Phase.INCONCLUSIVE:
        yield f"It {'expired' if at and at >= ends else 'expires'} undecided {day(told, 'ends')}"


def _labels(labels: Told) -> str:
    coverage = labels.get("coverage")
    arms = [coverage.get(arm) if isinstance(coverage, Mapping) else None for arm in ("champion", "candidate")]
    if all(arm is None for arm in arms):
        return "No row is old enough for its label"
    told = f"Labels: {share(arms[1])} of the candidate's rows that are old enough, {share(arms[0])} of the champion's"
    delay = labels.get("delay_days")
    return told + (f"; one takes {number(labels, 'delay_days') * 24:.1f} hours (median)" if delay is not None else "")


def _notes(told: Told) -> Iterator[Section]:
    notes = told.get("notes")
    lines = tuple(f"- {prose(str(note))}" for note in (notes if isinstance(notes, list | tuple) else ())[:_NOTES])
    if lines:
        yield Section(3, "**Notes**\n", lines, "", MORE_ROWS)


def _footer(told: Told, run: str) -> str:
    parts = [f"As known {day(told, 'at')}"]
    if moment(told, "next_look"):
        parts.append(f"next look {day(told, 'next_look')}")
    for arm in ("candidate", "champion"):
        found = told.get(arm)
        if isinstance(found, Mapping):
            parts.append(f"{arm} {code(str(found.get('artifact', ''))[:12])}")
    parts.append(f"rules {code(str(told.get('rules', ''))[:12])}")
    parts += [link("this run", run)] if run else []
    return f"<sub>{' · '.join(parts)}</sub>"
