"""Detectors of alibi-detect as those of a monitor: which answers may alarm, and what is said of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from gitml.errors import InconclusiveError
from gitml.monitoring.alibi.apart import AlibiAnswer
from gitml.monitoring.alibi.detectors import AlibiColumns, AlibiDetection, OwnAlibi, RealAlibi
from gitml.monitoring.alibi.ks import KSDrift, KSSettings
from gitml.monitoring.alibi.tabular import TabularDrift, TabularSettings
from gitml.monitoring.detectors.detector import DetectorRows

LEVEL = 1.5e-4
NOTHING = DetectorRows(pa.table({}))
WORDS = ("a", "b", "c")


def table(rows: int, seed: int, moved: float = 0.0, words: tuple[str, ...] = WORDS) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table({"fare": rng.normal(moved, size=rows), "rain": rng.random(rows), "word": rng.choice(words, rows)})


COLUMNS = AlibiColumns(("fare", "word"), {"word": WORDS})


def tabular(rows: int = 400) -> OwnAlibi:
    x_ref = COLUMNS.matrix(table(rows, 0)).astype(np.float32)
    settings = TabularSettings(x_ref="x_ref.npy")
    return OwnAlibi("alibi detectors/income", TabularDrift(settings, x_ref, {1: [0.0, 1.0, 2.0]}), COLUMNS)


def judged(live: pa.Table, clusters: NDArray[np.int64] | None = None) -> AlibiDetection:
    return tabular().judge(NOTHING, DetectorRows(live, clusters), LEVEL)


def test_an_alarm_takes_a_p_value_that_keeps_the_promise() -> None:
    mild = judged(table(400, 1, moved=0.25))
    assert mild.alibi["is_drift"] == 1  # by alibi-detect's own threshold of 5 %, at each look anew
    assert not mild.alarms
    assert (mild.p_val or 0) > LEVEL
    strong = judged(table(400, 1, moved=1.0))
    assert strong.alarms
    assert [column.column for column in strong.columns] == ["fare", "word"]
    assert (strong.p_val or 1) < LEVEL == strong.threshold
    assert set(strong.alibi) == {"is_drift", "distance", "p_val", "threshold"}
    assert "TabularDrift of alibi-detect 0.11.4" in strong.by


def test_words_are_numbered_as_the_signature_lists_them() -> None:
    found = COLUMNS.matrix(pa.table({"fare": [1, None], "word": ["c", "new"]}))
    np.testing.assert_array_equal(found, [[1.0, 2.0], [np.nan, -1.0]])
    strange = judged(table(400, 2, words=("a", "new")))
    assert strange.alarms
    assert strange.columns[0].column == "word"
    x_ref = np.array([["a"], ["b"]])
    assert AlibiColumns(("word",)).matrix(pa.table({"word": ["a", None]}), texts=True).dtype.kind == x_ref.dtype.kind


def test_rows_of_a_cluster_are_not_independent_so_it_never_alarms() -> None:
    found = judged(table(400, 1, moved=2.0), np.zeros(400, dtype=np.int64))
    assert found.is_drift
    assert not found.alarms
    assert "clusters: []" in found.shown_only
    assert "reference_rows" in found.shown_only


def days(count: int, per_day: int, seed: int, moved: float = 0.0) -> tuple[pa.Table, NDArray[np.int64]]:
    """`fare` shares its day's mean, and so does the word."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(count), per_day)
    fare = rng.normal(moved, size=count)[day] + 0.5 * rng.normal(size=len(day))
    word = np.array(WORDS)[(rng.integers(0, 3, count)[day] + (rng.random(len(day)) < 0.2)) % 3]
    return pa.table({"fare": fare, "word": word}), day


def clustered(live: tuple[pa.Table, NDArray[np.int64]], level: float) -> AlibiDetection:
    sample = days(90, 40, 1)
    x_ref = COLUMNS.matrix(sample[0])[::9]
    detector = TabularDrift(TabularSettings(x_ref="x_ref.npy"), x_ref, {1: [0.0, 1.0, 2.0]})
    return OwnAlibi("x", detector, COLUMNS).judge(DetectorRows(*sample), DetectorRows(*live), level)


def test_with_rows_of_the_training_it_is_known_how_many_rows_of_a_day_count() -> None:
    quiet = [clustered(days(30, 30, seed), 0.05) for seed in range(2, 102)]
    by_its_own = sum(found.alibi["is_drift"] for found in quiet)
    assert by_its_own > 60  # it takes 900 rows of thirty days as independent
    assert sum(found.alarms for found in quiet) <= 5
    assert not quiet[0].shown_only
    moved = clustered(days(30, 30, 2, moved=2.0), LEVEL)
    assert moved.alarms
    assert moved.columns[0].column == "fare"
    assert not clustered(days(3, 300, 2, moved=2.0), LEVEL).alarms


