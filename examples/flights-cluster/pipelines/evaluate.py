"""Stage `evaluate`: the model on the last days, and rows that servers try it with."""

from pathlib import Path

from sklearn.metrics import log_loss, roc_auc_score

import network
from files import params, rounded, run, write_json, write_table

FOLDER = Path("artifacts/late")


def main() -> None:
    """Write metrics and samples."""
    (settings,) = params("train")
    _, rows = network.split(network.read(), settings["holdout_days"])
    predicted = network.predict(FOLDER / "model.safetensors", rows)
    metrics = {"auc": roc_auc_score(rows["late"], predicted), "log_loss": log_loss(rows["late"], predicted)}
    write_json(FOLDER / "metrics.json", {name: rounded(float(value)) for name, value in metrics.items()})
    samples = rows[list(network.INPUTS)].assign(p_late=predicted).head(200)
    write_table(FOLDER / "samples.parquet", samples)


if __name__ == "__main__":
    run(main)
