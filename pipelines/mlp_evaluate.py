"""Stage `mlp-evaluate`: judge the model `mlp`."""

from pathlib import Path

import network
from evaluation import evaluate
from files import run

FOLDER = Path("artifacts/mlp")


def main() -> None:
    """Write metrics, replicates, groups, charts and samples."""
    model = network.load(FOLDER / "model.safetensors")
    evaluate(FOLDER, lambda rows: network.predict(model, rows))


if __name__ == "__main__":
    run(main)
