"""Stage `mlp-train`: fit the model `mlp`, then choose the threshold on later days."""

from pathlib import Path

import network
from files import params, run
from training import finish, splits

FOLDER = Path("artifacts/mlp")


def main() -> None:
    """Write the model, its signature and its threshold."""
    window, cost, settings = params("window", "cost", "mlp")
    split = splits(window, weather=settings["weather"])
    model = network.fit(split.fit, split.columns, split.fit["late"], settings)
    network.save(model, FOLDER / "model.safetensors")
    finish(FOLDER, split, network.predict(model, split.validation[split.columns]), cost)


if __name__ == "__main__":
    run(main)
