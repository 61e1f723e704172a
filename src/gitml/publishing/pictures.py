"""The pictures of a report: from files beside it to addresses on the forge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from gitml.errors import GitmlError, IntegrityError
from gitml.git.assets import Remote, address_of, picture_files, push_pictures
from gitml.reports.facts import Report, ReportedModel

# Beside the report; its name begins like the report's, so that one pattern uploads both.
FOLDER = "report-pictures"


def with_pictures(report: Report, folder: Path, remote: Remote, say: Callable[[str], None]) -> Report:
    """Push the charts' pictures and return the report with their paths on the branch.

    A report without pictures is better than none: what cannot be pushed is said, and left out.
    """
    names = sorted({chart.image for model in report.models for chart in model.charts if chart.image})
    places: dict[str, str] = {}
    try:
        files = picture_files(folder, names)
        for name in names:
            _place(name, files, places, say)
        if places:
            push_pictures(remote, {places[name]: files[name] for name in places})
    except GitmlError as exc:
        say(f"the report goes without pictures: {exc.message}")
        places = {}
    return replace(report, models=tuple(_moved(model, places) for model in report.models))


def _place(name: str, files: Mapping[str, bytes], places: dict[str, str], say: Callable[[str], None]) -> None:
    if name not in files:
        say(f"the picture {name} is not there")
        return
    try:
        places[name] = address_of(name.rpartition("/")[2], files[name])
    except IntegrityError as exc:
        say(f"a picture is left out: {exc.message}")


def _moved(model: ReportedModel, places: Mapping[str, str]) -> ReportedModel:
    charts = tuple(replace(chart, image=places.get(chart.image, "")) for chart in model.charts)
    return replace(model, charts=charts)
