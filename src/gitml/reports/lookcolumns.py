"""The columns of a look as a table: how far each moved, how sure that is, and how it went on over the looks before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from gitml.reports.cut import Section
from gitml.reports.escape import code, prose, row
from gitml.reports.figures import between, decimals, figure, plural, signed
from gitml.reports.lookfacts import LookStory, Told, effects_of, number
from gitml.reports.tables import MORE_ROWS, folded, header

_BLOCKS = "▁▂▃▄▅▆▇█"
_LOOKS = 16
# More are in what `gitml monitor` shows; a comment of hundreds is read by nobody.
_ROWS = 100
_HEAD = header(["column", "moved", "over time", "effect (surely)", "floor", "rows (effective)", ""], "lllrrrl")


def columns(story: LookStory) -> Iterator[Section]:
    """Those that drifted, and a folded table of the others."""
    loud = [*story.loud, *(column for column in story.columns if column.get("drifted") and column.get("muted"))]
    quiet = [column for column in story.columns if not column.get("drifted")]
    if loud:
        note = (
            "\n*Effect: the distance between the reference and the window, from 0 (alike) to 1 (nothing in common). "
            "Surely: where it lies, given the promise. A column has drifted when all of that lies above the floor.*"
        )
        lines, more = tuple(_lines(story, loud[:_ROWS])), _more(loud)
        yield Section(2, f"**Columns that drifted**\n\n{_HEAD}", lines, more + note, MORE_ROWS)
    if quiet:
        thin = [column for column in quiet if column.get("rows_needed") != 0]
        calm = len(quiet) - len(thin)
        said = [f"{plural(calm, 'column')} did not drift"] if calm else []
        said += [f"{plural(len(thin), 'column has', 'columns have')} too few rows to tell"] if thin else []
        summary = ", ".join(said)
        section = folded(summary, _HEAD, [*_lines(story, quiet[:_ROWS])], 3)
        yield replace(section, tail=_more(quiet) + section.tail)


def _more(some: Sequence[Told]) -> str:
    return f"\n*and {len(some) - _ROWS:,} more*\n" if len(some) > _ROWS else ""


def _lines(story: LookStory, some: Sequence[Told]) -> Iterator[str]:
    for column in some:
        name = str(column.get("column", ""))
        effects = effects_of(column)
        for of, effect in effects:
            missing = of == "missing"
            places = min(max(decimals(number(effect, "high") - number(effect, "low")), 2), 3)
            sure = between(number(effect, "low"), number(effect, "high"), places)
            yield row(
                [
                    _named(column) + (", missing" if missing else ""),
                    f"{signed(100 * number(effect, 'direction'), 1)} % of rows" if missing else _moved(column),
                    code(sparkline(story, name, of)),
                    f"{figure(number(effect, 'estimate'), places)} ({sure})",
                    figure(number(effect, "floor"), 2),
                    f"{number(effect, 'rows'):,.0f} ({number(effect, 'effective'):,.0f})",
                    _state(column),
                ]
            )
        if not effects:
            yield row([_named(column), _moved(column), code(sparkline(story, name)), "–", "", "", _state(column)])


def _named(column: Told) -> str:
    return code(str(column.get("column", "")), 40) + (", the model's answer" if column.get("output") else "")


def _moved(column: Told) -> str:
    """Which way, and the stability index where it is asked for."""
    moved, psi = prose(str(column.get("moved", "")), 120), column.get("psi")
    if not isinstance(psi, Mapping):
        return moved
    index = f"PSI {figure(number(psi, 'value'), 3)}, by chance up to {figure(number(psi, 'by_chance'), 3)}"
    return f"{moved}; {index}" if moved else index


def _state(column: Told) -> str:
    if column.get("muted"):
        return "🔕 drifted, muted" if column.get("drifted") else "🔕 muted"
    if column.get("drifted"):
        return "🔴 drifted"
    needed = column.get("rows_needed")
    if needed is None:
        within = number(column, "floor_within_reach")
        return "🟡 the reference has too few rows" + (f" for a floor below {figure(within, 2)}" if within else "")
    return f"🟡 about {number(column, 'rows_needed'):,.0f} rows are needed" if needed else "🟢"


def sparkline(story: LookStory, column: str, of: str = "values") -> str:
    """The effect over the last looks at this version, this one last: a full block is the largest, or twice the floor.

    A look that could not tell is a dot.
    """
    seen: list[tuple[float, float] | None] = []
    for columns_of in story.tracks[-_LOOKS:]:
        effect = columns_of.get(column, {}).get(of)
        seen.append((number(effect, "estimate"), number(effect, "floor")) if isinstance(effect, dict) else None)
    top = max((max(estimate, 2 * floor) for estimate, floor in filter(None, seen)), default=0.0)
    return "".join(_block(one[0], top) if one else "·" for one in seen)


def _block(value: float, top: float) -> str:
    return _BLOCKS[min(max(int(value / top * len(_BLOCKS)), 0), len(_BLOCKS) - 1)] if top > 0 else _BLOCKS[0]
