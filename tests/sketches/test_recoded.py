"""What a reference still says when nothing of a single row may be seen in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gitml.errors import UsageError
from gitml.sketches import recoded as recoding
from gitml.sketches.coarse import FEW
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.grids import CategoryGrid, NumberGrid
from gitml.sketches.recoded import only_lacks_counts, recoded, without
from gitml.sketches.reference import ReferenceSketch, read_reference, reference_bytes, reference_of

PAY, WORD, PLACE = 987654.321, "keeps-bees-in-marylebone", "rock-of-ada"
COLUMNS, SOURCE = ("pay", "rain", "trade"), Source(time="when", unit="who")


def rows(count: int, seed: int, *, ada: int = 0) -> pa.RecordBatch:
    """``ada``: so many rows at the end are hers: largest, rarest, and in an hour of their own."""
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random(count) < 0.4, 0.0, rng.gamma(1.0, 3.0, count))
    moments = 1_700_000_000 + rng.integers(0, 400, count) * 3600
    mine = slice(count - ada, count)
    found = {
        "pay": rng.normal(3000, 700, count), "rain": rain, "trade": rng.choice(["baker", "smith", "clerk"], count),
        "place": rng.choice(["north", "south"], count), "who": [f"p{number}" for number in range(count)],
    }  # fmt: skip
    trade, place = found["trade"].astype(object), found["place"].astype(object)
    if ada:
        found["pay"][mine], trade[mine], place[mine], moments[mine] = PAY, WORD, PLACE, 1_800_000_000
    return pa.record_batch({**found, "trade": trade, "place": place, "when": pa.array(moments, pa.timestamp("s"))})


def reference(batch: pa.RecordBatch) -> ReferenceSketch:
    return reference_of(lambda: iter([batch]), COLUMNS, SOURCE, ["place"])


@pytest.fixture(scope="module")
def whole() -> tuple[pa.RecordBatch, ReferenceSketch]:
    batch = rows(3_000, 1, ada=2)
    return batch, reference(batch)


def test_nothing_of_a_single_row_is_left(whole: tuple[pa.RecordBatch, ReferenceSketch]) -> None:
    batch, before = whole
    raw = reference_bytes(before)
    assert all(text.encode() in raw for text in (str(PAY), WORD, PLACE))
    after = recoded(before)
    told = reference_bytes(after)
    assert not [text for text in (str(PAY)[:5], WORD, PLACE, str(1_800_000_000 // 3600)) if text.encode() in told]
    values = {value for name in ("pay", "rain") for value in batch[name].to_pylist()}
    for name in ("pay", "rain"):
        grid, cells = after.layout.columns[name], after.sketch.columns[name].cells.sum(axis=0)
        assert isinstance(grid, NumberGrid)
        assert values.isdisjoint({*grid.edges} - {0.0}), "a bound is nobody's value, but for one that many share"
        assert (cells[1:-1] >= FEW).all()
        assert len(grid.edges) > 40
        assert cells.sum() == 3_000
    assert reference_bytes(recoded(after)) == told, "done twice it is as once"
    assert reference_bytes(read_reference(told)) == told


def test_monitors_judge_by_it_as_before(whole: tuple[pa.RecordBatch, ReferenceSketch]) -> None:
    before, after = whole[1], recoded(whole[1])
    fresh = rows(4_000, 2)
    for column in ("pay", "rain"):
        apart = []
        for one in (before, after):
            live = RowCounter(one.layout, SOURCE).of([fresh]).counts(column)
            ours = one.sketch.counts(column)
            apart.append(np.abs(np.cumsum(live.cells / live.present - ours.cells / ours.present)).max())
        assert apart[1] == pytest.approx(apart[0], abs=0.005)
    for cluster in ("hour", "day", "unit"):
        assert after.sketch.squares(cluster) == before.sketch.squares(cluster)
    assert after.alike == before.alike


def test_a_person_is_subtracted_and_whoever_signs_sees_that_nothing_else_was(
    whole: tuple[pa.RecordBatch, ReferenceSketch],
) -> None:
    batch, before = whole
    mine, others = batch.slice(2_998), batch.slice(0, 2_998)
    after = recoded(without(before, RowCounter(before.layout, SOURCE).of([mine]), COLUMNS))
    assert only_lacks_counts(before, after)
    counted = RowCounter(after.layout, Source()).of([others])
    for name, column in after.sketch.columns.items():
        # But for what lies between a bound and what it was rounded from.
        assert np.abs(column.cells - counted.columns[name].cells).max() <= 2
        assert column.cells.sum() == 2_998
    assert (after.sketch.rows.sum(), sum(after.sketch.hours.values())) == (2_998, 2_998)
    assert after.sketch.columns["pay"].total == pytest.approx(counted.columns["pay"].total)

    sketch, layout = after.sketch, after.layout
    pay, trade = sketch.columns["pay"], sketch.columns["trade"]
    grid, words = layout.columns["pay"], layout.columns["trade"]
    assert isinstance(grid, NumberGrid)
    assert isinstance(words, CategoryGrid)

    def column(name: str, found: object) -> ReferenceSketch:
        return replace(after, sketch=replace(sketch, columns={**sketch.columns, name: found}))

    def gridded(name: str, found: object) -> ReferenceSketch:
        return replace(after, layout=replace(layout, columns={**layout.columns, name: found}))

    swapped = (grid.edges[1], grid.edges[0], *grid.edges[2:])
    with pytest.raises(UsageError, match="do not rise"):
        read_reference(reference_bytes(gridded("pay", replace(grid, edges=swapped))))
    for forged in (
        column("pay", replace(pay, cells=pay.cells + 1)),
        column("pay", replace(pay, cells=pay.cells // 3)),
        column("trade", replace(trade, cells=np.roll(trade.cells, 1, axis=1))),
        column("pay", replace(pay, most=1e9)),
        gridded("pay", replace(grid, edges=(grid.edges[0] - 1e6, *grid.edges[1:]))),
        gridded("pay", replace(grid, step=grid.step * 2)),
        gridded("trade", CategoryGrid((*words.categories[:-1], "mole"))),
        replace(after, alike={}),
        replace(after, sketch=replace(sketch, layout="0" * 64)),
        replace(after, sketch=replace(sketch, rows=sketch.rows + 1)),
        before,
    ):
        assert not only_lacks_counts(before, forged)


def test_few_rows_and_odd_columns_are_recoded_too() -> None:
    for values in ([1.5], [float("nan")], [np.inf, -np.inf, 3.0], [1.7e308, -1.7e308] * 40, [5e-324] * 3, [7.0] * 100):
        batch = pa.record_batch({"x": pa.array(values, pa.float64()), "w": [f"w{n}" for n in range(len(values))]})
        before = reference_of(lambda one=batch: iter([one]), ["x", "w"])  # type: ignore[misc]
        after = recoded(before)
        assert reference_bytes(recoded(after)) == reference_bytes(read_reference(reference_bytes(after)))
        assert only_lacks_counts(before, after)
        assert after.sketch.columns["x"].cells.sum() == before.sketch.columns["x"].cells.sum()
        assert after.layout.columns["w"] == CategoryGrid(())


def test_bounds_between_frequent_values_are_these_values() -> None:
    values = np.repeat([0.0, 1.0, 2.0], [60, 3, 60])
    after = recoded(reference_of(lambda: iter([pa.record_batch({"x": values})]), ["x"]))
    grid = after.layout.columns["x"]
    assert isinstance(grid, NumberGrid)
    assert [float(f"{edge:.3g}") for edge in grid.edges if abs(edge) > 1e-300] == [2.0, 2.0]
    assert after.sketch.columns["x"].cells.sum(axis=0).tolist() == [0, 60, 3, 60, 0]
    assert recoding.below(7.7, grid) <= 7.7