def test_columns_and_rows_that_do_not_fit_are_said() -> None:
    with pytest.raises(InconclusiveError, match="no row"):
        judged(table(0, 1))
    with pytest.raises(InconclusiveError, match="no column word"):
        judged(table(9, 1).drop_columns(["word"]))
    three = AlibiColumns(("fare", "rain", "word"), {"word": WORDS})
    with pytest.raises(InconclusiveError, match="saved with 2 columns, and is given 3") as refused:
        OwnAlibi("x", tabular().detector, three).judge(NOTHING, DetectorRows(table(9, 1)), LEVEL)
    assert "columns" in refused.value.hint
    holes = table(9, 1).set_column(2, "word", pa.array([None] * 9, pa.string()))
    with pytest.raises(InconclusiveError, match="missing"):
        judged(holes)


def test_false_alarms_of_small_windows_stay_below_the_level() -> None:
    """A chi-squared test with rare categories and a KS test of few rows: each p-value is an upper bound."""
    rng, level, alarms = np.random.default_rng(3), 0.05, 0
    shares = [0.9, 0.05, 0.03, 0.01, 0.01]
    for _ in range(400):
        reference, live = (
            np.column_stack([np.round(rng.normal(size=n), 1), rng.choice(5, n, p=shares).astype(float)])
            for n in (300, 20)
        )
        detector = TabularDrift(TabularSettings(x_ref="x_ref.npy"), reference, {1: np.unique(reference[:, 1]).tolist()})
        columns = AlibiColumns(("fare", "code"))
        rows = DetectorRows(pa.table({"fare": live[:, 0], "code": live[:, 1]}))
        alarms += OwnAlibi("x", detector, columns).judge(NOTHING, rows, level).alarms
    assert alarms / 400 <= level


def answered(**more: Any) -> AlibiAnswer:
    told: dict[str, Any] = {"version": "0.11.4", "detector": "MMDDrift", "kind": "drift", "rows": 9, "is_drift": True}
    return AlibiAnswer(**{**told, "p_val": [0.0], "distance": [0.3], "threshold": [0.05], **more})


def real(answer: AlibiAnswer, licence: str = "") -> AlibiDetection:
    detector = RealAlibi("alibi detectors/mmd", COLUMNS, lambda _: answer, licence)
    return detector.judge(NOTHING, DetectorRows(table(9, 1)), LEVEL)


def test_a_permutation_test_alarms_only_with_enough_permutations() -> None:
    few = real(answered(permutations=100))
    assert few.p_val == pytest.approx(1 / 101)
    assert not few.alarms
    assert "cannot lie below 0.0099" in few.shown_only
    assert few.alibi == {"is_drift": 1, "distance": 0.3, "p_val": 0.0, "threshold": 0.05}
    many = real(answered(permutations=20_000))
    assert many.alarms
    assert not real(answered(permutations=20_000, p_val=[0.001])).alarms


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answered(detector="ClassifierDrift", p_val=[1e-9]), "many rows"),
        (answered(detector="CVMDrift", p_val=[1e-9, None], distance=[1.0, 2.0]), "many rows"),
        (answered(detector="CVMDriftOnline", kind="online", p_val=[], first=3), "false alarm every"),
        (answered(detector="IForest", kind="outlier", p_val=[], is_drift=False), "counts outliers"),
        (answered(p_val=[None]), "no p-value"),
    ],
)
def test_what_promises_nothing_is_shown_and_never_alarms(answer: AlibiAnswer, said: str) -> None:
    found = real(answer)
    assert not found.alarms
    assert said in found.shown_only
    assert found.distance == answer.distance[0]


def test_exact_tests_of_columns_are_corrected_for_their_number() -> None:
    found = real(answered(detector="FETDrift", p_val=[1e-5, 1.0], distance=[0.4, 0.1]))
    assert found.p_val == 2e-5
    assert found.alarms
    assert [one.column for one in found.columns] == ["fare", "word"]


def test_the_licence_is_said() -> None:
    assert real(answered(version="0.13.0"), "BSL 1.1").by == "MMDDrift of alibi-detect 0.13.0 (BSL 1.1)"


def test_ks_with_numbers_that_float32_has_otherwise() -> None:
    tenths = np.repeat(np.arange(10) / 10, 40)
    detector = KSDrift(KSSettings(x_ref="x_ref.npy"), tenths.astype(np.float32)[:, None])
    found = OwnAlibi("x", detector, AlibiColumns(("fare",))).judge(
        NOTHING, DetectorRows(pa.table({"fare": tenths})), LEVEL
    )
    assert found.distance == 0.0
