"""Sketches: exact whatever the order, added up, compared, written and read."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitml.errors import UsageError
from gitml.sketches.alike import correlation, mid_ranks
from gitml.sketches.form import read_sketch, sketch_bytes
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.grids import NumberGrid, number_grid
from gitml.sketches.numbers import MISSING, NumberPlaces
from gitml.sketches.reference import ReferenceSketch, joined, read_reference, reference_bytes, reference_of, rows_of
from gitml.sketches.units import places_of, squares

START = datetime(2026, 4, 1, tzinfo=UTC)
SOURCE = Source(time="when", unit="unit")
COLUMNS = ("x", "word")
FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)


def rows(n: int, seed: int = 0, *, shift: float = 0.0) -> pa.RecordBatch:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n) + shift
    x[rng.random(n) < 0.1] = np.nan
    words = rng.choice(np.array(["a", "b", "c"]), n, p=[0.6, 0.3, 0.1]).tolist()
    hours = np.sort(rng.integers(0, 72, n)).tolist()
    return pa.record_batch(
        {
            "x": pa.array(x, from_pandas=True),
            "word": pa.array([None if i % 17 == 0 else w for i, w in enumerate(words)]),
            "when": pa.array([START + timedelta(hours=h) for h in hours], pa.timestamp("us", "UTC")),
            "unit": pa.array([f"u{i}" for i in rng.integers(0, 50, n)]),
        }
    )


def reference(context: tuple[str, ...] = ()) -> ReferenceSketch:
    return reference_of(lambda: iter([rows(2_000)]), COLUMNS, SOURCE, context)


@settings(max_examples=60, deadline=None)
@given(st.lists(FLOATS, min_size=1, max_size=40), st.lists(FLOATS, max_size=40))
def test_the_table_finds_the_cell_that_a_search_finds(reference: list[float], live: list[float]) -> None:
    grid = number_grid(np.array(reference))
    with np.errstate(over="ignore"):
        near = [np.nextafter(e, side) for e in grid.edges for side in (-np.inf, np.inf)]
    values = np.array([*live, *reference, *grid.edges, *near, -0.0, 0.0, np.inf, -np.inf, np.nan])
    found = NumberPlaces(grid)(values)
    known = ~np.isnan(values)
    assert (found[~known] == MISSING).all()
    assert found[known].tolist() == grid.places(values[known]).tolist()


@pytest.mark.parametrize("far", [1.7e9, -3e12, 2013.0])
def test_the_table_is_right_far_from_zero_too(far: float) -> None:
    values = far + np.random.default_rng(0).integers(-40, 40, 5_000) / 8
    grid = number_grid(values[:500])
    some = np.concatenate([values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)])
    assert NumberPlaces(grid)(some).tolist() == grid.places(some).tolist()


@pytest.mark.parametrize("context", [(), ("weekday",), ("word", "hour")])
def test_order_and_batches_make_no_difference_and_parts_add_up(context: tuple[str, ...]) -> None:
    layout, live = reference(context).layout, rows(1_500, 1, shift=0.3)
    count = RowCounter(layout, SOURCE)
    whole = count(live)
    order = pa.array(np.random.default_rng(2).permutation(live.num_rows))
    shuffled = live.take(order)
    parts = [shuffled.slice(start, size) for start, size in ((0, 7), (7, 900), (907, 593))]
    assert sketch_bytes(count.of(parts)) == sketch_bytes(whole)
    assert sketch_bytes(count(parts[2]) + (count(parts[0]) + count(parts[1]))) == sketch_bytes(whole)
    assert sketch_bytes(read_sketch(sketch_bytes(whole), layout)) == sketch_bytes(whole)
    assert int(whole.rows.sum()) == live.num_rows


def test_a_column_is_what_the_grid_counts() -> None:
    ref, live = reference(), rows(700, 3)
    found = RowCounter(ref.layout, SOURCE)(live)
    for name in COLUMNS:
        values = live[name].to_pylist()
        known = np.array([math.nan if v is None else v for v in values]) if name == "x" else values
        cells, missing = ref.layout.columns[name].count(known)  # type: ignore[arg-type]
        assert (found.counts(name).cells.tolist(), found.counts(name).missing) == (cells.tolist(), missing)
    x = [v for v in live["x"].to_pylist() if v is not None]
    column, grid = found.columns["x"], ref.layout.columns["x"]
    assert isinstance(grid, NumberGrid)
    assert (column.least, column.most, column.finite) == (min(x), max(x), len(x))
    assert column.total * grid.step / column.finite == pytest.approx(math.fsum(x) / len(x), abs=1e-5)
    assert grid.spread == pytest.approx(1.0, rel=0.5)


def test_what_is_no_number_is_counted_apart() -> None:
    count = RowCounter(reference().layout)
    odd = count(pa.record_batch({"x": ["1", None, "2"], "word": [1.0, 2.5, None]}))
    assert (odd.columns["x"].unfit, odd.counts("x").missing, odd.counts("x").present) == (2, 3, 0)
    assert (odd.counts("word").cells[-1], odd.counts("word").missing) == (2, 1)
    endless = count(pa.record_batch({"x": [math.inf, -math.inf, 0.5, math.nan]}))
    column = endless.columns["x"]
    assert (column.infinite, column.finite, column.least, endless.counts("x").missing) == (2, 1, 0.5, 1)
    assert endless.columns["word"].absent == 4
    assert endless.counts("word").rows == 0, "a column that was never sent is not missing values"


def test_rows_of_a_stratum_are_counted_apart_and_unknown_ones_together() -> None:
    layout = reference(("word",)).layout
    assert layout.strata == (("a",), ("b",), ("c",), (None,))
    live = pa.record_batch({"x": [0.1, 0.2, None, 9.0], "word": ["a", "new", "a", None]})
    found = RowCounter(layout)(live)
    assert found.rows.tolist() == [2, 0, 0, 1, 1]
    assert (found.counts("x", stratum=0).present, found.counts("x", stratum=0).missing) == (1, 1)
    assert found.counts("x").rows == 4


def test_clusters_are_hours_days_and_units() -> None:
    live = rows(900, 4)
    found = RowCounter(reference().layout, SOURCE)(live)
    hours = [t.timestamp() // 3600 for t in live["when"].to_pylist()]
    for cluster, keys in {"hour": hours, "day": [h // 24 for h in hours]}.items():
        expected = sum(keys.count(key) ** 2 for key in set(keys))
        assert found.squares(cluster) == expected
        assert found.counts("x", cluster).root == pytest.approx(math.sqrt(expected))
    units = live["unit"].to_pylist()
    exact = sum(units.count(unit) ** 2 for unit in set(units))
    assert found.squares("unit") == pytest.approx(exact, rel=0.1)
    assert found.counts("x").root is None
    untimed = RowCounter(reference().layout)(live)
    assert (untimed.squares("day"), untimed.squares("unit")) == (None, None)


def test_squared_rows_of_many_units_are_near_the_truth_and_add_up() -> None:
    rng = np.random.default_rng(5)
    drawn = rng.zipf(1.3, 40_000) % 100_000
    some = [pa.array([f"u{i}" for i in part]) for part in (drawn[:15_000], drawn[15_000:])]
    exact = float((np.unique(drawn, return_counts=True)[1] ** 2).sum())
    assert squares(places_of(some[0]) + places_of(some[1]), 40_000) == pytest.approx(exact, rel=0.1)


def test_sketches_of_different_layouts_do_not_add_up() -> None:
    one = RowCounter(reference().layout)(rows(10))
    other = RowCounter(reference(("hour",)).layout, SOURCE)(rows(10))
    with pytest.raises(UsageError, match="do not add up"):
        one + other
    with pytest.raises(UsageError, match="of layout"):
        read_sketch(sketch_bytes(one), reference(("hour",)).layout)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["columns"].pop("x"),
        lambda told: told["columns"]["x"]["cells"][0].append(1),
        lambda told: told["columns"]["x"].update(cells=[[1], [1, 2]]),
        lambda told: told["columns"]["x"].update(missing=[-1]),
        lambda told: told["columns"]["x"].update(missing=[10**30]),
        lambda told: told.update(rows=[1, 2]),
        lambda told: told.update(units=[1]),
        lambda told: told.update(format=2),
        lambda told: told.update(more=1),
    ],
)
def test_bytes_that_are_no_sketch_are_refused(change: object) -> None:
    ref = reference()
    told = json.loads(sketch_bytes(RowCounter(ref.layout)(rows(10))))
    change(told)  # type: ignore[operator]
    with pytest.raises(UsageError):
        read_sketch(json.dumps(told).encode(), ref.layout)


def test_a_reference_is_the_same_bytes_in_any_order_and_reads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows(3_000, 6)
    again = table.take(pa.array(np.random.default_rng(7).permutation(3_000)))
    one = reference_of(lambda: iter([table]), COLUMNS, SOURCE, ("weekday",))
    monkeypatch.setattr("gitml.sketches.reference._VALUES", 1)  # a column of numbers at a time
    other = reference_of(lambda: (again.slice(n, 700) for n in range(0, 3_000, 700)), COLUMNS, SOURCE, ("weekday",))
    assert reference_bytes(other) == reference_bytes(one)
    assert reference_bytes(read_reference(reference_bytes(one))) == reference_bytes(one)
    with pytest.raises(UsageError, match="no column y"):
        reference_of(lambda: iter([table]), ["y"])
    with pytest.raises(UsageError, match="no rows"):
        reference_of(lambda: iter([table.slice(0, 0)]), COLUMNS)
    with pytest.raises(UsageError, match="no reference"):
        read_reference(b'{"layout": 1}')


def test_a_table_is_the_same_reference_in_any_format(tmp_path: Path) -> None:
    table = pa.Table.from_batches([rows(400, 11)])
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=90)
    csv.write_csv(table, tmp_path / "rows.csv")
    found = {
        reference_bytes(reference_of(rows_of(tmp_path / f"rows.{ending}"), COLUMNS, SOURCE, ("hour",)))
        for ending in ("parquet", "csv")
    }
    assert found == {reference_bytes(reference_of(lambda: iter(table.to_batches()), COLUMNS, SOURCE, ("hour",)))}
    with pytest.raises(UsageError, match="no ending of a table"):
        rows_of(tmp_path / "rows.txt")


def test_rows_that_share_weather_are_alike_and_others_are_not() -> None:
    rng = np.random.default_rng(8)
    days = np.repeat(np.arange(40), 50)
    weather = rng.normal(size=40)[days] + rng.normal(size=2_000) * 0.2
    table = pa.record_batch(
        {
            "x": weather,
            "word": rng.choice(np.array(["a", "b"]), 2_000),
            "when": pa.array([START + timedelta(days=int(d)) for d in days], pa.timestamp("us", "UTC")),
        }
    )
    alike = reference_of(lambda: iter([table]), COLUMNS, Source(time="when")).alike
    assert alike["day"]["x"] > 0.9
    assert alike["day"]["word"] < 0.05
    ranks = mid_ranks(np.unique(weather, return_counts=True)[1])[np.argsort(np.argsort(weather))].astype(float)
    groups = ranks.reshape(40, 50)
    means = groups.mean(axis=1)
    above = 50 * means.var(ddof=1)
    inside = groups.var(axis=1, ddof=1).mean()
    classic = (above - inside) / (above + 49 * inside)
    found = correlation(np.full(40, 50.0), groups.sum(axis=1), float((ranks**2).sum()))
    assert found == pytest.approx(classic, abs=1e-5)


def test_features_and_outputs_may_come_from_different_rows() -> None:
    of_x = reference_of(lambda: iter([rows(500)]), ["x"])
    of_word = reference_of(lambda: iter([rows(80, 9)]), ["word"])
    both = joined(of_x.layout, of_word.layout)
    assert RowCounter(both)(rows(20)).counts("word").rows == 20
    with pytest.raises(UsageError, match="go together: x"):
        joined(of_x.layout, of_x.layout)


def test_whole_numbers_and_the_same_as_floats_are_one_word() -> None:
    ref = reference_of(lambda: iter([pa.record_batch({"x": [1.0, 2.0], "hour": [6, 7]})]), ["x"], context=("hour",))
    assert ref.layout.strata == (("6",), ("7",))
    found = RowCounter(ref.layout)(pa.record_batch({"x": [1.0, 1.0], "hour": [6.0, None]}))
    assert found.rows.tolist() == [1, 0, 1]
