"""Tables of every format, read batch by batch and written whole or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from gitml.engines.csvfiles import BLOCK
from gitml.engines.places import place_of
from gitml.engines.tables import ENDINGS, FORMATS, format_of, open_table, schema_of, write_table
from gitml.errors import OutsideError, UsageError

TABLE = pa.table({"n": list(range(1000)), "word": [f"w{n}" for n in range(1000)]})


def written(path: Path, table: pa.Table = TABLE) -> Path:
    kind = format_of(path.name)
    if path.name.endswith(".gz"):
        csv.write_csv(table, path.with_suffix(""))
        path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
    elif kind == "parquet":
        parquet.write_table(table, path, row_group_size=300)
    elif kind == "csv":
        csv.write_csv(table, path)
    else:
        with (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=300)
    return path


def read(path: Path, most: int = 64, types: dict[str, pa.DataType] | None = None) -> list[pa.RecordBatch]:
    with open_table(place_of(path), format_of(path.name) or "", most, types or {}) as batches:
        return list(batches)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_read_in_small_batches_in_its_order(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path / f"Table{ending}")
    batches = read(path)
    assert max(b.num_rows for b in batches) <= 64
    assert pa.Table.from_batches(batches).equals(TABLE)
    assert schema_of(place_of(path), format_of(path.name) or "", {}).equals(TABLE.schema)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_is_cut_off_or_something_else_says_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"\x00\x01 no table\n\xff" * 100 if ending != ".csv" else b'a,b\n1,2\n3,4,5\n"')
    with pytest.raises((UsageError, OutsideError), match=f"x{ending} cannot be read"):
        read(path)
    whole = written(tmp_path / f"y{ending}").read_bytes()
    if ending not in (".csv", ".arrows"):  # these two end where they end
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises((UsageError, OutsideError), match="cannot be read"):
            read(path)


def test_csv_reads_columns_as_they_are_known_not_as_they_look(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("code,age\n007,1\n,\n")
    batch = pa.Table.from_batches(read(path, types={"code": pa.string(), "age": pa.float64()}))
    assert batch.to_pydict() == {"code": ["007", None], "age": [1.0, None]}


@pytest.mark.parametrize("kind", ENDINGS)
def test_what_is_written_appears_whole_or_not_at_all(tmp_path: Path, kind: str) -> None:
    def broken() -> Iterator[pa.RecordBatch]:
        yield from TABLE.to_batches(100)
        raise UsageError("row 1000 is wrong")

    path = tmp_path / f"deep/er/x{ENDINGS[kind]}"
    with pytest.raises(UsageError, match="row 1000"):
        write_table(place_of(path), kind, TABLE.schema, broken())
    assert not list(path.parent.iterdir())
    write_table(place_of(path), kind, TABLE.schema, iter(TABLE.to_batches(100)))
    assert pa.Table.from_batches(read(path)).equals(TABLE)


def test_names_of_object_stores_may_hold_empty_parts() -> None:
    place = place_of("memory://odd")
    for name in ("odd/a//b.csv", "odd/.hidden/c.csv", "odd/d/_e.csv"):
        place.filesystem.handler.fs.pipe_file(name, b"n\n1\n")
    assert [entry.name for entry in place.files()] == ["a//b.csv"]


def test_an_address_leads_to_the_same_place_again(tmp_path: Path) -> None:
    for start in (tmp_path, "memory://bucket/a", f"file://{tmp_path}"):
        place = place_of(start) / "b" / "c.csv"
        again = place_of(place.address)
        assert (again.path, again.local) == (place.path, place.local)
        assert (place.parent.path, place.parent.address) == (
            (place_of(start) / "b").path,
            (place_of(start) / "b").address,
        )
    with pytest.raises(UsageError, match="nothing here opens"):
        place_of("gopher://x/y")


def csv_rows(path: Path, types: dict[str, pa.DataType]) -> dict[str, list[object]]:
    with open_table(place_of(path), "csv", 100, types) as batches:
        return pa.Table.from_batches(list(batches)).to_pydict()


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "NaN", "N/A", "NULL", '""'])
def test_words_of_a_csv_are_words_and_only_the_empty_cell_is_missing(tmp_path: Path, word: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"c,id\n{word},1\n,2\na,3\n")
    for types in ({"c": pa.string()}, {}):
        assert csv_rows(path, types)["c"] == [word.strip('"'), None, "a"]


@pytest.mark.parametrize("word", ["NA", "null", "None", "nan", "NaN", "", '""', "<NA>"])
def test_numbers_of_a_csv_are_missing_where_such_a_word_stands(tmp_path: Path, word: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"n,x,b,other\n1.0,1,True,7\n{word},{word},{word},{word}\n3.0,1e3,false,8\n")
    found = csv_rows(path, {"n": pa.int64(), "x": pa.float64(), "b": pa.bool_()})
    assert found["n"] == [1, None, 3]
    assert [type(n) for n in found["n"]] == [int, type(None), int]
    assert found["x"] == [1.0, None, 1000.0]
    assert found["b"] == [True, None, False]


def test_whole_numbers_with_gaps_as_pandas_writes_them_are_whole_numbers(tmp_path: Path) -> None:
    path, out = tmp_path / "x.csv", tmp_path / "y.csv"
    pd.DataFrame({"n": [1, None, 2**53], "c": ["a", "", None]}).to_csv(path, index=False)
    types = {"n": pa.int64(), "c": pa.string()}
    assert csv_rows(path, types)["n"] == [1, None, 2**53]
    path.write_text('n,c\n1,""\n,\n9007199254740993,NA\n')
    with open_table(place_of(path), "csv", 100, types) as batches:
        write_table(place_of(out), "csv", schema_of(place_of(path), "csv", types), batches)
    assert csv_rows(out, types) == {"n": [1, None, 2**53 + 1], "c": ["", None, "NA"]}


def test_codes_that_begin_with_a_zero_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("postcode,rate,year,n\n01067,0.5,2026,07\n,0.25,,8\n10115,,-3,9\n")
    found = csv_rows(path, {"n": pa.int64()})
    assert found["postcode"] == ["01067", None, "10115"]
    assert (found["rate"], found["year"], found["n"]) == ([0.5, 0.25, None], [2026, None, -3], [7, 8, 9])


@pytest.mark.parametrize("usual", ["0.5", "1e+20", "2e-7"])
def test_an_exponent_beside_fractions_is_a_number(tmp_path: Path, usual: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"x\n12e5\n{usual}\n")
    assert csv_rows(path, {}) == {"x": [12e5, float(usual)]}


def test_a_fraction_where_a_whole_number_is_wanted_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("n\n1\n1.5\n")
    with pytest.raises(UsageError, match="column n"):
        csv_rows(path, {"n": pa.int64()})


LATE = BLOCK // 5  # rows of more than a block, which is as far as types are inferred from


@pytest.mark.parametrize(
    ("usual", "code"), [("1234", "0007"), ("12.5", "007"), ("0.25", "12345678901234567890"), ("77", "12e5")]
)
def test_codes_of_a_csv_stay_codes_or_are_refused(tmp_path: Path, usual: str, code: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"id\n{code}\n{usual}\n")
    assert csv_rows(path, {}) == {"id": [code, usual]}
    path.write_text("id\n" + f"{usual}\n" * LATE * 2 + f"{code}\n")
    with pytest.raises(UsageError, match=f"column id begins with numbers, and later holds '{code}'"):
        csv_rows(path, {})
    path.write_text("id\n" + f"{usual}\n" * LATE * 2 + "0\n-3\n")
    assert csv_rows(path, {})["id"][-1] == -3


def test_whole_numbers_beside_fractions_of_nothing_are_not_rounded(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("n\n9007199254740993\n1.0\n")
    assert csv_rows(path, {"n": pa.int64()})["n"] == [2**53 + 1, 1]
