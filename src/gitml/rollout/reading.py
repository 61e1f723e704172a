"""The traffic of a trial, read once: rows of both arms, and what else was met on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml.rollout.rowtable import ANSWERED, COLUMNS, DROPPED, Encoders, RowTable, WordNumbers, table_of
from gitml.rollout.trial import CandidateTrial, TrialTraffic
from gitml.traffic.reader import Window

# With more rows than this every second unit is left out, then every second of those.
MOST_ROWS = 4_000_000
_UNIT_BITS = np.uint64(1)
_ROUTING = ["epoch", "weight"]


@dataclass(frozen=True)
class RoutedEpoch:
    """A time of one routing, in which the candidate is drawn for ``weight`` percent of the units."""

    name: str
    weight: float


@dataclass(frozen=True)
class TrialRows:
    """Rows of both arms, by epoch, unit and time. Of a paired trial row n of one is the same request as row n of the
    other; of a split one they are different units, and ``epoch`` of their tables is the place in ``epochs``.

    ``others``: rows that some other version answered in these arms; ``asked``: rows that no arm was drawn for.
    ``dropped``: rows that a shadow had no time for. ``mixed``: epochs in which an arm had more than one version or
    weight. ``lone``: rows of the champion without a counterpart, or outside of all epochs. ``parts``: one unit of so
    many was counted. ``sources``: who told labels, by number.
    """

    champion: RowTable
    candidate: RowTable
    epochs: tuple[RoutedEpoch, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    asked: int = 0
    dropped: int = 0
    mixed: tuple[str, ...] = ()
    lone: int = 0
    parts: int = 1
    sources: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[RowTable, RowTable]:
        return self.champion, self.candidate


@dataclass
class _Gathered:
    """``arms``: tables of champion and candidate; ``weights``: epoch, arm → weights met; ``versions``: epoch → rows of
    other versions."""

    encoders: Encoders
    arms: tuple[list[RowTable], list[RowTable]] = field(default_factory=lambda: ([], []))
    weights: dict[str, set[float]] = field(default_factory=dict)
    strangers: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    halved: int = 0
    rows: int = 0


def read_rows(trial: CandidateTrial, traffic: TrialTraffic, window: Window) -> TrialRows:
    """Raises what reading traffic raises."""
    found = _Gathered(Encoders.empty())
    columns = [*COLUMNS, f"output_{trial.output.name}"]
    for batch in _here(traffic.requests(window, columns), trial.environment):
        _gather(found, batch, trial)
    empty = table_of(_nothing(), trial.output, Encoders.empty())
    champion, candidate = (RowTable.joined([empty, *tables]) for tables in found.arms)
    whole = TrialRows(
        champion,
        candidate,
        others=dict(found.others),
        asked=found.asked,
        parts=1 << found.halved,
        sources=tuple(found.encoders.sources.known),
    )
    return _paired(whole) if trial.paired else _in_epochs(whole, found)


def _here(batches: Iterator[Any], environment: str) -> Iterator[Any]:
    """Rows of the environment; of early ones that do not say theirs all."""
    for batch in batches:
        here = pc.fill_null(pc.equal(batch["environment"], environment), fill_value=True)
        yield batch if pc.all(here).as_py() else batch.filter(here)


def _gather(found: _Gathered, batch: Any, trial: CandidateTrial) -> None:
    arms, versions = WordNumbers({}), WordNumbers({})
    arm, version = arms.of(batch["arm"]), versions.of(batch["version"])
    wanted = ("champion", "shadow" if trial.paired else "canary")
    pins = (trial.champion.version, trial.candidate.version)
    found.asked += int((arm == arms.known.get("asked", -2)).sum())
    whole: RowTable | None = None
    for place, (name, pin) in enumerate(zip(wanted, pins, strict=True)):
        routed = arm == arms.known.get(name, -2)
        mine = routed & (version == versions.known.get(pin, -2))
        _note_others(found, batch, name, routed & ~mine, paired=trial.paired)
        if mine.any():
            # Numbers are parted faster than texts, so the whole batch is read as numbers first.
            whole = table_of(batch, trial.output, found.encoders) if whole is None else whole
            if not trial.paired and place:
                _note_weights(found, batch.select(_ROUTING).filter(pa.array(mine)))
            _keep(found, place, whole if mine.all() else whole.taken(mine))


def _note_others(found: _Gathered, batch: Any, arm: str, rows: NDArray[np.bool_], *, paired: bool) -> None:
    if not rows.any() or (paired and arm == "shadow"):
        return
    strange = batch.filter(pa.array(rows))
    for version, count in _counts(strange["version"]).items():
        found.others[f"{arm} {version or 'unknown'}"] += count
    found.strangers.update(_counts(strange["epoch"]))


def _note_weights(found: _Gathered, batch: Any) -> None:
    """``weight`` is that of the arm, which is known of the rows of the candidate."""
    table = pa.Table.from_batches([batch])
    for row in table.group_by(_ROUTING, use_threads=False).aggregate([]).to_pylist():
        found.weights.setdefault(row["epoch"] or "", set()).add(float(row["weight"] or 0.0))


def _counts(column: Any) -> dict[str, int]:
    return {(one["values"] or ""): one["counts"] for one in pc.value_counts(column).to_pylist()}


def _keep(found: _Gathered, arm: int, table: RowTable) -> None:
    table = _thinned(table, found.halved)
    found.arms[arm].append(table)
    found.rows += len(table)
    while found.rows > MOST_ROWS:
        found.halved += 1
        for tables in found.arms:
            tables[:] = [_thinned(one, found.halved) for one in tables]
        found.rows = sum(len(one) for tables in found.arms for one in tables)


def _thinned(table: RowTable, halved: int) -> RowTable:
    """By bits of the unit's key, so that both arms lose the same units, whole."""
    if not halved:
        return table
    kept = (table.unit & ((_UNIT_BITS << np.uint64(halved)) - _UNIT_BITS)) == 0
    return table.taken(kept)


