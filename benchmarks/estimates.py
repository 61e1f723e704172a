"""How good estimates without labels are on the flights of 2013: `python -m benchmarks.estimates [FOLDER] [WINDOWS]`.

FOLDER is the reference application after `gitml train delay`. The flights that its model was not fitted on, of the last
five weeks before April, are cut in two halves at random: one is what the version was evaluated on, from the other
windows are drawn in which some flights are more frequent than others. So only the inputs change there, and their labels
say how far each estimate is off. Beside it stands what most people say, that the model is as good as it was in its
evaluation, how far the labels of a twin are off, a window that was drawn in the same way from the first half, and how
far an oracle is off that is told how much more frequent each flight is: the evaluated rows, weighted so. No estimate
from these rows can be expected to do better. `said`: in how many windows the change is large enough to be told from
chance, and the ratio of these. Then windows follow that nothing evaluated is like, and the weeks from
April to December as they were, in which what follows from the inputs changes too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import skops.io

from gitml.models.fields import Field
from gitml.monitoring.estimates.estimate import Estimated, Estimator, estimator
from gitml.monitoring.estimates.rows import Evaluated
from gitml.monitoring.estimates.suitability import suitability
from gitml.monitoring.estimates.table import Encoder, day_of, evaluated_of
from gitml.monitoring.harm.calibration import Calibration, CalibrationPlan, bears_out, judge_calibration
from gitml.monitoring.harm.judge import HarmPlan, Labelled, Own, jackknife, judge_harm
from gitml.monitoring.harm.losses import SCORES
from gitml.monitoring.harm.slope import CalibrationSlope, SlopePlan, judge_slope, own_spread
from gitml.monitoring.promise import WINDOWS
from gitml.verdict import Phase

METRICS = ("auc", "log_loss", "brier", "accuracy")
HELD_OUT, LAST = (date(2013, 2, 25), date(2013, 3, 31)), date(2013, 12, 31)
MARGIN = 0.02
# As the monitor of the reference application is promised.
RATE, LOOKS, PROMOTIONS, TOLERANCE, SLOPE = 0.01, 53, 12, 0.01, 0.1
# The metric and two claims share it.
CLAIM_RATE = RATE / 3
DRAWN = 8_000
TREES = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


@dataclass
class Score:
    """Of one metric, a number a window: how far the estimate and the naive answer are off, whether the band held."""

    off: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    twin: list[float] = field(default_factory=list)
    oracle: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)
    wide: list[float] = field(default_factory=list)
    told: list[bool] = field(default_factory=list)

    def add(self, found: Estimated, real: float, twin: float, oracle: float) -> None:
        self.off.append(abs(found.value - real))
        self.twin.append(abs(twin - real))
        self.oracle.append(abs(oracle - real))
        self.naive.append(abs(found.evaluated - real))
        self.held.append(found.low <= real <= found.high)
        self.wide.append(found.high - found.low)
        self.told.append(found.told)

    def __str__(self) -> str:
        off, naive = float(np.mean(self.off)), float(np.mean(self.naive))
        wide = float(np.mean(self.wide)) / 2
        known = np.isfinite(self.twin).all()
        drawn = "".join(f"{np.mean(of):>9.4f}" if known else f"{'-':>9}" for of in (self.twin, self.oracle))
        told = np.array(self.told)
        said = np.mean(np.array(self.off)[told]) / np.mean(np.array(self.naive)[told]) if told.any() else np.nan
        whole = f"{off:>9.4f}{naive:>9.4f}{off / naive:>8.2f}{drawn}{np.mean(self.held):>10.0%}{wide:>9.4f}"
        return f"{whole}{told.sum():>6} of {len(told):<4}{said:>6.2f}"


def flights(root: Path, first: date, last: date) -> pa.Table:
    """The flights of these days with what the model says of them."""
    model = skops.io.load(root / "artifacts/delay/model.skops", trusted=[TREES])
    columns = [*model.feature_names_in_]
    months = [
        pd.read_parquet(path)
        for path in sorted((root / "data/features").glob("*.parquet"))
        if f"{first:%Y-%m}" <= path.stem <= f"{last:%Y-%m}"
    ]
    table = pd.concat(months, ignore_index=True)
    table = table[table["day"].between(f"{first}", f"{last}")].reset_index(drop=True)
    table["p"] = model.predict_proba(table[columns])[:, 1]
    table["time"] = pd.to_datetime(table["day"]).dt.tz_localize("UTC")
    return pa.Table.from_pandas(table[[*columns, "p", "late", "time"]], preserve_index=False)


def evaluated(table: pa.Table) -> tuple[Evaluated, Encoder]:
    """As a version's evaluation leaves them."""
    inputs = [name for name in table.column_names if name not in ("p", "late", "time")]
    found = evaluated_of(table.set_column(*_moments(table)), inputs, [Field("p", "float64")], "late", "time")
    assert not isinstance(found, str), found
    return found


def as_live(table: pa.Table, encoder: Encoder) -> Evaluated:
    table = table.set_column(*_moments(table))
    rows, _ = encoder.rows(table, day_of(table["time"]))
    return Evaluated(rows, encoder.truth(table["late"]), encoder.task)


