"""From a server to a verdict: what the server writes is what the reference counts."""

from __future__ import annotations

import json
import re
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest

from gitml import clock
from gitml.inference.monitor import MonitorCall, monitor
from gitml.inference.serve import ServeOptions, serve
from gitml.monitoring.reference import Part, write
from gitml.serving.server import Listen
from monitoring.watched_world import GITML, deploy
from serving_models import SIGNATURE, columns, fitted, saved


@pytest.mark.nightly
@pytest.mark.slow
def test_requests_of_a_server_are_quiet_and_its_strange_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted("boosting")
    saved(model, tmp_path / "m.skops")
    trained = columns(20_000, seed=5)
    answers = pd.DataFrame({"p_late": model.predict_proba(trained)[:, 1]})
    inputs = [field["name"] for field in SIGNATURE["inputs"]]
    write(tmp_path / "reference.json", Part(trained, inputs), Part(answers, ("p_late",)))
    (tmp_path / "signature.json").write_text(json.dumps(SIGNATURE))
    (tmp_path / "gitml.yaml").write_text(GITML.replace("m.onnx", "m.skops").replace("TRAFFIC", str(tmp_path / "log")))
    deploy(tmp_path, "m.skops", SIGNATURE)
    start = clock.now() - timedelta(minutes=1)
    distances: list[dict[str, float]] = []

    def ask(rows: pd.DataFrame) -> None:
        with serve(tmp_path, "delay@production", ServeOptions(Listen(port=0), log=str(tmp_path / "log"))) as trial:
            told = {name: [None if pd.isna(v) else v for v in rows[name].tolist()] for name in rows}
            answer = httpx.post(f"{trial.running.url}/models/delay/predict", json={"columns": told}, trust_env=False)
            assert answer.status_code == 200, answer.text
            distances.append(live(trial.running.url))

    def live(url: str) -> dict[str, float]:
        """The gauges of the columns, as soon as the rows are counted."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            text = httpx.get(f"{url}/metrics", trust_env=False).text
            if found := re.findall(r'gitml_live_distance{column="(\w+)",model="delay",version="[^"]+"} (\S+)', text):
                assert "gitml_live_rows" in text
                return {column: float(distance) for column, distance in found}
            time.sleep(0.1)
        raise AssertionError("the rows were never counted")

    def look() -> dict[str, list[str]]:
        with monkeypatch.context() as turned:  # what was written counts a little later
            (tmp_path / "clock").write_text("2h")
            turned.setenv(clock.VARIABLE, str(tmp_path / "clock"))
            call = MonitorCall(str(tmp_path / "log"), since=start, until=start + timedelta(minutes=30))
            (found,) = monitor(tmp_path, call)
        assert found.rows
        return {"quality": [str(b) for b in found.breaches], "drift": [c.column for c in found.columns if c.drifted]}

    ask(columns(900, seed=6))
    assert look() == {"quality": [], "drift": []}
    ask(columns(900, seed=7).assign(distance=9000, age=None))
    ask(columns(900, seed=8).assign(distance=9000, age=None))
    assert max(distances[0].values()) < 0.08
    assert distances[1]["distance"] > 0.9
    assert distances[1]["carrier"] < 0.08
    found = look()
    assert set(found["drift"]) == {"distance", "age", "p_late"}
    assert [breach.split(", ")[0] for breach in found["quality"]][1:] == ["age: missing: 72.2%"]
    assert "far above; 66.7% outside" in found["quality"][0]
