"""``gitml holdout --report``: the report as a file, its picture and the facts as JSON beside it."""

from __future__ import annotations

from pathlib import Path

from gitml.errors import GitmlError
from gitml.files import write_file
from gitml.reports.charts import png
from gitml.reports.exchange import to_json
from gitml.reports.facts import Report, ReportedModel
from gitml.reports.holdoutchart import chart
from gitml.reports.markdown import render


def write_report(target: Path, application: str, told: ReportedModel) -> bool:
    """What the pull request would show of it. Whether its picture was drawn, if there is anything to draw."""
    report = Report(application, models=(told,))
    text, picture = render(report), target.with_suffix(".png")
    spec = chart(told.holdout, told.holdout.name) if told.holdout else None
    drawn = _drawn(spec, picture) if spec else False
    text += f"\n![Differences on the same rows]({picture.name})\n" if drawn else ""
    write_file(target, text.encode())
    write_file(target.with_suffix(".json"), to_json(report).encode())
    return drawn or spec is None


def _drawn(spec: object, picture: Path) -> bool:
    try:
        write_file(picture, png(spec))
    except GitmlError:
        return False
    return True
