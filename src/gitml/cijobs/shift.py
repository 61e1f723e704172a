"""How the data of a version is distributed against that of another, from the profiles in their records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gitml.registry.record import File
from gitml.reports import facts
from gitml.reports.figures import interval
from gitml.stats.profile import Column, Numbers, Profile
from gitml.stats.shift import Bin, chance, coarser, shift

_MOST_BINS = 10
_WORDS = {"rest": "all others", "missing": "missing", "present": "any value"}


@dataclass(frozen=True)
class _Both:
    """One column of both data sets."""

    name: str
    old: Column
    new: Column


def with_shifts(table: facts.Table, old: File | None, new: File | None, onto: str) -> facts.Table:
    """The table with what its columns' distributions say; as it is where neither side is a table of rows."""
    if old is None or new is None or old.rows is None or new.rows is None:
        return table
    if old.profile is None or new.profile is None:
        return replace(table, unprofiled=_why(old.profile, new.profile, onto))
    found = list(_shifts(old.profile, new.profile))
    compared = sorted((s for s in found if s is not None), key=lambda s: (-s.distance, s.name))
    shifted = tuple(s for s in compared if s.distance > s.chance)
    unknown = len(found) - len(compared) + max(old.profile.left_out, new.profile.left_out)
    return replace(table, shifted=shifted, steady=len(compared) - len(shifted), unknown=unknown)


def _why(old: Profile | None, new: Profile | None, onto: str) -> str:
    if new is not None:
        return f"the version of {onto} was recorded without a profile of it"
    which = "this version was recorded" if old is not None else "both versions were recorded"
    return f"{which} without a profile of it: it is too small, or its files share no column"


def _shifts(old: Profile, new: Profile) -> Iterator[facts.ColumnShift | None]:
    """Of the columns that both have; None for one that cannot be compared."""
    columns: Mapping[str, Column] = new.columns
    for name, column in columns.items():
        if name in old.columns:
            yield _shift(_Both(name, old.columns[name], column), old.rows, new.rows)


def _shift(both: _Both, old_rows: int, new_rows: int) -> facts.ColumnShift | None:
    found = shift(both.old, both.new)
    if found is None:
        return None
    return facts.ColumnShift(
        name=both.name,
        distance=round(found.distance, 4),
        chance=round(chance(len(found.bins), old_rows, new_rows), 4),
        old_mean=both.old.mean if isinstance(both.old, Numbers) else None,
        new_mean=both.new.mean if isinstance(both.new, Numbers) else None,
        bins=tuple(_bin(b, both) for b in coarser(found.bins, _MOST_BINS)),
    )


def _bin(found: Bin, both: _Both) -> facts.ReportedBin:
    whole = all(isinstance(column, Numbers) and column.whole for column in (both.old, both.new))
    label = interval(found.low, found.high, whole=whole) if found.kind == "range" else found.value
    return facts.ReportedBin(_WORDS.get(found.kind, label), _share(found.old), _share(found.new))


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 4)
