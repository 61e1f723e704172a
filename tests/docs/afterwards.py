"""What a page says of servers, tried in the folder that its commands leave: a page cannot wait for one to end."""

from __future__ import annotations

from pathlib import Path

import httpx
import pandas as pd
import pytest

from conftest import gitml, write
from gitml.git.tree import WorkTree
from gitml.inference.serve import ServeOptions, serve
from gitml.refs import parse
from gitml.registry import Record, resolve
from gitml.serving.server import Listen


def an_ensemble_answers(folder: Path) -> None:
    """The ensemble alone, and as its file for an environment says; its answers are those of its sample rows."""
    record = resolve(WorkTree(folder), parse("blend"), ["blend", "delay", "linear"])
    rows = pd.read_parquet(folder / "artifacts/blend/samples.parquet").head(20)
    write(folder, {"models/blend/staging.yaml": f"champion: {_pin(record)}\n"})
    checked = gitml(folder, "check")
    assert checked.code == 0, checked.out
    for reference in ("blend", "blend@staging"):
        with serve(folder, reference, ServeOptions(Listen(port=0))) as trial:
            assert _asked(trial.running.url, rows) == pytest.approx(rows["p_late"].tolist(), abs=1e-9)


def _pin(record: Record) -> str:
    return f"{{version: {record.version}, digest: '{record.files[record.artifact].sha256}'}}"


def _asked(url: str, rows: pd.DataFrame) -> list[float]:
    columns = {name: [None if pd.isna(v) else v for v in rows[name].tolist()] for name in rows if name != "p_late"}
    answer = httpx.post(f"{url}/models/blend/predict", json={"columns": columns}, trust_env=False)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["outputs"]["p_late"])


AFTERWARDS = {"docs/how-to/build-an-ensemble.md": an_ensemble_answers}
