"""The charts of a report are drawn together, and one that cannot be drawn keeps no other from it."""

from __future__ import annotations

import json
from pathlib import Path

from gitml.cijobs.charts import FOLDER, Pictures
from gitml.reports import facts
from gitml.reports.charts import size
from gitml.spec import parse_application

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "title": {"text": "Calibration"},
    "data": {"values": [{"a": 1}]},
    "mark": "point",
    "encoding": {"x": {"field": "a", "type": "quantitative"}},
}


def test_good_charts_are_pictures_and_the_others_are_named_with_the_reason(tmp_path: Path) -> None:
    files = {
        "a": json.dumps(SPEC),
        "b": json.dumps({**SPEC, "data": {"url": "http://127.0.0.1/x"}}),
        "c": "[1]",
        "d": "{",
        "e": json.dumps({**SPEC, "title": "Late"}),
    }
    (tmp_path / "charts").mkdir()
    for name, text in files.items():
        (tmp_path / f"charts/{name}.vl.json").write_text(text)
    yaml = b"application: toy\nmodels:\n  m: {artifact: m.onnx, metrics: m.json, charts: charts}\n"
    pictures = Pictures(tmp_path / "ci", "1" * 40)
    model = parse_application(yaml).models["m"]
    told = facts.ReportedModel("m", facts.Outcome.NEW)
    charts = pictures.drawn(tmp_path, told, model, "main").charts
    assert [(c.name, c.title, c.image) for c in charts] == [
        ("a", "Calibration", "m-a.png"),
        ("b", "", ""),
        ("c", "", ""),
        ("d", "", ""),
        ("e", "Late", "m-e.png"),
    ]
    assert [c.spec for c in charts] == [f"charts/{name}.vl.json" for name in files]
    for name in ("m-a.png", "m-e.png"):
        assert min(size((tmp_path / "ci" / FOLDER / name).read_bytes())) > 10
    said = {note.split()[2]: note for note in pictures.notes}
    assert sorted(said) == ["b", "c", "d"]
    assert "would fetch something" in said["b"]
    assert "is no chart" in said["c"]
