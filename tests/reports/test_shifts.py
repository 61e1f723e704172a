"""The shift of data in a report: what is said, and the picture."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest

from gitml.reports.charts import check, png, pngs, size
from gitml.reports.facts import ColumnShift, Outcome, ReportedBin, ReportedModel, Table
from gitml.reports.shifts import chart, shifted
from reports.report_kit import PIECES

WIND = ColumnShift("wind", 0.41, 0.01, 11.2, 14.8, (ReportedBin("< 8", 0.4, 0.1), ReportedBin("≥ 8", 0.6, 0.9)))
CARRIER = ColumnShift("carrier", 0.05, 0.01, bins=(ReportedBin("UA", 0.4, 0.5), ReportedBin("all others", 0.6, 0.5)))
TABLE = Table("data/features", shifted=(WIND, CARRIER), steady=4, unknown=1)


def said(*tables: Table) -> str:
    found = shifted(ReportedModel("m", Outcome.NEW, data=tables), "`main`")
    return "\n\n".join(section.text(len(section.rows)) for section in found)


def test_the_columns_that_moved_farthest_with_what_they_were_and_are() -> None:
    text = said(TABLE)
    assert "| column | distance | `main` | here |" in text
    assert "| `wind` | 0.41 | mean 11.2 | mean 14.8 |" in text
    assert "| `carrier` | 0.05 | `UA` 40.0 % | `UA` 50.0 % |" in text
    assert text.endswith("*4 not beyond chance; 1 not compared*")


def test_a_column_that_mostly_lost_its_values_says_so_instead_of_its_mean() -> None:
    lost = replace(WIND, bins=(ReportedBin("< 8", 1.0, 0.2), ReportedBin("missing", 0.0, 0.8)))
    assert "| `wind` | 0.41 | `missing` 0.0 % | `missing` 80.0 % |" in said(replace(TABLE, shifted=(lost,)))


def test_of_many_columns_only_the_first_are_listed_and_the_others_counted() -> None:
    many = tuple(replace(CARRIER, name=f"c{n}") for n in range(20))
    text = said(Table("data", shifted=many))
    assert "`c5`" in text
    assert "`c6`" not in text
    assert text.endswith("*14 more shifted less*")


def test_without_a_profile_it_says_so_and_without_a_change_nothing() -> None:
    assert said(Table("data", unprofiled="main has *none*")) == (
        "Whether columns of `data` shifted is not known: main has \\*none\\*."
    )
    assert said(Table("data", steady=3, unknown=1)) == (
        "No column of `data` shifted beyond chance; 1 column was not compared."
    )
    assert said(Table("data")) == ""
    assert said() == ""
    assert chart([Table("data", steady=3)], "main") is None
    assert chart([], "main") is None


def test_the_chart_has_a_panel_for_each_of_the_first_columns_of_all_tables_farthest_first() -> None:
    many = tuple(replace(CARRIER, name=f"c{n}", distance=n / 100) for n in range(9))
    spec = chart([Table("data", shifted=many), TABLE], "main")
    assert spec is not None
    titles = [(p["title"]["text"], p["title"]["subtitle"]) for p in spec["concat"]]
    assert titles[0] == ("wind of data/features", "distance 0.41")
    assert [t for t, _ in titles[1:3]] == ["c8 of data", "c7 of data"]
    assert len(titles) == 6
    assert spec["title"]["subtitle"] == "share of rows; the 6 columns that moved farthest of 11"
    sides = {row["side"] for row in spec["concat"][0]["data"]["values"]}
    assert sides == {"main", "here"}


def test_a_branch_called_like_the_other_side_is_told_from_it() -> None:
    spec = chart([TABLE], "here")
    assert spec is not None
    assert {row["side"] for row in spec["concat"][0]["data"]["values"]} == {"before", "here"}


@pytest.mark.slow
def test_hostile_names_are_drawn_as_they_are_and_equal_labels_stay_two_bars() -> None:
    text = "".join(PIECES)
    bad = ColumnShift(text, 0.5, 0.0, bins=tuple(ReportedBin(piece * 20, 0.01, 0.02) for piece in PIECES[:18]))
    spec = chart([Table(text, shifted=(bad, replace(WIND, name="{datum.x}", bins=())))], text)
    check(spec)
    assert spec is not None
    first = spec["concat"][0]
    assert len({row["at"] for row in first["data"]["values"]}) == 18
    written = json.dumps(spec, ensure_ascii=False)
    assert not any(char in written for char in "\u202e\u2066\x1b\x00")
    width, height = size(png(spec))
    assert width < 2000
    assert height > 300


@pytest.mark.slow
def test_pictures_of_one_and_of_many_columns_have_a_sane_size() -> None:
    many = tuple(replace(WIND, name=f"w{n}") for n in range(9))
    for picture in pngs([chart([replace(TABLE, shifted=shown)], "main") for shown in (many[:1], many)]):
        assert isinstance(picture, bytes)
        assert struct.unpack(">II", picture[16:24]) == size(picture)
        assert 600 < size(picture)[0] < 1800
        assert len(picture) < 250_000