def _in_epochs(rows: TrialRows, found: _Gathered) -> TrialRows:
    """Epochs are those in which the candidate answered, in the order of their first row."""
    names = tuple(found.encoders.epochs.known)
    mine = [number for number, name in enumerate(names) if name in found.weights]
    mixed = tuple(names[n] for n in mine if not _is_one(found.weights[names[n]]) or names[n] in found.strangers)
    starts = {n: int(rows.candidate.arrived[rows.candidate.epoch == n].min(initial=2**62)) for n in mine}
    order = sorted(mine, key=lambda number: (starts[number], names[number]))
    table = np.full(len(names) + 1, -1, dtype=np.int32)
    table[order] = np.arange(len(order), dtype=np.int32)
    epochs = tuple(RoutedEpoch(names[n], max(found.weights[names[n]])) for n in order)
    arms = [replace(arm, epoch=table[arm.epoch]) for arm in rows.arms]
    inside = [arm if (arm.epoch >= 0).all() else arm.taken(arm.epoch >= 0) for arm in arms]
    inside = [arm.taken(arm.arranged()) for arm in inside]
    return replace(
        rows, champion=inside[0], candidate=inside[1], epochs=epochs, mixed=mixed, lone=len(arms[0]) - len(inside[0])
    )


def _is_one(weights: set[float]) -> bool:
    """Whether it is one weight, and one that a routing can have."""
    return len(weights) == 1 and all(0 <= weight <= 100 for weight in weights)


def _paired(rows: TrialRows) -> TrialRows:
    """Of answers of the champion and what the candidate made of the same rows, in the order of their arrival."""
    champion = rows.champion.taken(rows.champion.outcome == ANSWERED)
    dropped = int((rows.candidate.outcome == DROPPED).sum())
    candidate = rows.candidate.taken(rows.candidate.outcome != DROPPED)
    _, mine, other = np.intersect1d(champion.pair, candidate.pair, return_indices=True)
    lone = len(champion) - len(mine)
    zero = np.zeros(len(mine), dtype=np.int32)
    first = replace(champion.taken(mine), epoch=zero)
    order = first.arranged()
    first, second = first.taken(order), candidate.taken(other).taken(order)
    # A unit is the same one on both sides, and a label is that of the request.
    second = replace(second, unit=first.unit, named=first.named, arrived=first.arrived, epoch=zero)
    return replace(rows, champion=first, candidate=second, dropped=dropped, lone=lone)


def _nothing() -> Any:
    kinds = {
        "row": pa.int32(),
        "weight": pa.float64(),
        "latency_ms": pa.float32(),
        "arrived": pa.timestamp("us", "UTC"),
    }
    fields = [pa.field(name, kinds.get(name, pa.string())) for name in COLUMNS]
    told = [("label", pa.float64()), ("label_text", pa.string()), ("label_source", pa.string())]
    schema = pa.schema([*fields, *told, ("label_arrived", pa.timestamp("us", "UTC"))])
    return pa.RecordBatch.from_pylist([], schema=schema)
