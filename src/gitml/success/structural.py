"""What would have been: a local level, weekdays and controls, learned before the change and told on after it.

Harvey, "Forecasting, structural time series models and the Kalman filter" (1989); what came is compared as in Brodersen
et al., "Inferring causal impact using Bayesian structural time-series models", Annals of Applied Statistics 9 (2015),
here with likelihood in place of priors.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from gitml.success.interrupted import EffectEstimate

Floats = NDArray[np.float64]
# Variances of a day and of the level: the likelihood has a top at either side.
_STARTS = ((0.8, 0.05), (0.2, 0.5))


def structural_level(
    y: Floats, x: Floats, first: int, level: float = 0.95, *, level_sd: float | None = None
) -> EffectEstimate:
    """``y``: each day, NaN where it is not known; ``x``: columns that the change does not move, without an intercept;
    ``first``: the first day after the change.

    The effect is the mean of what came less what was told, over the days after the change that are known. ``level_sd``:
    how far the level moves in a day, in standard deviations of ``y``, where that is assumed and not learned.
    CausalImpact assumes .01, and so takes a drift for an effect.
    """
    spread = float(np.nanstd(y[:first])) or 1.0
    middle = float(np.nanmean(y[:first]))
    scaled = (y - middle) / spread
    variance, level_variance, state, covariance = _learned(scaled[:first], x[:first], level_sd)
    after = np.flatnonzero(~np.isnan(scaled[first:]))
    told = state[0] + x[first:][after] @ state[1:]
    effect = float(np.mean(scaled[first:][after] - told))
    weights = np.concatenate([[1.0], x[first:][after].mean(axis=0)])
    # How many of the known days come after each step of the level.
    later = np.array([(after >= n).sum() for n in range(after[-1] + 1)]) / len(after)
    spread_of_mean = weights @ covariance @ weights + level_variance * (later**2).sum() + variance / len(after)
    error = float(np.sqrt(max(spread_of_mean, 1e-12)))
    freedom = max(int((~np.isnan(scaled[:first])).sum()) - x.shape[1] - 2, 1)
    half = float(student.ppf((1 + level) / 2, freedom)) * error
    p_value = float(2 * student.sf(abs(effect) / error, freedom))
    low, middle_, high = ((effect + side * half) * spread for side in (-1, 0, 1))
    return EffectEstimate("structural local level", middle_, low, high, p_value)


def _learned(y: Floats, x: Floats, level_sd: float | None) -> tuple[float, float, Floats, Floats]:
    """Variances of a day and of the level, and the last state (level, coefficients) with its covariance."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optimisers that end at a bound, where one of the variances is 0
        model = UnobservedComponents(y, level="llevel", exog=x if x.shape[1] else None, mle_regression=False)
        fixed = {} if level_sd is None else {"sigma2.level": level_sd**2}
        with model.fix_params(fixed):
            fits = [
                model.fit(start_params=np.array(start[: 2 - len(fixed)]), disp=False, maxiter=200) for start in _STARTS
            ]
        best = max(fits, key=lambda fit: float(fit.llf))
    named = dict(zip(model.param_names, best.params, strict=True))
    end = best.filter_results
    return (
        float(named["sigma2.irregular"]),
        float(named["sigma2.level"]),
        np.asarray(end.filtered_state[:, -1]),
        np.asarray(end.filtered_state_cov[:, :, -1]),
    )
