"""``gitml monitor --report``: the report of a look as a file, with the looks before it and its pictures beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gitml.files import write_file
from gitml.inference.monitor import MonitorCall, monitor
from gitml.inference.monitored import Monitored
from gitml.reports.monitor import report

# So many looks before this one are shown: each is looked at anew.
_BEFORE = 8


def write_report(target: Path, root: Path, call: MonitorCall, looks: Sequence[Monitored]) -> bool:
    """One report for each of ``looks``, which ``call`` gave. Whether every picture that could be drawn was drawn."""
    pages, complete = [], True
    for look in looks:
        told, before = look.to_dict(), [one.to_dict() for one in earlier(root, call, look)]
        page = report(told, before)
        pages.append(page.sticky)
        complete = complete and bool(page.pictures or not told["shapes"])
        for name, picture in page.pictures.items():
            write_file(target.parent / name, picture)
    write_file(target, "\n\n---\n\n".join([*pages]).encode() + b"\n")
    return complete


def earlier(root: Path, call: MonitorCall, look: Monitored) -> list[Monitored]:
    """The looks of the schedule before this one, oldest first, each with what was known at its own moment."""
    return [*_backwards(root, call, look)][::-1] if look.scheduled else []


def _backwards(root: Path, call: MonitorCall, look: Monitored) -> Iterator[Monitored]:
    length, first = look.until - look.since, min((one.since for one in look.looks), default=look.since)
    for back in range(1, _BEFORE + 1):
        if look.since - back * length < first:
            return
        at = look.at - back * length
        yield from monitor(
            root, replace(call, models=(look.model,), environment=look.environment, at=at, estimates=False)
        )
