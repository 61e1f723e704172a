"""Judge the model on the days that are held out, and hand these rows over: the next version will answer them too."""

import json

import numpy as np
import skops.io
from rows import FOLDER, INPUTS, days, read
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

MEASURES = {"brier": brier_score_loss, "log_loss": log_loss, "auc": roc_auc_score}
RESAMPLES = 200

*_, first, last = days()
rows = read(first, last)
model = skops.io.load(FOLDER / "model.skops")
truth, predicted = rows["late"].to_numpy(), model.predict_proba(rows[INPUTS])[:, 1]

# Whole days are drawn: a storm makes hundreds of flights late together.
of_day = list(rows.groupby("day").indices.values())
random = np.random.default_rng(7)
draws = [np.concatenate([of_day[n] for n in random.integers(0, len(of_day), len(of_day))]) for _ in range(RESAMPLES)]
metrics = {}
for name, measure in MEASURES.items():
    low, high = np.quantile([measure(truth[draw], predicted[draw]) for draw in draws], [0.025, 0.975])
    metrics[name] = {"value": float(measure(truth, predicted)), "low": float(low), "high": float(high)}
    print(f"{name} {metrics[name]['value']:.4g} ({low:.4g} to {high:.4g})")
(FOLDER / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
rows[["day", *INPUTS, "late"]].to_parquet(FOLDER / "holdout.parquet", index=False)
