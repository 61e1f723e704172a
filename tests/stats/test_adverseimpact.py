"""Impact ratios: the two examples of 6 RCNY § 5-301, what always holds, and how often the intervals are right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats.adverseimpact import (
    ImpactRules,
    above_median,
    difference,
    gap,
    hidden_together,
    impact_ratios,
    ratio_bounds,
    share,
)
from gitml.stats.interval import Interval

ALL = ImpactRules(least_share=0.0, least_count=1)


def people(count: int, hits: int) -> np.ndarray:
    return np.arange(count) < hits


# Applicants, of which so many scored above the median, and the ratio that the rule prints: "culture fit".
SCORED_BY_SEX = {"Male": (92, 50, 1.0), "Female": (76, 34, 0.82)}
SCORED_BY_RACE = {
    "Hispanic or Latino": (28, 18, 1.0),
    "White": (40, 15, 0.58),
    "Black or African American": (32, 16, 0.78),
    "Native Hawaiian or Pacific Islander": (8, 5, 0.97),
    "Asian": (24, 10, 0.65),
    "Native American or Alaska Native": (16, 10, 0.97),
    "Two or More Races": (20, 10, 0.78),
}
SELECTED_BY_SEX = {"Male": (1390, 667, 1.0), "Female": (1181, 555, 0.979)}
SELECTED_BY_RACE = {
    "Hispanic or Latino": (408, 204, 0.97),
    "White": (797, 412, 1.0),
    "Black or African American": (390, 170, 0.84),
    "Native Hawaiian or Pacific Islander": (119, 52, 0.85),
    "Asian": (616, 302, 0.95),
    "Native American or Alaska Native": (41, 18, 0.85),
    "Two or More Races": (213, 96, 0.87),
}


@pytest.mark.parametrize("example", [SCORED_BY_SEX, SCORED_BY_RACE, SELECTED_BY_SEX, SELECTED_BY_RACE])
def test_the_examples_of_the_rule(example: dict[str, tuple[int, int, float]]) -> None:
    table = impact_ratios({(name,): people(count, hits) for name, (count, hits, _) in example.items()}, ALL)
    for one in table:
        assert one.ratio == pytest.approx(example[one.name[0]][2], abs=0.01)


def test_scores_equal_to_the_median_are_not_above_it() -> None:
    assert above_median(np.array([1.0, 2.0, 2.0, 2.0, 3.0])).tolist() == [False, False, False, False, True]
    assert above_median(np.array([2.0, 2.0])).tolist() == [False, False]
    assert len(above_median(np.array([]))) == 0


TABLES = st.dictionaries(
    st.text("abc", min_size=1, max_size=3).map(lambda name: (name,)),
    st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: people(pair[0], min(pair))),
    max_size=5,
)


@given(TABLES, st.integers(1, 6))
def test_what_always_holds(chosen: dict[tuple[str, ...], np.ndarray], least: int) -> None:
    table = impact_ratios(chosen, ImpactRules(0.02, least))
    assert [one.name for one in table] == list(chosen)
    ratios = [one.ratio for one in table if one.ratio is not None]
    assert not ratios or max(ratios) == 1.0
    for one in table:
        assert (one.ratio is None) == bool(one.why)
        assert one.rate.count > 0 or one.why.startswith("n/a")
        assert (
            one.ratio is None or one.bounds.low <= one.ratio <= one.bounds.high or one.rate.hits in (0, one.rate.count)
        )


def test_a_category_of_less_than_two_percent_keeps_its_count_and_rate() -> None:
    table = impact_ratios({("a",): people(980, 490), ("b",): people(19, 19), ("c",): people(1, 1)})
    assert [one.ratio for one in table] == [1.0, None, None]
    assert (table[1].rate.count, table[1].rate.value) == (19, 1.0)
    assert table[1].why == "less than 2% of the people: left out of the ratios"
    assert not table[1].hidden
    assert table[2].hidden
    assert "fewer than 5" in table[2].why


def test_nobody_selected_has_no_ratio() -> None:
    table = impact_ratios({("a",): people(30, 0), ("b",): people(30, 0), ("c",): people(0, 0)})
    assert [one.why for one in table] == [
        "nobody was selected",
        "nobody was selected",
        "n/a: nobody is in this category",
    ]
    assert impact_ratios({}) == ()


def test_no_count_can_be_had_by_subtraction() -> None:
    """In each row and column of sex by race, and in all of the table, none or at least two counts are hidden."""
    counts = {("F", "A"): 3, ("F", "B"): 40, ("F", "C"): 50, ("M", "A"): 60, ("M", "B"): 45, ("M", "C"): 55}
    table = hidden_together(impact_ratios({name: people(count, count // 2) for name, count in counts.items()}))
    hidden = {one.name for one in table if one.hidden}
    assert ("F", "A") in hidden
    for place in (0, 1):
        for value in {name[place] for name in counts}:
            assert len([name for name in hidden if name[place] == value]) != 1
    assert len(hidden) == 4
    assert all(one.ratio is not None for one in table if one.name != ("F", "A"))
    alone = hidden_together(impact_ratios({("F",): people(3, 1), ("M",): people(90, 45), ("X",): people(50, 9)}))
    assert [one.hidden for one in alone] == [True, False, True]


def test_intervals_hold_as_often_as_they_say() -> None:
    """Coverage over 2,000 seeded samples: Katz's of ratios and Newcombe's of differences, at 95 %."""
    random, ratios, gaps, runs = np.random.default_rng(7), 0, 0, 2000
    for low, high, count, other in ((0.3, 0.5, 60, 200), (0.05, 0.1, 150, 300)):
        for _ in range(runs // 2):
            one, two = share(random.random(count) < low), share(random.random(other) < high)
            found = ratio_bounds(one, two, 1.96)
            ratios += found.low <= low / high <= found.high
            told = difference(one, two)
            gaps += told is not None and told[1].low <= low - high <= told[1].high
    assert ratios / runs > 0.935
    assert gaps / runs > 0.935


def test_gaps() -> None:
    shares = {("a",): share(people(100, 50)), ("b",): share(people(100, 20)), ("c",): share(people(0, 0))}
    value, interval = gap(shares) or (0.0, Interval())
    assert value == pytest.approx(0.3)
    assert 0.15 < interval.low < 0.3 < interval.high < 0.45
    assert gap({("a",): share(people(3, 1))}) is None
    assert math.isinf(share(people(0, 0)).interval.high)
