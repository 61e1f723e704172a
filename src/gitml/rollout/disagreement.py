"""How far the candidate's answers are from the champion's, before any label has come: for review."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gitml.models.fields import FLOATS
from gitml.rollout.evaluation import ArmCounts, JudgedPart
from gitml.rollout.guardrails import ArmEvents, observed_rates
from gitml.rollout.reading import TrialRows
from gitml.rollout.trial import CandidateTrial
from gitml.stats import betabinomial
from gitml.verdict import Phase

Floats = NDArray[np.float64]
_BINS = 10
# Numbers that differ by less than this part of the champion's standard deviation are the same answer.
_SAME = 0.1


def disagreement(trial: CandidateTrial, rows: TrialRows, failing: float) -> list[JudgedPart]:
    """Nothing without answers of both. A better model should disagree, so that it holds up nothing unless a limit is
    named; a limit needs pairs."""
    if trial.paired:
        return _of_pairs(trial, rows, failing)
    return _of_arms(rows)


def _of_pairs(trial: CandidateTrial, rows: TrialRows, failing: float) -> list[JudgedPart]:
    limit = trial.rules.disagreement
    both = np.isfinite(rows.champion.predicted) & np.isfinite(rows.candidate.predicted)
    if not both.any():
        return []
    old, new = rows.champion.predicted[both], rows.candidate.predicted[both]
    apart = differs(old, new, is_number=trial.output.type in FLOATS)
    table = rows.champion.taken(both)
    every = np.ones(len(table), bool)
    mine = ArmEvents.of(table, every, apart)
    share, units = float(apart.mean()), int(mine.first.sum())
    reason = f"{share:.1%} of the answers are other ones"
    counts, events = ArmCounts(units, units), ArmCounts(None, int(apart.sum()))
    if limit is None:
        return [
            JudgedPart(
                "disagreement",
                "answers",
                Phase.SUCCESSFUL,
                f"{reason}: for review",
                difference=share,
                n=counts,
                events=events,
            )
        ]
    low, high = _bounds(mine, ArmEvents.of(table, every, np.zeros(len(table), bool)), trial.rules.error_rate, failing)
    phase = Phase.SUCCESSFUL if high < limit else Phase.FAILED if low > limit else Phase.INCONCLUSIVE
    reason += f"; at most {limit:.1%} may be"
    return [JudgedPart("disagreement", "answers", phase, reason, None, None, share, low, high, limit, counts, events)]


def differs(old: Floats, new: Floats, *, is_number: bool) -> NDArray[np.bool_]:
    """Another class; a probability on the other side of one half; a number further away than a tenth of a σ.

    >>> differs(np.array([0.2, 0.6]), np.array([0.4, 0.4]), is_number=True).tolist()
    [False, True]
    """
    found: NDArray[np.bool_] = old != new
    if is_number and min(old.min(), new.min()) >= 0 and max(old.max(), new.max()) <= 1:
        found = (old >= 0.5) != (new >= 0.5)
    elif is_number:
        found = np.abs(new - old) > _SAME * float(np.std(old))
    return found


def _bounds(mine: ArmEvents, never: ArmEvents, passing: float, failing: float) -> tuple[float, float]:
    if mine.first.all():
        hits, trials = int(mine.hit.sum()), len(mine.hit)
        low = betabinomial.interval(hits, trials, failing, side="low").low
        return low, betabinomial.interval(hits, trials, passing, side="high").high
    observed = observed_rates(never, mine, paired=True)
    found = observed.contrast
    ends = observed.bound(found, failing, "low"), observed.bound(found, passing, "high")
    return ends[0] if ends[0] is not None else 0.0, ends[1] if ends[1] is not None else 1.0


def _of_arms(rows: TrialRows) -> list[JudgedPart]:
    """The stability index of answers, less what it is by chance: (B − 1)(1/n + 1/m)."""
    old, new = (table.predicted[np.isfinite(table.predicted)] for table in rows.arms)
    if not len(old) or not len(new):
        return []
    found, by_chance = stability(old, new)
    reason = f"the answers' stability index is {found:.3f}, by chance alone {by_chance:.3f}: for review, not judged"
    counts = ArmCounts(len(old), len(new))
    return [JudgedPart("disagreement", "answers", Phase.SUCCESSFUL, reason, difference=found - by_chance, n=counts)]


def stability(old: Floats, new: Floats) -> tuple[float, float]:
    """PSI over tenths of the champion's answers, and its mean if both are alike (B. Yurdakul, 2018)."""
    edges = np.unique(np.quantile(old, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = len(edges) + 1
    counts = [np.bincount(np.searchsorted(edges, part, "right"), minlength=bins) for part in (old, new)]
    # Half a row in each bin keeps the index finite.
    one, other = ((count + 0.5) / (count.sum() + 0.5 * bins) for count in counts)
    return float(((other - one) * np.log(other / one)).sum()), (bins - 1) * (1 / len(old) + 1 / len(new))
