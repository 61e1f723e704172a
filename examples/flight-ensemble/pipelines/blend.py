"""Stage `blend`: the weighted mean of the pinned members, weights chosen on the validation days, judged on the holdout.

Members are data to this stage: exactly the bytes that members/pins.yaml names, whatever their own stages make today.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline

import boosting
from evaluation import evaluate
from files import StageError, params, read_yaml, run, say, write_json, write_yaml
from flights import DAY, LABEL, WEATHER
from training import Split, finish, splits

FOLDER = Path("artifacts/blend")
PINS = Path("members/pins.yaml")
# What members hold beyond the types that skops knows: trees, and the type of numbers that were filled in. No code.
TRUSTED = (*boosting.TRUSTED, "numpy.dtype")
_FIX = "pin versions that there are: python pipelines/pin.py delay linear"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Member:
    """One pinned version, loaded."""

    pin: Mapping[str, str]
    model: Pipeline

    @property
    def columns(self) -> list[str]:
        """The inputs it takes."""
        return list(self.model.feature_names_in_)

    def predict(self, rows: pd.DataFrame) -> Floats:
        """The probability that each flight is late."""
        return boosting.predict(self.model, rows[self.columns])


def members() -> list[Member]:
    """The members, whose files are those that were pinned."""
    pins = (read_yaml(PINS) or {}).get("members") or []
    if len(pins) < 2:
        raise StageError(f"{PINS} names no two versions yet: train the members, then {_FIX}")
    return [_member(pin) for pin in pins]


def _member(pin: Mapping[str, str]) -> Member:
    path = Path(pin["file"])
    if not path.is_file():
        raise StageError(f"{path} is not there: dvc pull {path}.dvc")
    if hashlib.sha256(path.read_bytes()).hexdigest() != pin["digest"]:
        raise StageError(f"{path} is not the artifact of {pin['model']} {pin['version']}: {_FIX}")
    try:
        return Member(pin, skops.io.load(path, trusted=list(TRUSTED)))
    except (ValueError, TypeError) as error:
        raise StageError(f"{path} cannot be loaded: {error}") from error


def refuse_peeking(found: Sequence[Member], split: Split) -> None:
    """A member that was made from days after the validation has seen flights that it would be judged on."""
    last = split.validation[DAY].max()
    for member in found:
        if member.pin["data_until"] > last:
            raise StageError(f"{member.pin['model']} knows days until {member.pin['data_until']}, the holdout begins "
                             f"after {last}: move `window` in params.yaml, or pin an older version")  # fmt: skip


def weights(truth: pd.Series, answers: Sequence[Floats], step: float) -> list[float]:
    """The multiples of ``step``, all above 0 and 1 in sum, with the least log loss; the first of equals."""
    parts = round(1 / step)
    if parts < len(answers):
        raise StageError(f"params.yaml: blend.step is too large for {len(answers)} members: {step}")
    counts = itertools.product(range(1, parts), repeat=len(answers) - 1)
    grid = [np.array([*some, parts - sum(some)]) / parts for some in counts if sum(some) < parts]
    losses = [log_loss(truth, np.tensordot(shares, answers, 1)) for shares in grid]
    return [round(float(share), 6) for share in grid[int(np.argmin(losses))]]


def write_ensemble(found: Sequence[Member], shares: Sequence[float]) -> None:
    """The artifact, as schemas/ensemble.schema.json says."""
    listed: list[dict[str, Any]] = [
        {**{key: member.pin[key] for key in ("model", "version", "digest")}, "weight": share}
        for member, share in zip(found, shares, strict=True)
    ]
    write_yaml(FOLDER / "ensemble.yaml", {"ensemble": "weighted", "members": listed})
    write_json(FOLDER / "weights.json", {member["model"]: member["weight"] for member in listed})


def main() -> None:
    """Write the ensemble and all that describes it."""
    window, cost, settings = params("window", "cost", "blend")
    found = members()
    weather = any(name in WEATHER for member in found for name in member.columns)
    split = splits(window, weather=weather)
    refuse_peeking(found, split)
    shares = weights(split.validation[LABEL], [m.predict(split.validation) for m in found], settings["step"])
    say("weights: " + ", ".join(f"{m.pin['model']} {share:g}" for m, share in zip(found, shares, strict=True)))

    def predict(rows: pd.DataFrame) -> Floats:
        return np.tensordot(shares, [member.predict(rows) for member in found], 1)

    write_ensemble(found, shares)
    finish(FOLDER, split, predict(split.validation), cost)
    evaluate(FOLDER, predict)


if __name__ == "__main__":
    run(main)
