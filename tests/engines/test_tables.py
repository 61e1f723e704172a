"""Tables of every format, read batch by batch and written whole or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

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
