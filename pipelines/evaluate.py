"""Stage `evaluate`: judge the model `delay`."""

from pathlib import Path

import boosting
from evaluation import evaluate
from files import run

FOLDER = Path("artifacts/delay")


def main() -> None:
    """Write metrics, replicates, groups, charts and samples."""
    model = boosting.load(FOLDER / "model.skops")
    evaluate(FOLDER, lambda rows: boosting.predict(model, rows))


if __name__ == "__main__":
    run(main)
