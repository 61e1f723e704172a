"""What is known of a monitor from its signed looks: the counts of earlier windows, and how many looks were spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gitml.errors import UsageError
from gitml.evidence.looks import Spent
from gitml.inference.monitored import Monitored
from gitml.jsontext import canonical
from gitml.sketches.form import read_sketch
from gitml.sketches.layout import Layout
from gitml.sketches.sketch import Sketch
from gitml.verdict import Phase, Verdict

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Earlier:
    """``sketches``: window → what its look signed, as JSON has it. ``spent``: with the look that is made now, None
    where nobody signs it."""

    sketches: Mapping[Span, Mapping[str, Any]] = field(default_factory=dict)
    spent: Spent | None = None

    def sketch(self, window: Span, layout: Layout) -> Sketch | None:
        """None where no look of the window carries counts of this layout."""
        form = self.sketches.get(window)
        if form is None:
            return None
        try:
            return read_sketch(canonical(form), layout)
        except UsageError:
            return None


NOTHING = Earlier()


def within_promise(found: Monitored, spent: Spent | None) -> Monitored:
    """A look beyond those that the promise covers alarms nobody; the data contract is no matter of chance."""
    if spent is None or not spent.is_beyond:
        return found
    said = f"look {spent.looks} of {spent.year} is beyond those that the promise covers, so it is no alarm: "
    verdicts = {
        part: Verdict(Phase.INCONCLUSIVE, said + verdict.reason, verdict.measurements)
        if part != "quality" and verdict.phase is Phase.FAILED
        else verdict
        for part, verdict in found.verdicts.items()
    }
    return replace(found, verdicts=verdicts)
