"""What KPIs did after a change of a model, as its pull request shows it. Equal findings give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitml.errors import GitmlError
from gitml.reports.charts import pngs
from gitml.reports.cut import Section, fit
from gitml.reports.escape import code, link, prose, row
from gitml.reports.figures import between, decimals, figure, plural, signed
from gitml.reports.impactchart import impact_chart
from gitml.reports.lookfacts import MARKS, Told, day, list_of, phase_of
from gitml.reports.tables import MORE_ROWS, header
from gitml.verdict import Phase

LIMIT = 60_000
# For the address of the picture, which is longer than its name.
_ADDRESSES = 2_000
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_REST = "*Not everything fits here: `gitml impact` shows the rest.*"
_HEAD = ("KPI", "days", "", "a day before", "change of a day", "lies within", "a month", "placebo")
_CAPTION = (
    "<sub>An association: nobody chose by lot who came before and who after. A change is called clear only where an "
    "interrupted series with AR(1) errors and a structural level agree; the interval holds both. Placebo: at "
    "how many dates on which nothing happened, this one among them, it looks at least as large.</sub>"
)
Draw = Callable[[Sequence[object]], Sequence[object]]
_KINDS = {"promotion": "became the champion", "rollback": "was rolled back to", "canary": "changed as canary"}


@dataclass(frozen=True)
class ImpactPage:
    """``text`` is Markdown of at most 60 KB. ``pictures`` by their names, which stand in it as ``![…](name)``."""

    text: str
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def impact_report(told: Mapping[str, Any], *, run: str = "", draw: Draw = pngs) -> ImpactPage:
    """``told``: a ``ChangeImpact`` as JSON has it. ``run`` is the address of the job that tells it."""
    pictures = _pictures(told, draw)
    return ImpactPage(fit([*_sections(told, run, [*pictures])], LIMIT - _ADDRESSES, _REST), pictures)


def _pictures(told: Told, draw: Draw) -> dict[str, bytes]:
    """None where what draws is not installed, or cannot: the text stands alone."""
    spec = impact_chart(told)
    if spec is None:
        return {}
    try:
        (drawn,) = draw([spec])
    except (GitmlError, ValueError):
        return {}
    change = _part(told, "change")
    words = f"kpi-{change.get('model', '')}-{change.get('environment', '')}-{str(change.get('commit', ''))[:8]}"
    name = _ODD.sub("-", words).strip(".-")[:80]
    return {f"{name}.png": drawn} if isinstance(drawn, bytes) else {}


def _sections(told: Told, run: str, pictures: Sequence[str]) -> Iterator[Section]:
    yield Section(0, f"### {_headline(told)}")
    yield Section(0, _about(_part(told, "change")))
    causal = list_of(told, "causal")
    if causal:
        head = "**What the split of the traffic found before it** (a comparison by unit, so a cause)\n\n"
        columns = header(("KPI", "", "difference", "lies within", ""), "llrrl")
        yield Section(1, head + columns, tuple(map(_causal, causal)), "", MORE_ROWS)
    results = list_of(told, "results")
    for name in pictures:
        yield Section(2, f"![the KPI by day, before and after the change]({name})")
    if results:
        head = "**What the KPIs did after it**\n\n" + header(_HEAD, "lrlrrrrr")
        yield Section(1, head, tuple(map(_result, results)), f"\n{_CAPTION}", MORE_ROWS)
        yield from _reasons(results)
    yield from _returns(_part(told, "returns"))
    waits = told.get("waits") or ()
    if waits:
        yield Section(2, f"Told again when {' and '.join(f'{n}' for n in waits)} days are over.")
    if run:
        yield Section(3, f"<sub>{link('looked at by this run', run)}</sub>")


def _part(told: Told, key: str) -> Told:
    found = told.get(key)
    return found if isinstance(found, Mapping) else {}


def _headline(told: Told) -> str:
    results = list_of(told, "results")
    most = max((int(one.get("days") or 0) for one in results), default=0)
    newest = [one for one in results if int(one.get("days") or 0) == most]
    clear = [one for one in newest if phase_of(one) in (Phase.SUCCESSFUL, Phase.FAILED)]
    if not newest:
        return "⚪ What this change did to the business is not known yet"
    if not clear:
        return f"⚪ After {most} days no change of the business is clear"
    said = [f"{code(str(one.get('kpi', '')))} is {_word(one)}" for one in clear]
    worst = Phase.FAILED if any(phase_of(one) is Phase.FAILED for one in clear) else Phase.SUCCESSFUL
    return f"{MARKS[worst]} After {most} days {', '.join(said)} than the weeks before suggest"


def _word(one: Told) -> str:
    return "better" if phase_of(one) is Phase.SUCCESSFUL else "worse"


def _about(change: Told) -> str:
    kind = _KINDS.get(str(change.get("kind")), "changed")
    version = code(f"{change.get('model', '')}@{str(change.get('version', '')).rpartition('-')[2]}")
    before = str(change.get("before") or "").rpartition("-")[2]
    return (
        f"{version} {kind} in {code(str(change.get('environment', '')))} on {day(change, 'moment')}"
        + (f", after {code(before)}" if before else "")
        + "."
    )


def _result(one: Told) -> str:
    low, high = _number(one, "low"), _number(one, "high")
    places = decimals(high - low if low is not None and high is not None else None)
    unit = str(one.get("unit") or "")
    month = one.get("a_month")
    placebo = _part(one, "placebo")
    return row(
        [
            code(str(one.get("kpi", ""))) + (f" ({prose(unit, 20)})" if unit else ""),
            str(one.get("days", "")),
            MARKS[phase_of(one)] if phase_of(one) is not Phase.INCONCLUSIVE else "⚪ no clear change",
            figure(_number(one, "before"), places),
            signed(_number(one, "effect"), places),
            between(low, high, places, sign=True),
            _money(month, str(one.get("currency") or "")),
            f"{placebo['rank']} of {placebo['dates'] + 1}" if placebo else "–",
        ]
    )


def _number(one: Told, key: str) -> float | None:
    value = one.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _money(month: Any, currency: str) -> str:
    if not isinstance(month, list | tuple) or len(month) != 3:
        return ""
    middle, low, high = (round(float(value)) for value in month)
    return f"{signed(middle, 0)} {prose(currency, 20)} ({between(low, high, 0, sign=True)})"


def _reasons(results: list[Told]) -> Iterator[Section]:
    lines = []
    for one in results:
        said = [str(one.get("reason") or ""), *map(str, one.get("notes") or ())]
        lines.append(f"- {code(str(one.get('kpi', '')))}, {one.get('days')} days: {prose('; '.join(said), 600)}")
    yield Section(2, "<details>\n<summary>Reasons</summary>\n", tuple(lines), "\n</details>", MORE_ROWS)


def _causal(one: Told) -> str:
    low, high = _number(one, "low"), _number(one, "high")
    places = decimals(high - low if low is not None and high is not None else None)
    return row(
        [
            code(str(one.get("kpi", ""))),
            MARKS[phase_of(one)],
            signed(_number(one, "difference"), places),
            between(low, high, places, sign=True),
            prose(str(one.get("reason") or ""), 200),
        ]
    )


def _returns(told: Told) -> Iterator[Section]:
    if not told:
        return
    currency = prose(str(told.get("currency") or ""), 20)
    once, monthly = (figure(_number(told, key) or 0.0, 2) for key in ("once", "monthly"))
    gain, pays = told.get("gain"), _number(told, "pays_back")
    brought = (
        f"It brings {_money(gain, str(told.get('currency') or ''))} a month" if gain else "What it brings is not clear"
    )
    text = f"**Return.** {brought}; training and review took {once} {currency}, serving {monthly} {currency} a month."
    if pays is not None:
        text += f" It pays for itself after {plural(max(1, round(pays * 30.4)), 'day')}."
    unknown = [prose(str(one), 120) for one in told.get("unknown") or ()]
    if unknown:
        text += f" Not known: {', '.join(unknown)}."
    yield Section(2, text)
