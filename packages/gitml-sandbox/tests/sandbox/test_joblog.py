"""What a job prints cannot pretend to be the log's own, nor fill memory."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from gitml_sandbox.actions import joblog
from sandbox.runner_kit import Works


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


def test_a_line_without_end_is_left_out(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          a: {runs-on: ubuntu-latest, steps: [{run: "head -c 5000000 /dev/zero | tr '\\\\0' x; echo; echo after"}]}
        """
    )
    job = works.only()["a"]
    log = works.log(job)
    assert job["conclusion"] == "success"
    assert len(log) < 10_000
    assert "more than 1048576 bytes is left out" in log
    assert "Z after" in log
