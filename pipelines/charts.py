"""The charts of an evaluation as Vega-Lite specs with their data inside."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from files import rounded, write_json
from scoring import Cost, Floats, Scored

INK, ACCENT, SOFT, RULE = "#24303c", "#1f6feb", "#b9d2f7", "#9aa5b1"
WARN = "#d1571b"


@dataclass(frozen=True)
class Group:
    """The AUC of one group of rows, or None where the group is too small to be judged."""

    name: str
    rows: int
    auc: Mapping[str, float] | None

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Group":
        """From an entry of slices.json."""
        return cls(entry["value"], entry["rows"], entry.get("metrics", {}).get("auc"))


def write_charts(folder: Path, scored: Scored, drawn: Floats, carriers: list[Group]) -> None:
    """Write calibration, roc, confusion, cost and auc_by_carrier, each as `<name>.vl.json`."""
    charts = {
        "calibration": calibration(scored, drawn),
        "roc": roc(scored),
        "confusion": confusion(scored),
        "cost": cost(scored),
        "auc_by_carrier": auc_by_carrier(carriers),
    }
    for name, chart in charts.items():
        write_json(folder / f"{name}.vl.json", styled(chart).to_dict(), compact=True)


def styled(chart: alt.LayerChart) -> alt.LayerChart:
    """One look for all."""
    return (
        chart.configure(background="white", font="Helvetica, Arial, sans-serif", padding=12)
        .configure_view(stroke=None)
        .configure_axis(
            grid=True, gridColor="#edf0f3", domainColor=RULE, tickColor=RULE, labelColor=INK, titleColor=INK,
            labelFontSize=11, titleFontSize=12, titleFontWeight="normal", titlePadding=8,
        )
        .configure_title(
            anchor="start", color=INK, fontSize=15, fontWeight=600, offset=12,
            subtitleColor="#5b6773", subtitleFontSize=12,
        )
    )  # fmt: skip


def _title(text: str, below: str) -> alt.TitleParams:
    return alt.TitleParams(text, subtitle=below)


def _table(rows: Mapping[str, Any]) -> pd.DataFrame:
    """Short numbers keep the specs small."""
    frame = pd.DataFrame(rows)
    numbers = frame.select_dtypes("float").columns
    return frame.assign(**{name: [rounded(value) for value in frame[name]] for name in numbers})


def calibration(scored: Scored, drawn: Floats) -> alt.LayerChart:
    """Predicted against observed share of late flights per bin, with the interval over resampled days."""
    table = _calibration_table(scored, drawn)
    top = float(np.ceil(max(table["high"].max(), table["predicted"].max()) * 10) / 10)
    scale = alt.Scale(domain=[0, top])
    x = alt.X("predicted:Q", title="predicted share late", scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("observed:Q", title="observed share late", scale=scale, axis=alt.Axis(format="%"))
    base = alt.Chart(table).encode(x=x)
    ideal = alt.Chart(_table({"at": [0.0, top]})).mark_line(color=RULE, strokeDash=[4, 4]).encode(x="at:Q", y="at:Q")
    bars = base.mark_rule(color=SOFT, strokeWidth=5, strokeCap="round").encode(y=alt.Y("low:Q"), y2="high:Q")
    dots = base.mark_circle(color=ACCENT, size=80, opacity=1).encode(
        y=y, tooltip=[alt.Tooltip("rows:Q", format=","), alt.Tooltip("observed:Q", format=".1%")]
    )
    line = base.mark_line(color=ACCENT, strokeWidth=1.5).encode(y=y)
    below = "dots on the dashed line are right on average; bars: 95 % over resampled days"
    return alt.layer(ideal, bars, line, dots).properties(
        width=380, height=340, title=_title("Does 30 % mean 30 %?", below)
    )


def _calibration_table(scored: Scored, drawn: Floats) -> pd.DataFrame:
    rows = []
    for number in np.unique(scored.bins):
        part = scored.part(scored.bins == number)
        weights = drawn[:, part.days]
        total = weights.sum(axis=1)
        shares = (weights @ part.truth)[total > 0] / total[total > 0]
        low, high = np.quantile(shares, [0.025, 0.975])
        rows.append((part.predicted.mean(), part.truth.mean(), low, high, len(part.truth)))
    return _table(dict(zip(("predicted", "observed", "low", "high", "rows"), zip(*rows, strict=True), strict=True)))


def _rates(scored: Scored, thresholds: Floats) -> tuple[Floats, Floats]:
    """Share of late flights alerted, and of flights on time alerted, at each threshold."""
    late, on_time = np.sort(scored.predicted[scored.truth == 1]), np.sort(scored.predicted[scored.truth == 0])

    def above(ordered: Floats) -> Floats:
        return 1 - np.searchsorted(ordered, thresholds, side="left") / max(len(ordered), 1)

    return above(late), above(on_time)


def roc(scored: Scored) -> alt.LayerChart:
    """The ROC curve at 120 thresholds, and the chosen one."""
    thresholds = np.quantile(scored.predicted, np.linspace(0, 1, 120))[::-1]
    hit, false = _rates(scored, thresholds)
    curve = _table({"false": [0.0, *false, 1.0], "hit": [0.0, *hit, 1.0], "order": range(len(hit) + 2)})
    (now_hit,), (now_false,) = _rates(scored, np.array([scored.threshold]))
    here = _table({"false": [now_false], "hit": [now_hit], "label": [f"threshold {scored.threshold:.2f}"]})
    x = alt.X("false:Q", title="on-time flights alerted", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    y = alt.Y("hit:Q", title="late flights alerted", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    chance = alt.Chart(_table({"at": [0.0, 1.0]})).mark_line(color=RULE, strokeDash=[4, 4]).encode(x="at:Q", y="at:Q")
    base = alt.Chart(curve).encode(x=x, y=y, order="order:Q")
    line = base.mark_line(color=ACCENT, strokeWidth=2.5)
    spot = alt.Chart(here).encode(x=x, y=y)
    dot = spot.mark_circle(color=WARN, size=120, opacity=1)
    text = spot.mark_text(align="right", dx=-10, dy=-6, color=WARN, fontSize=12, fontWeight=600).encode(text="label:N")
    below = f"late {now_hit:.0%} caught, on time {now_false:.0%} alarmed; dashed: guessing"
    return alt.layer(chance, line, dot, text).properties(
        width=380, height=340, title=_title("How well are late flights told apart?", below)
    )


def confusion(scored: Scored) -> alt.LayerChart:
    """The four outcomes at the chosen threshold, as numbers and shares of all flights."""
    alert, late = scored.predicted >= scored.threshold, scored.truth == 1
    cells = [
        ("late", "alert", "caught", True),
        ("late", "no alert", "missed", False),
        ("on time", "alert", "false alert", False),
        ("on time", "no alert", "left alone", True),
    ]
    numbers = [int(np.sum((late == (was == "late")) & (alert == (said == "alert")))) for was, said, *_ in cells]
    table = pd.DataFrame(cells, columns=["was", "said", "name", "right"]).assign(
        share=[rounded(n / len(late)) for n in numbers],
        text=[f"{n:,} ({n / len(late):.1%})" for n in numbers],
    )
    base = alt.Chart(table).encode(
        x=alt.X(
            "said:N",
            title=None,
            sort=["alert", "no alert"],
            axis=alt.Axis(orient="top", labelAngle=0, grid=False, domain=False, ticks=False),
        ),
        y=alt.Y("was:N", title=None, sort=["late", "on time"], axis=alt.Axis(grid=False, domain=False, ticks=False)),
    )
    tone = alt.Color("right:N", legend=None, scale=alt.Scale(domain=[True, False], range=[ACCENT, WARN]))
    depth = alt.Opacity("share:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.12, 0.6]))
    tiles = base.mark_rect(stroke="white", strokeWidth=4, cornerRadius=6).encode(color=tone, opacity=depth)
    name = base.mark_text(dy=-9, fontSize=14, fontWeight=600, color=INK).encode(text="name:N")
    text = base.mark_text(dy=11, fontSize=13, color=INK).encode(text="text:N")
    title = _title("What the alerts did", f"held-out flights at threshold {scored.threshold:.2f}")
    return alt.layer(tiles, name, text).properties(width=380, height=220, title=title)


def cost(scored: Scored) -> alt.LayerChart:
    """Dollars per flight against the threshold; the chosen one; alerting everybody and nobody at the ends."""
    thresholds = np.arange(0, 101) / 100
    money = _cost_at(scored, thresholds)
    now = float(_cost_at(scored, np.array([scored.threshold]))[0])
    table = _table({"threshold": thresholds, "cost": money})
    here = _table({"threshold": [scored.threshold], "cost": [now], "label": [f"${now:.2f} at {scored.threshold:.2f}"]})
    x = alt.X("threshold:Q", title="threshold", scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("cost:Q", title="dollars per flight", axis=alt.Axis(format="$.0f"), scale=alt.Scale(zero=True))
    line = alt.Chart(table).mark_line(color=ACCENT, strokeWidth=2.5).encode(x=x, y=y)
    spot = alt.Chart(here).encode(x=x, y=y)
    rule = alt.Chart(here).mark_rule(color=WARN, strokeDash=[4, 4]).encode(x=x)
    dot = spot.mark_circle(color=WARN, size=120, opacity=1)
    text = spot.mark_text(align="left", dx=12, dy=18, color=WARN, fontSize=12, fontWeight=600).encode(text="label:N")
    price = scored.cost
    below = f"missed alert ${price.missed:g}, false alert ${price.false_alert:g}; chosen on earlier days"
    return alt.layer(line, rule, dot, text).properties(
        width=440, height=300, title=_title("What does the threshold cost?", below)
    )


def _cost_at(scored: Scored, thresholds: Floats) -> Floats:
    hit, false = _rates(scored, thresholds)
    late = scored.truth.mean()
    price: Cost = scored.cost
    return price.missed * late * (1 - hit) + price.false_alert * (1 - late) * false


def auc_by_carrier(carriers: list[Group]) -> alt.LayerChart:
    """AUC with its interval per carrier, best first; those with too few flights are named below the title."""
    judged = [group for group in carriers if group.auc is not None]
    left_out = [f"{group.name} ({group.rows:,})" for group in carriers if group.auc is None]
    table = _table(
        {
            "carrier": [group.name for group in judged],
            "auc": [float(group.auc["value"]) for group in judged if group.auc],
            "low": [float(group.auc["low"]) for group in judged if group.auc],
            "high": [float(group.auc["high"]) for group in judged if group.auc],
            "flights": [group.rows for group in judged],
        }
    )
    order = [group.name for group in sorted(judged, key=lambda group: -group.auc["value"] if group.auc else 0)]
    base = alt.Chart(table).encode(y=alt.Y("carrier:N", sort=order, title=None, axis=alt.Axis(grid=False)))
    x = alt.X("auc:Q", title="AUC", scale=alt.Scale(zero=False, nice=True))
    bars = base.mark_rule(color=SOFT, strokeWidth=6, strokeCap="round").encode(x=alt.X("low:Q"), x2="high:Q")
    dots = base.mark_circle(color=ACCENT, size=90, opacity=1).encode(
        x=x, tooltip=["carrier:N", alt.Tooltip("auc:Q", format=".3f"), alt.Tooltip("flights:Q", format=",")]
    )
    half = alt.Chart(_table({"at": [0.5]})).mark_rule(color=RULE, strokeDash=[4, 4]).encode(x="at:Q")
    below = "bars: 95 % over resampled days; dashed: guessing"
    below += f"; too few flights: {', '.join(left_out)}" if left_out else ""
    return alt.layer(half, bars, dots).properties(
        width=440, height=alt.Step(26), title=_title("Is every carrier served as well?", below)
    )
