"""What the code of a detector reads of the process that asked it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROBE = """
import json, os, pathlib, runpy, sys
runpy.run_path(sys.argv[1] + "/confined.py")["without_rights"]()
try:
    said = "SECRET" in pathlib.Path(f"/proc/{os.getppid()}/environ").read_text()
except OSError:
    said = "closed"
print(json.dumps({"error": f"read: {said}"}))
"""
_ASKS = """
import sys
from pathlib import Path
import numpy as np
from gitml.confined import without_rights
from gitml.errors import InconclusiveError
from gitml.monitoring.alibi import apart, runner
runner.__file__ = sys.argv[1]
without_rights()  # as an ordinary user
try:
    apart.ask(Path(sys.executable), Path(sys.argv[1]).parent, np.zeros((1, 1)))
except InconclusiveError as exc:
    print(exc.message)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
def test_it_does_not_read_the_variables_of_who_asked(tmp_path: Path) -> None:
    """They hold what the traffic is read with."""
    (tmp_path / "probe.py").write_text(_PROBE)
    words = [sys.executable, "-c", _ASKS, str(tmp_path / "probe.py")]
    done = subprocess.run(words, env={**os.environ, "TRAFFIC": "SECRET"}, capture_output=True, text=True, check=True)
    assert "read: closed" in done.stdout
