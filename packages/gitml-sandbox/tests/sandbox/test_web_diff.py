"""Differences that are too long to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml_sandbox.git.reading import FileDiff
from gitml_sandbox.web import diff as web_diff
from sandbox.forge_kit import Kit
from sandbox.web_kit import Case, browser


def diff_of(count: int, path: str = "a") -> FileDiff:
    body = "\n".join([f"@@ -0,0 +1,{count} @@", *(f"+{n}" for n in range(count))])
    return FileDiff(path, None, "added", "0" * 40, count, 0, body)


def test_long_differences_are_cut() -> None:
    shown = web_diff.shown([diff_of(10_000, "long"), *(diff_of(5, f"f{n}") for n in range(400))])
    assert shown.files[0].left_out == 10_001 - web_diff.MAX_FILE_LINES
    assert len(shown.files) == web_diff.MAX_FILES
    assert shown.files_left_out == 401 - web_diff.MAX_FILES
    alone = web_diff.shown([diff_of(10_000, "long"), diff_of(1)], only="long")
    assert alone.files[0].left_out == 0
    assert sum(len(f.lines) for f in web_diff.shown([diff_of(399, str(n)) for n in range(300)]).files) <= 4_000


@pytest.mark.nightly
def test_a_large_file_is_behind_a_link(kit: Kit, tmp_path: Path) -> None:
    case = Case(kit, tmp_path / "a")
    case.push("".join(f"{n}\n" for n in range(3_000)))
    me = browser(case.kit)
    page = me.get(f"{case.page}/files")
    assert "Show this file alone" in page
    assert "2999" not in page
    assert "2999" in me.get(f"{case.page}/files?file=work.txt")
