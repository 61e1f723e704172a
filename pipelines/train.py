"""Stage `train`: fit the model `delay`, then choose the threshold on later days."""

from pathlib import Path

import boosting
from files import params, run
from training import finish, splits

FOLDER = Path("artifacts/delay")


def main() -> None:
    """Write the model, its signature and its threshold."""
    window, cost, settings = params("window", "cost", "train")
    split = splits(window, weather=settings["weather"])
    model = boosting.fit(boosting.build(settings), split.fit[split.columns], split.fit["late"])
    boosting.save(model, FOLDER / "model.skops")
    finish(FOLDER, split, boosting.predict(model, split.validation[split.columns]), cost)


if __name__ == "__main__":
    run(main)