def _moments(table: pa.Table) -> tuple[int, str, Any]:
    return table.column_names.index("time"), "time", table["time"].cast(pa.timestamp("us", "UTC"))


def halves(held_out: Evaluated, rng: np.random.Generator) -> tuple[Evaluated, Evaluated]:
    mine = rng.random(len(held_out)) < 0.5
    return held_out[mine], held_out[~mine]


@dataclass(frozen=True)
class Drawn:
    """A window drawn from a pool, and how likely each row of the pool was to be drawn."""

    window: Evaluated
    pool: Evaluated
    chance: np.ndarray


def shifted(pools: Sequence[Evaluated], rng: np.random.Generator, *, answers: bool = True) -> list[Drawn]:
    """Draws of each pool's rows by the model's answer and up to two inputs, linearly in the log of their frequency, in
    the same way for all pools. With the answers the metrics move, too: else there is nothing to estimate. Without
    ``answers``: by three inputs."""
    features = pools[0].rows.features
    mean, spread = np.nanmean(features, axis=0), np.nanstd(features, axis=0)
    answer = features.shape[1] - 1
    if answers:
        chosen = np.append(rng.choice(answer, size=rng.integers(0, 3), replace=False), answer)
    else:
        chosen = rng.choice(answer, size=3, replace=False)
    by = rng.choice([-1, 1], len(chosen)) * rng.uniform(0.5, 1.5, len(chosen))
    found = []
    for pool in pools:
        sigmas = np.clip((pool.rows.features - mean) / np.where(spread > 0, spread, 1), -3, 3)
        weight = np.exp(np.nan_to_num(sigmas)[:, chosen] @ by)
        chance = weight / weight.sum()
        found.append(Drawn(pool[np.sort(rng.choice(len(pool), size=DRAWN, p=chance))], pool, chance))
    return found


Pair = tuple[Evaluated, Drawn | None]


def answered(estimates: Estimator, windows: Iterable[Pair]) -> tuple[dict[str, Score], int, int]:
    """By metric, over the windows that were answered; how many those are, and how many there were. With each window
    comes another one that was drawn in the same way from the evaluated rows, if there is any."""
    scores: dict[str, Score] = {metric: Score() for metric in METRICS}
    given = count = 0
    for live, twin in windows:
        count += 1
        found = estimates.of(live.rows)
        if isinstance(found, str):
            continue
        given += 1
        for one in found:
            other = twin.window.metric(one.metric) if twin else np.nan
            oracle = twin.pool.metric(one.metric, twin.chance) if twin else np.nan
            scores[one.metric].add(one, live.metric(one.metric), other, oracle)
    return scores, given, count


def under_covariate_shift(
    root: Path, windows: int, seed: int = 20130401, *, answers: bool = True
) -> tuple[dict[str, Score], int, int]:
    rng = np.random.default_rng(seed)
    mine, pool = halves(evaluated(flights(root, *HELD_OUT))[0], rng)
    pairs = (shifted((pool, mine), rng, answers=answers) for _ in range(windows))
    return answered(_estimator(mine), ((live.window, twin) for live, twin in pairs))


def suitable(root: Path, windows: int, seed: int = 20130403) -> tuple[int, int, int]:
    """Of windows whose accuracy fell by more than MARGIN, of which only the inputs differ: how many the filter calls
    suitable, which is an error; how many there are; and how many of the others it does call suitable."""
    rng = np.random.default_rng(seed)
    mine, pool = halves(evaluated(flights(root, *HELD_OUT))[0], rng)
    wrong = worse = right = 0
    for _ in range(windows):
        live = shifted((pool,), rng)[0].window
        found = suitability(mine, live.rows, MARGIN)
        said = not isinstance(found, str) and found.suitable
        fell = mine.metric("accuracy") - live.metric("accuracy") > MARGIN
        wrong, worse, right = wrong + (fell and said), worse + fell, right + (said and not fell)
    return wrong, worse, right


def without_overlap(root: Path, windows: int, seed: int = 20130402) -> int:
    """How many of the windows are answered although the model has seen nothing like them."""
    rng = np.random.default_rng(seed)
    mine, pool = halves(evaluated(flights(root, *HELD_OUT))[0], rng)
    inputs = mine.rows.inputs
    far = inputs.max(axis=0, where=~np.isnan(inputs), initial=-np.inf)

    def moved() -> Iterator[Pair]:
        for _ in range(windows):
            live = shifted((pool,), rng)[0].window
            column = rng.integers(live.rows.inputs.shape[1])
            live.rows.inputs[:, column] = far[column] + 1 + rng.random(len(live))
            yield live, None

    return answered(_estimator(mine), moved())[1]


def _estimator(reference: Evaluated) -> Estimator:
    found = estimator(reference, METRICS, 7)
    assert not isinstance(found, str), found
    return found


def weeks(every: Evaluated) -> Iterator[Evaluated]:
    number = (every.rows.day - every.rows.day.min()) // 7
    yield from (every[number == week] for week in range(int(number.max()) + 1) if (number == week).sum() > DRAWN / 4)


