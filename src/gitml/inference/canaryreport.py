"""``gitml canary --report``: the report as a file, its picture and the evaluation as JSON beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitml.files import write_file
from gitml.jsontext import pretty
from gitml.reports.canary import canary_report
from gitml.rollout.evaluation import Evaluation


def write_report(target: Path, found: Sequence[Evaluation]) -> bool:
    """One report for all. Whether each picture that could be drawn was drawn."""
    pages, complete = [], True
    for one in found:
        page = canary_report(one.to_dict())
        pages.append(page.text)
        complete = complete and bool(page.pictures or len(one.series) < 2)
        for name, picture in page.pictures.items():
            write_file(target.parent / name, picture)
    write_file(target, "\n\n---\n\n".join(pages).encode() + b"\n")
    write_file(target.with_suffix(".json"), pretty([one.to_dict() for one in found]).encode())
    return complete
