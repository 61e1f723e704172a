"""What a server writes to: the prediction log, and what callers tell later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gitml.traffic.events import EventStore
from gitml.traffic.labels import LabelStore
from gitml.traffic.livesketch import LiveSketches
from gitml.traffic.predictionlog import LogOrigin, NoLog, PredictionLog, Sink


@dataclass(frozen=True)
class Taken:
    """What callers may tell: what really happened, and business events. Where a store is missing, nobody can."""

    labels: LabelStore | None = None
    events: EventStore | None = None


class Writers(NamedTuple):
    """``live`` counts what goes to the log."""

    log: Sink
    taken: Taken
    live: LiveSketches


@contextmanager
def writing(folder: str, origin: LogOrigin, spool: Path | None = None) -> Iterator[Writers]:
    """Writers to ``folder``, a path or URL; '' for none. At the end all that waits is written."""
    live = LiveSketches(origin.now)
    if not folder:
        yield Writers(NoLog(), Taken(), live)
        return
    with ExitStack() as stack:
        log = stack.enter_context(closing(PredictionLog(folder, spool=spool, origin=origin, seen=live)))
        labels = stack.enter_context(closing(LabelStore(folder, spool=spool, keep=origin.keep)))
        events = stack.enter_context(closing(EventStore(folder, spool=spool, keep=origin.keep)))
        yield Writers(log, Taken(labels, events), live)
