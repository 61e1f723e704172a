"""The grid that numbers are counted on: cells of two partitions nest, and their counts are exact."""

from __future__ import annotations

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats.grid import MOST_CELLS, partition

finite = st.floats(allow_nan=False, allow_infinity=False)
columns = st.lists(finite, min_size=1, max_size=80).map(sorted)
wholes = st.lists(st.integers(-(10**6), 10**6).map(float), min_size=1, max_size=80).map(sorted)


def below(ordered: list[float], edge: float) -> int:
    return bisect_left(ordered, edge)


@given(columns)
def test_counts_are_those_of_the_values(ordered: list[float]) -> None:
    edges, counts = partition(ordered)
    assert list(edges) == sorted(set(edges))
    assert all(map(math.isfinite, edges))
    assert len(counts) == len(edges) + 1
    assert sum(counts) == len(ordered)
    assert [sum(counts[: n + 1]) for n in range(len(edges))] == [below(ordered, edge) for edge in edges]
    assert sum(count > 0 for count in counts) <= MOST_CELLS


@given(wholes)
def test_whole_numbers_have_whole_edges(ordered: list[float]) -> None:
    edges, counts = partition(ordered, whole=True)
    assert all(edge.is_integer() for edge in edges)
    assert [sum(counts[: n + 1]) for n in range(len(edges))] == [below(ordered, edge) for edge in edges]


@given(columns, columns)
def test_cells_of_two_columns_are_inside_one_another_or_apart(one: list[float], other: list[float]) -> None:
    """So a cell with values never straddles two cells with values of the other."""
    cells = [_cells(*partition(ordered)) for ordered in (one, other)]
    for low, high in cells[0]:
        for other_low, other_high in cells[1]:
            meet = max(low, other_low) < min(high, other_high)
            inside = (low <= other_low and other_high <= high) or (other_low <= low and high <= other_high)
            assert inside or not meet


def _cells(edges: tuple[float, ...], counts: tuple[int, ...]) -> list[tuple[float, float]]:
    ends = [-math.inf, *edges, math.inf]
    return [(ends[n], ends[n + 1]) for n, count in enumerate(counts) if count]


@pytest.mark.parametrize("value", [0.0, 5.0, -2.5, 5e-324, -5e-324, 1.7e308, -1.7e308])
def test_a_constant_has_a_cell_of_its_own(value: float) -> None:
    edges, counts = partition([value] * 30)
    ((low, high),) = _cells(edges, counts)
    assert low == value
    assert high in (math.nextafter(value, math.inf), math.inf)


def test_a_skewed_column_keeps_its_resolution() -> None:
    """Of cells of one size between its ends, the first would hold nearly all rows."""
    ordered = sorted(math.exp(3 * math.sin(i * 12.9898) * math.cos(i * 78.233)) * 10 for i in range(5000))
    _, counts = partition(ordered)
    assert max(counts) <= 0.15 * len(ordered)
