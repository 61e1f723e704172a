"""Charts of a classifier of several classes as Vega-Lite specs with their data inside."""

import json
from collections import Counter

INK, SCALE = "#24303c", "blues"


def write_charts(folder, classes, truth, predicted):
    """Write confusion and by_class, each as `<name>.vl.json`."""
    counts = Counter(zip(truth, predicted, strict=True))
    of_class = Counter(truth)
    cells = [
        {
            "observed": was,
            "predicted": said,
            "rows": counts[was, said],
            "share": round(counts[was, said] / max(of_class[was], 1), 4),
        }
        for was in classes
        for said in classes
    ]
    said_at_all = Counter(predicted)
    marks = [
        {"class": word, "measure": measure, "value": round(counts[word, word] / max(of[word], 1), 4)}
        for word in classes
        for measure, of in (("precision", said_at_all), ("recall", of_class))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in (("confusion", confusion(cells, classes)), ("by_class", by_class(marks, classes))):
        (folder / f"{name}.vl.json").write_text(json.dumps(chart) + "\n", encoding="utf-8")


def _chart(title, below, datasets, rest):
    """``datasets`` by name at the top, where `dvc plots` finds them too."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "title": {"text": title, "subtitle": below, "anchor": "start", "color": INK},
        "background": "white",
        "width": 300,
        "height": 240,
        "datasets": datasets,
        "data": {"name": next(iter(datasets))},
        **rest,
    }


def confusion(cells, classes):
    """Which class is taken for which: a row of the picture is what the rows are, a column what the model said."""
    x = {"field": "predicted", "type": "nominal", "sort": classes, "title": "predicted", "axis": {"labelAngle": 0}}
    y = {"field": "observed", "type": "nominal", "sort": classes, "title": "observed"}
    shade = {"field": "share", "type": "quantitative", "scale": {"scheme": SCALE, "domain": [0, 1]}, "title": "share"}
    on_dark = {"condition": {"test": "datum.share > 0.5", "value": "white"}, "value": INK}
    layers = [
        {"mark": "rect", "encoding": {"x": x, "y": y, "color": shade}},
        {
            "mark": {"type": "text", "fontSize": 15},
            "encoding": {"x": x, "y": y, "text": {"field": "rows", "type": "quantitative"}, "color": on_dark},
        },
    ]
    below = "rows of each class, and what they were taken for; the diagonal is right"
    return _chart("Which is taken for which?", below, {"cells": cells}, {"layer": layers})


def by_class(marks, classes):
    """Precision and recall of each class."""
    encoding = {
        "y": {"field": "class", "type": "nominal", "sort": classes, "title": None},
        "yOffset": {"field": "measure"},
        "x": {"field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, 1]}},
        "color": {"field": "measure", "type": "nominal", "title": None, "scale": {"range": ["#1f6feb", "#b9d2f7"]}},
    }
    below = "precision: of those it called so; recall: of those that are"
    return _chart("Is every class found?", below, {"classes": marks}, {"mark": "bar", "encoding": encoding})
