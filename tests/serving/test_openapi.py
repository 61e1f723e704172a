"""What the server says of itself in OpenAPI, held against what it does by schemathesis: of `serve` and of the agent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitml.agent.http import PATHS, Scope, with_agent
from gitml.models.model import Predictor
from gitml.serving.app import create_app
from gitml.serving.auth import Access, access, hashed
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from gitml.serving.wire import RequestError
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.writing import writing
from serving_server import VERSIONS, deployment

TOKEN = "a-token-of-some-caller"
CALLERS = {hashed(TOKEN): Access("somebody", frozenset({"predict", "explain", "labels", "events"}))}


@contextmanager
def running(model: Predictor, folder: Path, *, agent: bool) -> Iterator[str]:
    """`gitml serve --log`, or what an agent's server has in front of it as well, with tokens."""
    state = ServerState("production")
    state.swap(state.prepare("delay", deployment({VERSIONS[0]: model}), {VERSIONS[0]: model}))
    tokens = CALLERS if agent else {}

    def allowed(scope: Scope) -> bool:
        try:
            return bool(access(scope, tokens))
        except RequestError:
            return False

    with writing(str(folder), LogOrigin()) as writers:
        inner = create_app(state, writers.log, tokens=tokens, taken=writers.taken, described=PATHS if agent else None)
        app = with_agent(inner, lambda: {"models": []}, lambda: None, allowed=allowed) if agent else inner
        with serving(app, state, Listen(port=0, grace=1)) as server:
            yield server.url


# Lists of equal length, values that fit a tensor's datatype and shape, words that a strict request may hold, and times
# that have been are more than a schema says: what fits it may still be refused, with 400 or 422 and the reason.
_MORE_THAN_A_SCHEMA = "/infer$|/predict$|/events$|/labels$"


@pytest.mark.nightly
@pytest.mark.parametrize("agent", [False, True], ids=["serve", "agent"])
def test_schemathesis_finds_nothing(agent: bool, boosting: Predictor, tmp_path: Path) -> None:
    (tmp_path / "schemathesis.toml").write_text(
        "[checks]\npositive_data_acceptance.enabled = true\n"
        "negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]\n"
        f"[[operations]]\ninclude-path-regex = '{_MORE_THAN_A_SCHEMA}'\n"
        "checks.positive_data_acceptance.enabled = false\n"
    )
    with running(boosting, tmp_path / "log", agent=agent) as url:
        words = [
            "run",
            f"{url}/openapi.json",
            "--max-examples",
            "10",
            "--phases",
            "examples,coverage,fuzzing",
            "--seed",
            "1",
            "--no-color",
        ]
        words += ["-H", f"Authorization: Bearer {TOKEN}"] if agent else []
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml", *words],
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines())
