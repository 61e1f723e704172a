"""What a server loads before its first answer: a restart should take a second or two, not ten."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import sys
import gitml.agent.loop, gitml.agent.serve
from gitml.models.skopsmodel import library
library().io
print(*sorted({m.partition('.')[0] for m in sys.modules}))
import sklearn.externals.array_api_compat
assert 'sklearn.externals.array_api_compat.torch' not in sys.modules, 'who wants that may still have it'
"""


@pytest.mark.slow
def test_an_agent_that_has_all_it_serves_loads_neither_dvc_nor_torch() -> None:
    # As where nobody tests: tests/startup passes over torch for everything that they start.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, env=env)
    loaded = set(done.stdout.split())
    assert {"gitml", "skops", "sklearn"} <= loaded
    assert not loaded & {"dvc", "torch", "starlette"}
