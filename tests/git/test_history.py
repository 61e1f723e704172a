"""A branch's line as Git has it, also where somebody wrote its commits by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from conftest import git
from gitml.git.history import line


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("1700000000 +0000", 2023),
        ("999999999999 +0000", 9999),
        ("18446744073709551615 +0000", 9999),
        (f"{'9' * 5000} +0000", 9999),
        ("-999999999999 +0000", 1970),
        ("", 1970),
    ],
)
def test_a_commit_of_any_date_is_read(tmp_path: Path, date: str, year: int) -> None:
    git(tmp_path, "init", "-q")
    tree = git(tmp_path, "hash-object", "-t", "tree", "-w", "/dev/null")
    raw = f"tree {tree}\nauthor eve <e@x> 1 +0000\ncommitter eve <e@x> {date}\n\nx\n".encode()
    words = ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    commit = subprocess.run(words, cwd=tmp_path, input=raw, capture_output=True, check=True).stdout.decode().strip()
    (landed,) = line(tmp_path, commit)
    assert (landed.commit, landed.time.year) == (commit, year)
    assert landed.time.isoformat()
