"""What a monitor watches: the columns of one version, and what is known of them without any traffic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from gitml.errors import UsageError
from gitml.models.fields import Field
from gitml.models.signature import Signature
from gitml.monitoring.reference import FEATURE, OUTPUT, VersionReference
from gitml.sketches.grids import CategoryGrid, Grid, NumberGrid
from gitml.sketches.layout import Layout
from gitml.sketches.reference import ReferenceSketch, joined
from gitml.sketches.sketch import Sketch
from gitml.traffic.private import EVERY_COLUMN


@dataclass(frozen=True)
class Look:
    """One window of the schedule, and what was counted in it."""

    since: datetime
    until: datetime
    sketch: Sketch


@dataclass(frozen=True)
class Subject:
    """``every``: name in the traffic (``feature_…``, ``output_…``) → the signature's field; ``fields`` are those that
    are watched. ``layout`` is that of the reference where the version has one; without it columns are counted by the
    signature alone."""

    every: Mapping[str, Field]
    fields: Mapping[str, Field]
    layout: Layout
    reference: VersionReference | None = None

    def reference_of(self, column: str) -> ReferenceSketch | None:
        """The part of the reference that has the column."""
        parts = self.reference.parts if self.reference else ()
        return next((part for part in parts if column in part.layout.columns), None)


def subject_of(
    signature: Signature,
    reference: VersionReference | None,
    columns: Collection[str] = (),
    private: Collection[str] = (),
) -> Subject:
    """Of ``columns`` by their own names, all by default; ``private`` ones are never in the traffic.

    Raises UsageError for a column that the signature does not have.
    """
    every = {f"{FEATURE}{f.name}": f for f in signature.inputs} | {f"{OUTPUT}{f.name}": f for f in signature.outputs}
    unknown = sorted(set(columns) - {f.name for f in every.values()})
    if unknown:
        names = ", ".join(f.name for f in every.values())
        raise UsageError(f"the signature has no column {unknown[0]}", f"it has {names}: correct monitors in gitml.yaml")
    watched = {
        name: field
        for name, field in every.items()
        if (not columns or field.name in columns) and field.name not in private and EVERY_COLUMN not in private
    }
    if reference is None or not reference.parts:
        return Subject(every, watched, Layout({name: _grid(field) for name, field in watched.items()}))
    known = joined(*(part.layout for part in reference.parts))
    grids = {name: known.columns.get(name) or _grid(field) for name, field in watched.items()}
    return Subject(every, watched, Layout(grids, known.context, known.strata, known.units), reference)


def _grid(field: Field) -> Grid:
    """Enough to count what is missing, of another type, or of a category that the model does not know."""
    if field.type == "bool":
        return CategoryGrid(("false", "true"))
    return CategoryGrid(field.categories or ()) if field.type == "string" else NumberGrid((), (0,))
