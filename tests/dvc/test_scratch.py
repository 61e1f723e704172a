"""Scratch folders of reproductions: private to their process, gone when it ends or is killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

AGAIN_AND_AGAIN = """
from gitml.dvc.scratch import scratch_folder
for _ in range(40):
    with scratch_folder() as folder:
        (folder / "file").write_text("mine")
        assert (folder / "file").exists()
"""


@pytest.mark.nightly
def test_those_who_begin_at_once_sweep_nobody_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    started = [subprocess.Popen([sys.executable, "-c", AGAIN_AND_AGAIN], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(p.communicate(timeout=60)[1], p.returncode) for p in started] == [(b"", 0)] * 4
    assert not list(tmp_path.glob("gitml-reproduce-*/"))
