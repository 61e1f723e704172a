"""The page for those who run servers names the releases that the code names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml.internals import CHECKED

PAGE = Path(__file__).parents[1] / "docs/reference/serving.md"


@pytest.mark.parametrize("library", CHECKED)
def test_the_page_names_the_releases_that_were_checked(library: str) -> None:
    assert f"| {library} | {', '.join(CHECKED[library])} |" in PAGE.read_text("utf-8")
