"""Charts as pictures: drawn from specs that hold all they need, refused when they reach for more."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest

from gitml.reports.charts import MAX_SPEC, ChartError, check, png, pngs, read_spec, size, svgs
from gitml.reports.draw import packed

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def spec(**more: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "$schema": SCHEMA,
        "data": {"values": [{"a": i, "b": i * i, "url": "http://x.example"} for i in range(5)]},
        "mark": "point",
        "encoding": {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "quantitative"}},
        "width": 200,
        "height": 100,
    }
    return {**base, **more}


def chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    """Each chunk's kind and content; their checksums are right."""
    at, found = 8, []
    while at < len(picture):
        (length,) = struct.unpack(">I", picture[at : at + 4])
        kind, content = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + length]
        assert struct.unpack(">I", picture[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + content),)
        found.append((kind, content))
        at += 12 + length
    return found


def rows(picture: bytes) -> bytes:
    return zlib.decompress(b"".join(content for kind, content in chunks(picture) if kind == b"IDAT"))


def corner(picture: bytes) -> tuple[int, ...]:
    """The first point of a PNG with 8 bits for each of red, green, blue and alpha."""
    return tuple(rows(picture)[1:5])


def test_a_picture_is_packed_without_a_change_of_what_it_shows() -> None:
    header = struct.pack(">IIBBBBB", 50, 40, 8, 6, 0, 0, 0)
    loose = zlib.compress(b"\0" * (50 * 4 + 1) * 40, 0)
    parts = [(b"IHDR", header), (b"pHYs", b"123456789"), (b"IDAT", loose[:99]), (b"IDAT", loose[99:]), (b"IEND", b"")]
    made = b"\x89PNG\r\n\x1a\n"
    for kind, content in parts:
        made += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    small = packed(made)
    assert [kind for kind, _ in chunks(small)] == [b"IHDR", b"pHYs", b"IDAT", b"IEND"]
    assert chunks(small)[:2] == chunks(made)[:2]
    assert rows(small) == rows(made)
    assert size(small) == (50, 40)
    assert len(small) < len(made) / 4


@pytest.mark.slow
def test_charts_are_drawn_twice_as_dense_on_white() -> None:
    first, refused, clear = pngs([spec(), spec(data={"url": "file:///etc/passwd"}), spec(background="transparent")])
    assert isinstance(first, bytes)
    width, height = size(first)
    assert 400 <= width <= 600
    assert 200 <= height <= 400
    assert corner(first) == (255, 255, 255, 255)
    assert isinstance(refused, ChartError)
    assert isinstance(clear, bytes)
    assert corner(clear) == (255, 255, 255, 255)


@pytest.mark.slow
def test_one_bad_chart_does_not_spoil_the_others() -> None:
    bad, good = svgs([spec(encoding={"x": 7}, mark={"type": "nonsense"}), spec(title="<script>")])
    assert isinstance(bad, ChartError)
    assert isinstance(good, bytes)
    assert good.startswith(b"<svg ")
    assert b"&lt;script&gt;</text>" in good


@pytest.mark.slow
def test_a_chart_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ChartError, match="longer than"):
        png(spec(), seconds=0.01)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"data": {"url": "https://x.example/a.csv"}}, "data.url"),
        ({"layer": [{"data": {"url": "file:///etc/passwd"}, "mark": "bar"}]}, "url"),
        ({"transform": [{"lookup": "a", "from": {"data": {"url": "a.csv"}, "key": "a"}}]}, "url"),
        ({"mark": "image"}, "image"),
        ({"mark": {"type": "image"}}, "image"),
        ({"encoding": {"url": {"field": "a"}}}, "url"),
        ({"mark": "geoshape"}, "geoshape"),
        ({"data": {"sequence": {"start": 0, "stop": 1e12}}}, "sequence"),
        ({"data": {"graticule": True}}, "graticule"),
        ({"width": 1e9}, "width"),
        ({"height": -1}, "height"),
        ({"$schema": "https://vega.github.io/schema/vega/v6.json"}, "no Vega-Lite"),
    ],
)
def test_specs_that_reach_out_or_are_endless_are_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ChartError, match=said):
        check(spec(**more))


def test_rows_may_have_columns_of_any_name() -> None:
    check(spec())
    check(spec(datasets={"a": [{"url": "x", "width": 1e9}]}))


def test_deep_and_large_specs_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"layer": [deep]}
    with pytest.raises(ChartError, match="nested"):
        check(spec(layer=[deep]))
    with pytest.raises(ChartError, match="values"):
        check(spec(layer=[[0] * 300_000]))


@pytest.mark.parametrize("raw", [b"", b"[1]", b"nope", b"\xff", b"[" * 100_000, b" " * (MAX_SPEC + 1), b"{}"])
def test_what_is_no_spec_is_refused(raw: bytes) -> None:
    with pytest.raises(ChartError):
        read_spec(raw)


def test_a_spec_is_read() -> None:
    assert read_spec(json.dumps(spec()).encode())["mark"] == "point"


def test_what_is_no_picture_has_no_size() -> None:
    with pytest.raises(ChartError):
        size(b"GIF89a")
