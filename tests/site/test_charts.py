"""Charts of trainings: fetched by digest, held against the record, drawn still, kept from whom they do not concern."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gitml.dvc.manifest import fingerprint
from gitml.dvc.remotes import cache_depot
from gitml.errors import OutsideError
from gitml.site.build import site_files
from gitml.site.facts import SiteFacts
from gitml.site.readcharts import ChartPlaces, with_charts
from gitml.site.versionfacts import ChartFolder, TrainingChart, VersionDetail
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


def noted(facts: SiteFacts, folder: ChartFolder, root: Path) -> VersionDetail:
    """The newest version of a model with these charts."""
    delay = facts.models[0]
    newest = next(version.version for version in delay.versions if version.has_page)
    details = {**delay.details, newest: replace(delay.details[newest], chart_folder=folder)}
    (model,) = with_charts([replace(delay, details=details)], ChartPlaces((lambda: cache_depot(root), away)))
    return model.details[newest]


@pytest.mark.nightly
def test_what_a_training_drew_is_shown(facts: SiteFacts, tmp_path: Path) -> None:
    reaches = {**SPEC, "data": {"url": "file:///etc/passwd"}}
    shown = noted(facts, kept(tmp_path, {"cost": SPEC, "reaches": reaches, "twice": SPEC}), tmp_path)
    first, second = shown.charts
    assert (first.name, second.name, first.title) == ("cost", "twice", SPEC["title"])
    assert first.file == second.file
    assert b"<script" not in first.svg
    assert b"&lt;script" in first.svg
    assert shown.charts_note == "reaches: the chart is not drawn: chart.data.url would fetch something."


def test_charts_that_are_not_what_was_recorded_are_not_shown(facts: SiteFacts, tmp_path: Path) -> None:
    good = kept(tmp_path, {"reaches": {**SPEC, "data": {"url": "file:///etc/passwd"}}})
    expected = {
        "would fetch something": good,
        "not what the version's record says": replace(good, sha256="0" * 64),
        "the remote is away": replace(good, dvc=f"md5:{'0' * 32}.dir"),
        "1,000,000,000 bytes": replace(good, size=10**9),
    }
    for words, folder in expected.items():
        shown = noted(facts, folder, tmp_path)
        assert words in shown.charts_note
        assert not shown.charts


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
