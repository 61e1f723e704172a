"""Charts of trainings: fetched by digest, held against the record, drawn still, kept from whom they do not concern."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gitml.dvc.manifest import fingerprint
from gitml.dvc.remotes import cache_depot
from gitml.errors import OutsideError
from gitml.site.build import site_files
from gitml.site.facts import SiteFacts
from gitml.site.readcharts import ChartPlaces, with_charts
from gitml.site.versionfacts import ChartFolder, SiteModel, TrainingChart
from gitml.spec.views import SiteView

SPEC: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "title": "Cost <script>alert(1)</script> by threshold",
    "data": {"values": [{"threshold": 0.1, "cost": 12}, {"threshold": 0.9, "cost": 30}]},
    "mark": "line",
    "encoding": {"x": {"field": "threshold", "type": "quantitative"}, "y": {"field": "cost", "type": "quantitative"}},
}


def kept(root: Path, charts: dict[str, Any]) -> ChartFolder:
    """A folder of charts in DVC's cache below ``root``."""
    out = root / "charts"
    out.mkdir(exist_ok=True)
    listing = []
    for name, spec in charts.items():
        (out / f"{name}.vl.json").write_text(json.dumps(spec))
        listing.append({"md5": _store(root, (out / f"{name}.vl.json").read_bytes()), "relpath": f"{name}.vl.json"})
    found = fingerprint(out)
    return ChartFolder("charts", f"md5:{_store(root, json.dumps(listing).encode(), '.dir')}", found.sha256, found.size)


def _store(root: Path, content: bytes, suffix: str = "") -> str:
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    place = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return digest


def away() -> Any:
    raise OutsideError("the remote is away")


def test_what_a_training_drew_is_shown_if_it_is_what_was_recorded(facts: SiteFacts, tmp_path: Path) -> None:
    good = kept(tmp_path, {"cost": SPEC, "reaches": {**SPEC, "data": {"url": "file:///etc/passwd"}}})
    folders = (
        good,
        replace(good, sha256="0" * 64),
        replace(good, dvc=f"md5:{'0' * 32}.dir"),
        replace(good, size=10**9),
    )
    delay = facts.models[0]
    # Deployed or not, the newest three are drawn; this one model has them all.
    names = [v.version for v in delay.versions if v.has_page][:3]
    found: dict[int, SiteModel] = {}
    for number, folder in enumerate(folders):
        details = {**delay.details, names[0]: replace(delay.details[names[0]], chart_folder=folder)}
        places = ChartPlaces((lambda: cache_depot(tmp_path), away))
        (found[number],) = with_charts([replace(delay, details=details)], places)
    shown = found[0].details[names[0]]
    (chart,) = shown.charts
    assert (chart.name, chart.title) == ("cost", SPEC["title"])
    assert b"<script" not in chart.svg
    assert b"&lt;script" in chart.svg
    assert "reaches: the chart is not drawn: chart.data.url would fetch something" in shown.charts_note
    notes = [found[number].details[names[0]].charts_note for number in (1, 2, 3)]
    assert "not what the version's record says" in notes[0]
    assert "the remote is away" in notes[1]
    assert "1,000,000,000 bytes" in notes[2]
    assert not any(found[number].details[names[0]].charts for number in (1, 2, 3))


def test_a_picture_that_names_what_a_role_may_not_see_is_not_in_its_build(facts: SiteFacts) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"></svg>'
    charts = (
        TrainingChart("cost", "Cost", svg, 30, 20, "cost threshold"),
        TrainingChart("groups", "AUC", svg + b" ", 30, 20, "groups auc of Carrier"),
        TrainingChart("seats", "Seats", svg + b"  ", 30, 20, 'seats {"field": "seat_owner"}'),
    )
    model = facts.models[0]
    details = {name: replace(d, chart_folder=None, charts=charts) for name, d in model.details.items()}
    shown = replace(facts, models=(replace(model, details=details), *facts.models[1:]))
    page = f"models/delay/{next(iter(details))}.html"
    everybody = dict(site_files(shown, "", SiteView()))
    assert [chart.file in everybody for chart in charts] == [True, True, False], "private columns are nobody's"
    assert f'src="../../{charts[0].file}" width="30" height="20"' in everybody[page].decode()
    operations = dict(site_files(shown, "operations", SiteView(without_columns=("carrier",))))
    assert [chart.file in operations for chart in charts] == [True, False, False]
    assert "2 charts of what this page may not show" in operations[page].decode()
    assert not [name for name in site_files(shown, "risk", SiteView(pages=("audit",))) if name[0].startswith("charts/")]
