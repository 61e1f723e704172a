"""What every evaluation writes: metrics, replicates, groups, charts, answers, samples; all on the held-out days."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from charts import Group, write_charts
from files import StageError, params, read_json, rounded, say, write_json, write_table
from flights import DAY, ID, LABEL, MOMENT, OUTPUT, read_days, window
from scoring import Cost, Floats, Scored, draws, equal_bins, intervals, metrics, replicates, rows_digest

GROUPS = ("carrier", "origin")

Predict = Callable[[pd.DataFrame], NDArray[np.float64]]


def score(rows: pd.DataFrame, predicted: Floats, threshold: float, cost: Cost, bins: int) -> Scored:
    """The rows as numbers; refuses predictions that are not probabilities."""
    if not np.all((predicted >= 0) & (predicted <= 1)):
        raise StageError("the model predicts values that are not probabilities between 0 and 1")
    names, days = np.unique(rows[DAY], return_inverse=True)
    if len(names) < 2:
        raise StageError(f"flights of one day only ({names[0]}): no interval without several, hold out more days")
    return Scored(rows[LABEL].to_numpy(float), predicted, equal_bins(predicted, bins), days, threshold, cost)


def group(scored: Scored, drawn: Floats, rows: NDArray[np.bool_], min_cell: int) -> dict[str, Any]:
    """Metrics of one group; a group below `min_cell` rows is named, not judged."""
    count = int(rows.sum())
    if count < min_cell:
        return {"rows": count, "too_small": True}
    part = scored.part(rows)
    found, _ = intervals(metrics(part), replicates(part, drawn))
    return {"rows": count, "metrics": found}


def slices(table: pd.DataFrame, scored: Scored, drawn: Floats, min_cell: int) -> list[dict[str, Any]]:
    """One entry per value of the group columns, by name."""
    return [
        {"column": column, "value": value} | group(scored, drawn, (table[column] == value).to_numpy(), min_cell)
        for column in GROUPS
        for value in sorted(table[column].unique())
    ]


def sample(table: pd.DataFrame, columns: list[str], predicted: Floats, count: int, seed: int) -> pd.DataFrame:
    """Request columns and prediction of some rows, in order of time; same data and seed, same rows."""
    generator = np.random.Generator(np.random.PCG64(seed))
    chosen = np.sort(generator.choice(len(table), size=min(count, len(table)), replace=False))
    return table[columns].assign(**{OUTPUT: predicted}).iloc[chosen].reset_index(drop=True)


def evaluate(folder: Path, predict: Predict) -> None:
    """Judge the model of `folder` on the days that neither fitting nor the choice of threshold has seen."""
    window_settings, money, settings = params("window", "cost", "evaluate")
    table = read_days(window(window_settings).holdout)
    columns = [field["name"] for field in read_json(folder / "signature.json")["inputs"]]
    threshold = read_json(folder / "threshold.json")["threshold"]
    predicted = predict(table[columns])
    scored = score(table, predicted, threshold, Cost(**money), settings["bins"])
    drawn = draws(int(scored.days.max()) + 1, settings["replicates"], settings["seed"])
    groups = slices(table, scored, drawn, settings["min_cell"])
    _write_numbers(folder, table, scored, drawn, settings["seed"])
    write_json(folder / "slices.json", groups)
    write_charts(
        folder / "charts",
        scored,
        drawn,
        [Group.of(entry) for entry in groups if entry["column"] == "carrier"],
    )
    # The answers that live ones are held against: see the second command of the stage.
    write_table(folder / "scored.parquet", table[[MOMENT, *columns, LABEL]].assign(**{OUTPUT: predicted}))
    write_table(folder / "samples.parquet", sample(table, columns, predicted, settings["samples"], settings["seed"]))


def _write_numbers(folder: Path, table: pd.DataFrame, scored: Scored, drawn: Floats, seed: int) -> None:
    values, repeated = metrics(scored), replicates(scored, drawn)
    found, undefined = intervals(values, repeated)
    for name in undefined:
        say(f"{name} is left out: on these rows or a resample of them it is not defined")
    for name, interval in found.items():
        low, high = interval["low"], interval["high"]
        say(f"{name.replace('_', ' ')}: {interval['value']:.4g} ({low:.4g} to {high:.4g})")
    fixed: Mapping[str, Any] = {"threshold": {"value": scored.threshold}, "rows": {"value": len(table)}}
    write_json(folder / "metrics.json", found | fixed)
    paired = {name: [rounded(value) for value in repeated[name]] for name in found}
    digest = rows_digest(table[ID], table[LABEL])
    write_json(folder / "replicates.json", {"rows_digest": digest, "seed": seed, "replicates": paired}, compact=True)
