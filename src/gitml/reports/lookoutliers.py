"""How many rows were unlike any of the training, and which were the strangest: by request, without a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitml.reports.cut import Section
from gitml.reports.escape import code, prose
from gitml.reports.figures import between, decimals
from gitml.reports.lookfacts import LookStory, Told, list_of, number


def outliers(story: LookStory) -> Iterator[Section]:
    """Nothing where they are not watched."""
    found = story.look.get("outliers")
    if not isinstance(found, Mapping):
        return
    if found.get("lacking"):
        yield Section(3, f"**Outliers**: {prose(str(found['lacking']), 300)}.")
        return
    rows = [f"{code(str(one.get('request_id', '')), 80)} row {int(number(one, 'row'))}" for one in _strangest(found)]
    named = f" The strangest: {', '.join(rows)}." if rows else ""
    yield Section(3, f"**Outliers**: {_rate(found)}.{named}")


def _strangest(found: Told) -> list[Told]:
    return list_of(found, "strangest")[:10]


def _rate(found: Told) -> str:
    rows, share, usual = int(number(found, "rows")), number(found, "share"), number(found, "usual")
    said = f"{share:.1%} of {rows:,} rows, {usual:.1%} of the training's"
    effect = found.get("effect")
    if isinstance(found.get("p"), int | float):
        said += (
            f"; p {number(found, 'p'):.2g} against {number(found, 'level'):.2g}, by {int(number(found, 'days'))} days"
        )
    elif isinstance(effect, Mapping):
        low, high = number(effect, "low"), number(effect, "high")
        said += f"; apart by {between(low, high, decimals(high - low))}, floor {number(effect, 'floor'):g}"
    else:
        return f"{said}; too few rows or days to tell whether that is more"
    if found.get("muted"):
        return f"{said}; 🔕 {prose(str(found['muted']), 200)}"
    return f"{said}; {'🔴 more than usual' if found.get('drifted') else '🟢'}"
