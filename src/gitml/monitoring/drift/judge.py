"""Whether live columns have moved away from the reference: each with its effect, how sure that is, and which way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gitml.monitoring.drift.direction import Movement, movement
from gitml.monitoring.drift.looks import comparable, windowed
from gitml.monitoring.drift.psi import Psi, psi
from gitml.monitoring.drift.scan import Baseline, Effect, Floors, also_moved, rows_needed, scan_windows
from gitml.monitoring.drift.strata import Mix, Reweighted, mix_of
from gitml.monitoring.promise import Promise
from gitml.monitoring.reference import OUTPUT, prefixed
from gitml.monitoring.subject import Look, Subject
from gitml.sketches.counts import Counts
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import CLUSTERS, ColumnSketch, Sketch
from gitml.verdict import Phase, Verdict

# What is to be seen, in floors. With a floor of 0 it is a distance of .1.
_TARGET, _LEAST_TARGET = 2.0, 0.1
# Rows of a window that may have a context without 30 rows of the reference, and nothing is said to be unknown.
_MOST_UNKNOWN = 0.2
NO_REFERENCE = (
    "no reference: how the rows of this version's training were distributed is not recorded. Let the stage that "
    "evaluates write one (gitml reference), name it under `reference` in gitml.yaml, and train. "
    "A model from elsewhere is registered with one (gitml register --reference)"
)


@dataclass(frozen=True)
class DriftPlan:
    """``floors`` are by the model's own names of columns. ``muted``: column → why, and until when. ``stratified``: the
    contexts that the reference was written with are held fixed. ``psi``: the population stability index is shown."""

    promise: Promise
    floors: Floors = field(default_factory=Floors)
    clusters: Sequence[str] = CLUSTERS
    muted: Mapping[str, str] = field(default_factory=dict)
    stratified: bool = False
    psi: bool = False


@dataclass(frozen=True)
class ColumnDrift:
    """One column. ``column`` is the model's own name. ``effect`` is None where there are too few rows for any window;
    ``needed``: about so many rows until an effect of twice the floor would be seen, 0 where they are there, None where
    no number of them suffices. ``moved`` says which way, in the column's own units."""

    column: str
    output: bool
    effect: Effect | None
    missing: Effect | None
    needed: int | None
    reachable: float | None = None
    moved: Movement = field(default_factory=Movement)
    psi: Psi | None = None
    muted: str = ""

    @property
    def shown(self) -> str:
        """Which way it moved, in words."""
        return "; ".join(str(part) for part in (self.moved, self.psi) if part is not None and str(part))

    @property
    def drifted(self) -> bool:
        return any(effect.drifted for effect in self.effects)

    @property
    def effects(self) -> tuple[Effect, ...]:
        return tuple(effect for effect in (self.effect, self.missing) if effect)

    @property
    def worst(self) -> Effect | None:
        """Of values and missing values the one that drifted, or lies higher above its floor; values if none does."""
        return max(self.effects, key=lambda e: (e.drifted, max(e.low - e.floor, 0.0), e.of == "values"), default=None)


def judge_drift(subject: Subject, looks: Sequence[Look], plan: DriftPlan) -> tuple[Verdict, tuple[ColumnDrift, ...]]:
    """A column has drifted when the lower bound of its effect lies above its floor, in any of the last windows."""
    parts = subject.reference.parts if subject.reference else ()
    if not subject.fields:
        return Verdict(Phase.INCONCLUSIVE, "no column is watched: those of the signature are private"), ()
    if not parts:
        return Verdict(Phase.INCONCLUSIVE, NO_REFERENCE), ()
    windows = windowed([look.sketch for look in looks])
    found = tuple(column for part in parts for column in _of_part(subject, part, windows, plan))
    ordered = tuple(sorted(found, key=_order))
    verdict = _verdict(ordered, {name.name for name in subject.fields.values()})
    return _with_mix(verdict, mix_of(parts[0], looks[-1].sketch) if plan.stratified else None), ordered


def _with_mix(verdict: Verdict, mix: Mix | None) -> Verdict:
    """A change of the mix is reported and never alarms; too many rows without anything to compare with leave no
    success."""
    if mix is None:
        return verdict
    told = replace(verdict, measurements={**verdict.measurements, **mix.measured(), "mix": str(mix)})
    if mix.unknown > _MOST_UNKNOWN and verdict.phase is Phase.SUCCESSFUL:
        why = f"{mix.unknown:.0%} of rows have a context ({', '.join(mix.context)}) that the reference hardly has"
        return replace(told, phase=Phase.INCONCLUSIVE, reason=why)
    return told


def _order(column: ColumnDrift) -> tuple[bool, float, str]:
    worst = column.worst
    return not column.drifted, -(worst.low if worst else -1.0), column.column