def first_harm(reference: Evaluated, live: Sequence[Evaluated], metric: str) -> int:
    """Of every fourth week the first, counted from 1, in which labels that have come call the model worse than in its
    evaluation; 0: none."""
    places = np.unique(reference.rows.day, return_inverse=True)[1]
    score = SCORES[metric][0]
    value, error, _ = jackknife(score, reference.truth, reference.rows.predicted, places)
    plan = HarmPlan(metric, Own(value, value - 1.96 * error, value + 1.96 * error), CLAIM_RATE, LOOKS)
    for newest in range(4, len(live) + 1, 4):
        if judge_harm(past(live[:newest]), plan)[0].phase is Phase.FAILED:
            return newest
    return 0


def past(weeks: Sequence[Evaluated]) -> Labelled:
    """The labels of these weeks, the newest of which is look 1, and of the 31 before it."""
    weeks = weeks[-max(WINDOWS) :]
    look = np.concatenate([np.full(len(week), len(weeks) - place) for place, week in enumerate(weeks)])
    day = np.concatenate([week.rows.day for week in weeks])
    truth, predicted = (np.concatenate(v) for v in zip(*((w.truth, w.rows.predicted) for w in weeks), strict=True))
    return Labelled(truth, predicted, look, day)


def off_claims(reference: Evaluated, live: Sequence[Evaluated]) -> dict[int, Calibration]:
    """Weeks, counted from 1, in which the answers are certainly off by more than the tolerance."""
    assert bears_out(reference.truth, reference.rows.predicted, reference.rows.day, TOLERANCE)
    found = {}
    for newest in range(1, len(live) + 1):
        until = int(live[newest - 1].rows.day.max()) + 1
        whole = newest < max(WINDOWS)
        plan = CalibrationPlan(TOLERANCE, CLAIM_RATE, LOOKS, PROMOTIONS, until // 7, whole, until)
        one = judge_calibration(past(live[:newest]), plan)
        if one is not None and one.surely > TOLERANCE:
            found[newest] = one
    return found


def first_flat(reference: Evaluated, live: Sequence[Evaluated]) -> tuple[int, CalibrationSlope] | None:
    """The first week, counted from 1, in which answers certainly tell flights of a day less apart than they say."""
    spread = own_spread(reference.truth, reference.rows.predicted, reference.rows.day, SLOPE)
    assert spread is not None
    for newest in range(1, len(live) + 1):
        until = int(live[newest - 1].rows.day.max()) + 1
        one = judge_slope(past(live[:newest]), SlopePlan(SLOPE, CLAIM_RATE, LOOKS, spread, until))
        if one is not None and one.most < 1 - SLOPE:
            return newest, one
    return None


def show(title: str, scores: dict[str, Score]) -> None:
    print(f"{title}\n{'':<12}{'error':>9}{'naive':>9}{'ratio':>8}{'twin':>9}{'oracle':>9}", end="")
    print(f"{'coverage':>10}{'band ±':>9}{'said':>13}{'ratio':>6}")
    for metric, score in scores.items():
        print(f"{metric:<12}{score}" if score.off else f"{metric:<12} not answered")


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
    windows = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    if not (root / "artifacts/delay/model.skops").exists():
        print(f"{root} has no model: gitml train delay")
        return
    scores, given, count = under_covariate_shift(root, windows)
    show(f"only inputs change: {given} of {count} windows of {DRAWN:,} flights answered", scores)
    scores, given, count = under_covariate_shift(root, windows, answers=False)
    show(f"three inputs change: {given} of {count} windows of {DRAWN:,} flights answered", scores)
    print(f"nothing evaluated is alike: {without_overlap(root, 20)} of 20 windows answered")
    wrong, worse, right = suitable(root, windows)
    print(
        f"suitability filter, margin {MARGIN}: {wrong} of {worse} windows that fell by more are called suitable, "
        f"{right} of the {windows - worse} others"
    )
    held_out, encoder = evaluated(flights(root, *HELD_OUT))
    later = [*weeks(as_live(flights(root, HELD_OUT[1] + timedelta(days=1), LAST), encoder))]
    scores, given, count = answered(_estimator(held_out), ((week, None) for week in later))
    show(f"April to December as it was: {given} of {count} weeks answered", scores)
    for metric in METRICS:
        week = first_harm(held_out, later, metric)
        print(f"labels call {metric} worse than in the evaluation: {f'week {week}' if week else 'never'}")
    off = off_claims(held_out, later)
    weeks_off = ", ".join(map(str, off)) or "none"
    print(f"answers that are certainly off by more than {TOLERANCE}, in weeks: {weeks_off}")
    for week, found_off in [*off.items()][:1]:
        print(f"week {week}: {found_off}, by {found_off.surely:.3f} at the least")
    flat = first_flat(held_out, later)
    told = f"week {flat[0]}: {flat[1]}, at most {flat[1].most:.0%} of it" if flat else "never"
    print(f"answers that certainly tell flights of a day less apart than they say: {told}")


if __name__ == "__main__":
    main()
