"""Units that both arms answered."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats.multipleexposure import counted

ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 2)), max_size=80)


@given(ROWS)
def test_counted_as_one_by_one(rows: list[tuple[int, int, int]]) -> None:
    seen = defaultdict(set)
    for unit, arm, epoch in rows:
        seen[unit, epoch].add(arm)
    units = np.array(rows, dtype=np.int64).reshape(-1, 3)
    twice = len({unit for (unit, _), arms in seen.items() if len(arms) > 1})
    assert counted(units[:, 0], units[:, 1], units[:, 2]) == (twice, len({row[0] for row in rows}))


def test_units_must_be_integers() -> None:
    with pytest.raises(ValueError, match="must be integers"):
        counted(["a"], [0], [0])
