"""Charts of a regression as Vega-Lite specs with their data inside."""

import json

INK, ACCENT, SOFT = "#24303c", "#1f6feb", "#b9d2f7"


def write_charts(folder, truth, predicted, slices):
    """Write predicted, residuals and mae_by_group, each as `<name>.vl.json`."""
    rows = [
        {"observed": round(float(was), 1), "predicted": round(float(said), 1), "residual": round(float(was - said), 1)}
        for was, said in zip(truth, predicted, strict=True)
    ]
    groups = [{"group": part["value"], "rows": part["rows"], **part["metrics"]["mae"]} for part in slices]
    folder.mkdir(parents=True, exist_ok=True)
    charts = {"predicted": against_observed(rows), "residuals": residuals(rows), "mae_by_group": mae_by_group(groups)}
    for name, chart in charts.items():
        (folder / f"{name}.vl.json").write_text(json.dumps(chart) + "\n", encoding="utf-8")


def _chart(title, below, datasets, layers):
    """``datasets`` by name at the top, where `dvc plots` finds them too; a layer names the one that it shows."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": title, "subtitle": below, "anchor": "start", "color": INK},
        "background": "white",
        "width": 380,
        "height": 280,
        "datasets": datasets,
        "layer": layers,
    }


def _axis(field, title, **more):
    return {"field": field, "type": "quantitative", "title": title, **more}


def against_observed(rows):
    """Predicted against observed; a row on the line is right."""
    most = max(max(row["observed"], row["predicted"]) for row in rows)
    ends = [{"predicted": at, "observed": at} for at in (0, most)]
    x, y = _axis("predicted", "predicted"), _axis("observed", "observed")
    line = {
        "data": {"name": "right"},
        "mark": {"type": "line", "color": INK, "strokeDash": [4, 4]},
        "encoding": {"x": x, "y": y},
    }
    dots = {
        "data": {"name": "rows"},
        "mark": {"type": "circle", "color": ACCENT, "opacity": 0.6},
        "encoding": {"x": x, "y": y},
    }
    return _chart(
        "How near do predictions come?",
        "dots on the dashed line are right",
        {"rows": rows, "right": ends},
        [dots, line],
    )


def residuals(rows):
    """How often which error."""
    bars = {
        "data": {"name": "rows"},
        "mark": {"type": "bar", "color": ACCENT},
        "encoding": {
            "x": _axis("residual", "observed - predicted", bin={"maxbins": 25}),
            "y": {"aggregate": "count", "title": "rows"},
        },
    }
    return _chart("How large are the errors?", "left of 0: predicted too high", {"rows": rows}, [bars])


def mae_by_group(groups):
    """Mean absolute error of each group with its interval."""
    y = {"field": "group", "type": "nominal", "sort": None, "title": None}
    bars = {
        "mark": {"type": "rule", "color": SOFT, "strokeWidth": 6},
        "encoding": {"x": _axis("low", "mean absolute error"), "x2": {"field": "high"}, "y": y},
    }
    dots = {
        "mark": {"type": "circle", "color": ACCENT, "size": 90, "opacity": 1},
        "encoding": {"x": _axis("value", "mean absolute error"), "y": y},
    }
    layers = [{"data": {"name": "groups"}, **layer} for layer in (bars, dots)]
    return _chart("Is every age predicted as well?", "bars: 95 %", {"groups": groups}, layers)
