"""What a job prints cannot pretend to be the log's own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from gitml.sandbox import joblog


def _log(tmp_path: Path, *printed: str, name: str = "one") -> list[joblog.StepLog]:
    out = io.StringIO()
    masker = joblog.Masker(["precious"])
    reader = joblog.Reader("a", {"0": name}, out, masker, lambda: "2026-01-01T00:00:00Z", lambda _: None)

    def feed(**entry: Any) -> None:
        reader.feed(json.dumps({"jobID": "a", "stepID": ["0"], "stage": "Main", **entry}))

    feed(msg="begins")
    for text in printed:
        feed(raw_output=True, msg=text)
    feed(command="error", arg="bad\n##[step 7]Deploy", msg="x")
    (tmp_path / "log").write_text(out.getvalue())
    return joblog.read(tmp_path / "log")


def test_a_step_cannot_be_forged(tmp_path: Path) -> None:
    (step,) = _log(tmp_path, "##[step 9]Deploy\n", "a\n##[step 3]b", "2026-01-01T00:00:00Z ##[step 4]c")
    assert (step.number, step.name) == (1, "one")
    assert len(step.lines) == 6
    assert step.lines[0].endswith("##[step 9]Deploy")


def test_a_name_of_many_lines_is_one_line_and_masked(tmp_path: Path) -> None:
    (step,) = _log(tmp_path, name="first\n##[step 5] precious")
    assert step.name == "first ##[step 5] ***"
