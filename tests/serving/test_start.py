"""What a server loads before its first answer: a restart should take a second or two, not ten."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import sys
import gitml.agent.child, gitml.agent.front, gitml.serving.state
from gitml.models.skopsmodel import library
library().io
print(*sorted({m.partition('.')[0] for m in sys.modules}))
import sklearn.externals.array_api_compat
assert 'sklearn.externals.array_api_compat.torch' not in sys.modules, 'who wants that may still have it'
"""


SUPERVISOR = """
import sys
import gitml.cli.agentplace, gitml.cli.agentserver
import gitml.agent.loop, gitml.agent.serve, gitml.agent.supervisor
print(*sorted({m.partition('.')[0] for m in sys.modules}))
"""


def loaded_by(code: str) -> set[str]:
    # As where nobody tests: tests/startup passes over torch for everything that they start.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return set(done.stdout.split())


@pytest.mark.slow
def test_a_supervisor_opens_no_model_and_loads_no_library_of_numbers() -> None:
    loaded = loaded_by(SUPERVISOR)
    assert "gitml" in loaded
    assert not loaded & {"numpy", "pyarrow", "pandas", "scipy", "sklearn", "onnxruntime", "dvc", "uvicorn"}


@pytest.mark.nightly
@pytest.mark.slow
def test_an_agent_that_has_all_it_serves_loads_neither_dvc_nor_torch() -> None:
    loaded = loaded_by(CODE)
    assert {"gitml", "skops", "sklearn"} <= loaded
    assert not loaded & {"dvc", "torch", "starlette"}
