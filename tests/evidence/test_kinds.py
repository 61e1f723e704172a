from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_a_kind_of_evidence_is_one_row() -> None:
    script = TESTS / "evidence" / "with_toy.py"
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["predicate"] == "https://example.org/inspected/v1"
    assert found["same"]
    assert found["believed"]
    assert "in the future" in found["early"]
    assert found["gate"] == "successful"
    assert found["signed"][-1] == "inspected"
