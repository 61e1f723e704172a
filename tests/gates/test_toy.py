from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_a_gate_is_one_file() -> None:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "docs")])
    script = TESTS / "gates" / "with_toy.py"
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == {"phase": "failed", "reason": "delay has 5 letters", "measurements": {}}
    assert "delay has 5 letters" in found["comment"]
    assert "give the model a shorter name" in found["comment"]
    assert "## brevity\n\nThe model's name has no more letters than this.\n\n```yaml\nbrevity: 8\n```" in found["page"]
    assert found["schema"]["description"] == "The model's name has no more letters."
    assert found["problems"] == [
        "reads the signature of a model, and 'delay' has none, so this gate stays shut",
    ]
