"""Discordant pairs: the binomial at one half."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from gitml.stats.discordance import interval, log_evalue
from gitml.stats.interval import p_value


def test_the_evidence_is_the_mixture_of_likelihood_ratios() -> None:
    """Integrated by another way: of Beta(a, a) above one half, the likelihood against a fair coin's."""
    a = (100 / (2 * math.log(10) + math.log(1 + 2 * math.log(10))) - 1) / 2
    top = quad(lambda q: q ** (a + 39) * (1 - q) ** (a + 16), 0.5, 1)[0]
    prior = quad(lambda q: q ** (a - 1) * (1 - q) ** (a - 1), 0.5, 1)[0]
    assert log_evalue(40, 17) == pytest.approx(math.log(top / prior) + 57 * math.log(2), rel=1e-6)


def test_no_disagreement_is_no_evidence() -> None:
    assert log_evalue(0, 0) == log_evalue(0, 0, side="both") == 0
    assert p_value(log_evalue(0, 0)) == 1


@settings(max_examples=15)
@given(st.integers(0, 400), st.integers(0, 400))
def test_the_sides_mirror_each_other(wins: int, losses: int) -> None:
    assert log_evalue(wins, losses) == pytest.approx(log_evalue(losses, wins, side="high"))
    found, other = interval(wins, losses, 1_000, 0.05), interval(losses, wins, 1_000, 0.05)
    assert (found.low, found.high) == pytest.approx((-other.high, -other.low))
    assert -1 <= found.low <= (wins - losses) / 1_000 <= found.high <= 1


def test_more_disagreements_than_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="in 5 pairs"):
        interval(3, 3, 5, 0.05)