def _of_part(
    subject: Subject, part: ReferenceSketch, windows: Mapping[int, Sketch], plan: DriftPlan
) -> list[ColumnDrift]:
    columns = [name for name in part.layout.columns if name in subject.fields]
    if not columns:
        return []
    names = {name: subject.fields[name].name for name in columns}
    floors = Floors(
        plan.floors.numbers, plan.floors.categories, plan.floors.missing, prefixed(plan.floors.columns, names)
    )
    live, bases = comparable(part, windows, plan.clusters, columns, stratified=plan.stratified)
    effects = scan_windows(live, bases, plan.promise, floors)
    longest = max(windows)
    found = []
    for name in columns:
        of = {effect.of: effect for effect in effects if effect.column == name}
        floor = floors.of(name, bases[name].grid)
        m = _reference_rows(bases[name], longest)
        needed = _needed(floor, m, live[name].get(longest), bases[name], plan.promise)
        window = of["values"].window if "values" in of else longest
        mixed, pair = bases[name].mixed.get(window), (part.sketch.columns[name], windows[window].columns[name])
        compared = live[name].get(window)
        found.append(
            ColumnDrift(
                names[name], name.startswith(OUTPUT), of.get("values"), of.get("missing"), needed,
                _reachable(m, plan.promise) if needed is None else None,
                movement(bases[name].grid, *pair, mixed.cells if mixed else None),
                _index(pair, bases[name], compared, mixed) if plan.psi and compared else None,
                plan.muted.get(names[name], ""),
            )
        )  # fmt: skip
    return found


def _reference_rows(base: Baseline, window: int) -> float:
    """Effective ones, for distances."""
    mixed = base.mixed.get(window)
    return (mixed.present if mixed else base.counts.present) * base.counts.effective(base.alike)


def _needed(floor: float, m: float, counts: Counts | None, base: Baseline, promise: Promise) -> int | None:
    """Rows, not effective ones: of those that came, this part was independent."""
    if m < 1 or counts is None:
        return None
    target = max(_TARGET * floor, floor + _LEAST_TARGET / 2)
    enough = rows_needed(target, floor, m, promise, strata_of=base.grid.cells if base.mixed else 0)
    if enough is None:
        return None
    share = counts.effective(base.alike) if counts.present else 1.0
    return 0 if counts.present * share >= enough else _rounded(enough / share)


def _rounded(rows: float) -> int:
    """To two digits: it is an estimate."""
    step = 10.0 ** max(0, math.floor(math.log10(max(rows, 1.0))) - 1)
    return int(math.ceil(rows / step) * step)


def _reachable(m: float, promise: Promise) -> float | None:
    """The least floor, in hundredths, above which twice of it would be seen with enough rows."""
    if m < 1:
        return None
    return next((f / 100 for f in range(1, 51) if rows_needed(_TARGET * f / 100, f / 100, m, promise)), None)


def _index(
    pair: tuple[ColumnSketch, ColumnSketch], base: Baseline, live: Counts, mixed: Reweighted | None
) -> Psi | None:
    reference, now = (column.cells.sum(axis=0) for column in pair)
    if not reference.sum() or not now.sum():
        return None
    shares = mixed.cells if mixed else reference / reference.sum()
    m = (mixed.present if mixed else base.counts.present) * base.counts.effective(base.alike)
    return psi(shares, now / now.sum(), m, live.present * live.effective(base.alike))


def _verdict(columns: Sequence[ColumnDrift], watched: set[str]) -> Verdict:
    loud = [column for column in columns if column.drifted and not column.muted]
    quiet = [column for column in columns if column.drifted and column.muted]
    thin = [column for column in columns if column.needed != 0 and not column.drifted]
    unknown = sorted(watched - {column.column for column in columns})
    measured: dict[str, object] = {"columns": len(columns)}
    measured |= {"drifted": [c.column for c in loud], "muted": [c.column for c in quiet]}
    measured |= {"too little": [c.column for c in thin], "not in the reference": unknown}
    muted = f"; {_named([c.column for c in quiet])} muted" if quiet else ""
    if loud:
        also = also_moved([effect for column in columns for effect in column.effects])
        others = [c.column for c in columns if not c.drifted and {*c.effects} & {*also}]
        measured["moved less surely"] = others
        reason = f"{_named([c.column for c in loud])} {'have' if len(loud) > 1 else 'has'} drifted"
        return Verdict(Phase.FAILED, reason + muted, measured)
    if thin or unknown:
        rest = len(columns) - len(thin)
        none = f"no drift in {rest} of {len(watched)} columns" if rest else "too little"
        return Verdict(Phase.INCONCLUSIVE, none + _too_little(thin, unknown) + muted, measured)
    return Verdict(Phase.SUCCESSFUL, f"no drift above the floor in {len(columns)} columns{muted}", measured)


def _too_little(thin: Sequence[ColumnDrift], unknown: Sequence[str]) -> str:
    parts = []
    waiting = [c for c in thin if c.needed]
    if waiting:
        first = min(waiting, key=lambda c: c.needed or 0)
        most = max(c.needed or 0 for c in waiting)
        upto = f" to {most:,}" if most != first.needed else ""
        parts.append(f"about {first.needed:,}{upto} rows are needed for {_named([c.column for c in waiting])}")
    never = [c for c in thin if c.needed is None]
    if never:
        parts.append(f"the reference has too few rows for the floor of {_named([c.column for c in never])}")
    if unknown:
        parts.append(f"the reference does not have {_named(unknown)}")
    return ": " + "; ".join(parts)


def _named(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    shown = names[:most]
    if more or len(shown) < 2:
        return ", ".join(shown) + more
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
