"""The domain classifier: exact whatever it learns, names what moved, quiet where it cannot reach its level."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from gitml.monitoring.detectors.clusterpermutation import permutation_test
from gitml.monitoring.detectors.detector import DetectorRows
from gitml.monitoring.detectors.domainclassifier import DomainClassifier

LEVEL = 1.5e-4
QUICK = DomainClassifier(trees=15)


def rows(count: int, seed: int, *, by: float = 0.0, together: bool = False, days: int = 0) -> DetectorRows:
    """``by`` moves one column; ``together``: two columns that agree, each of them as before."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 6))
    x[:, 2] += by
    if together:
        x[:, 4] = x[:, 5]
    table = {f"c{i}": x[:, i] for i in range(6)} | {"word": rng.choice(["a", "b", None], count).astype(object)}
    return DetectorRows(pa.table(table), np.arange(count) % days if days else None)


def test_a_column_that_moved_is_named_first() -> None:
    found = QUICK.judge(rows(6000, 0), rows(1500, 1, by=0.6), LEVEL)
    assert found.alarms
    assert found.columns[0].column == "c2"
    assert found.low is not None
    assert found.high is not None
    assert found.p_val is not None
    assert 0.55 < found.low < found.high < 0.664 + 0.05  # Φ(.6 / √2) is the best that can be
    assert found.p_val <= LEVEL == found.threshold


def test_columns_that_agree_of_a_sudden_are_seen_though_each_is_as_before() -> None:
    found = QUICK.judge(rows(6000, 0), rows(1500, 1, together=True), LEVEL)
    assert found.alarms
    assert {column.column for column in found.columns[:2]} == {"c4", "c5"}


def test_rows_as_before_do_not_alarm_and_equal_rows_give_equal_answers() -> None:
    found = QUICK.judge(rows(4000, 0, days=80), rows(1000, 1, days=10), LEVEL)
    assert not found.is_drift
    assert found.p_val is not None
    assert found.p_val > LEVEL
    assert not found.shown_only
    assert QUICK.judge(rows(4000, 0, days=80), rows(1000, 1, days=10), LEVEL) == found


def test_an_effect_below_the_floor_does_not_alarm_however_certain() -> None:
    found = DomainClassifier(trees=15, floor=0.2).judge(rows(6000, 0), rows(1500, 1, by=0.5), LEVEL)
    assert found.p_val is not None
    assert found.p_val <= LEVEL
    assert not found.is_drift


def test_few_days_are_shown_and_say_why() -> None:
    found = QUICK.judge(rows(4000, 0, days=20), rows(1000, 1, by=3.0, days=3), LEVEL)
    assert not found.alarms
    assert "cannot lie below" in found.shown_only
    assert found.distance is not None
    assert found.distance > 0.9


@pytest.mark.parametrize(("live", "said"), [(8, "the window has 8 rows"), (0, "the window has 0 rows")])
def test_few_rows_are_too_little(live: int, said: str) -> None:
    found = QUICK.judge(rows(400, 0), rows(live, 1, by=9.0), LEVEL)
    assert (found.is_drift, found.p_val) == (False, None)
    assert said in found.shown_only


def test_without_inputs_nothing_is_told() -> None:
    none = DetectorRows(pa.table({}))
    assert "no input is watched" in QUICK.judge(none, none, LEVEL).shown_only


def test_rows_of_one_day_are_too_little() -> None:
    found = QUICK.judge(rows(400, 0, days=9), rows(400, 1, by=9.0, days=1), LEVEL)
    assert "rows of 1 cluster" in found.shown_only


def test_columns_without_any_value_and_of_another_type_are_taken_as_they_come() -> None:
    reference, live = rows(400, 0), rows(400, 1)
    empty = DetectorRows(live.table.set_column(0, "c0", pa.nulls(400)))
    found = QUICK.judge(reference, empty, LEVEL)
    assert found.is_drift
    assert found.columns[0].column == "c0"
    of_words = DetectorRows(live.table.set_column(6, "word", pa.array(["new"] * 400)))
    assert QUICK.judge(reference, of_words, LEVEL).columns[0].column == "word"
    of_another_type = DetectorRows(live.table.set_column(1, "c1", pa.array(["1.5"] * 400)))
    assert QUICK.judge(reference, of_another_type, LEVEL).columns[0].column == "c1"


@pytest.mark.parametrize(("m", "n"), [(6, 2), (30, 6)])
def test_the_permutation_test_is_exact_for_few_clusters_whatever_their_rows_share(m: int, n: int) -> None:
    rng = np.random.default_rng(0)
    p = []
    for _ in range(400):
        of_clusters = rng.standard_t(2, size=(m + n, 1)) + 0.1 * rng.normal(size=(m + n, 8))
        p.append(permutation_test(of_clusters[:m], of_clusters[m:], 0.05, rng).p)
    for level in (0.05, 0.2):
        assert np.mean(np.array(p) <= level) <= level + 3 * np.sqrt(level / 400)


@pytest.mark.slow
@pytest.mark.nightly
def test_the_whole_of_it_is_valid_though_days_differ() -> None:
    """Rows of a day share most of one column: taken as independent, every window would be told apart."""
    p: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(120):
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(40), 20)
        x = np.column_stack([rng.normal(size=40)[day] + 0.1 * rng.normal(size=800), rng.normal(size=(800, 2))])
        table = pa.table({f"c{i}": x[:, i] for i in range(3)})
        parts = (table.slice(0, 640), day[:640]), (table.slice(640), day[640:])
        for clustered in p:
            some = [DetectorRows(rows, days if clustered else None) for rows, days in parts]
            found = DomainClassifier(trees=5).judge(some[0], some[1], 0.05)
            assert found.p_val is not None
            p[clustered].append(found.p_val)
    assert np.mean(np.array(p[True]) <= 0.1) <= 0.1 + 3 * np.sqrt(0.1 / 120)
    assert np.mean(np.array(p[False]) <= 0.1) > 0.9
