"""`gitml serve` as a process: a version on loopback, ended by a signal without a failed request."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow.dataset as dataset
import pytest

from conftest import write
from gitml.engines.places import place_of
from gitml.errors import IntegrityError
from gitml.inference.serve import ServeOptions, serve
from gitml.registry import Record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, name_of
from gitml.serving.router import route
from gitml.serving.server import Listen
from gitml.spec import load_deployment
from serving_models import SIGNATURE, fitted, saved
from serving_server import ROW

APPLICATION = """\
application: flights
models:
  delay: {origin: external, artifact: model.skops, metrics: metrics.json}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("app")
    write(root, {"gitml.yaml": APPLICATION})
    artifact = saved(fitted("boosting"), root / "model.skops")
    register(root, "delay", artifact)
    return root


def register(root: Path, model: str, artifact: Path, signature: dict[str, Any] = SIGNATURE) -> Record:
    sha256 = hashlib.sha256(artifact.read_bytes()).hexdigest()
    digest, created = external_digest(model, sha256, "here"), "2026-01-01T00:00:00Z"
    record = Record(
        model=model, version=name_of(digest, created), digest=digest, created=created, origin="external", source="here",
        artifact=artifact.name, files={artifact.name: File(sha256=sha256, size=artifact.stat().st_size)},
        signature=signature,
    )  # fmt: skip
    write_record(root, record)
    return record


@contextmanager
def served(root: Path, *words: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "gitml", "-C", str(root), "serve", "delay", "--port", "0", *words]
    # Buffered, as where nobody asks Python for anything else.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env) as process:
        try:
            assert process.stdout
            line = process.stdout.readline().decode()
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert found, (process.stderr.read() if process.stderr else b"").decode()
            yield found[0], process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_version_is_served_logged_and_ended_cleanly(app: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("# who may call\nreports  6f1c0a4f9b2d4e7f8a3b\n")
    with served(app, "--log", str(tmp_path / "log"), "--tokens", str(tokens)) as (url, process):
        asked = {"rows": [ROW], "id": "one"}
        assert httpx.post(f"{url}/models/delay/predict", json=asked, trust_env=False).status_code == 401
        headers = {"Authorization": "Bearer 6f1c0a4f9b2d4e7f8a3b"}
        answer = httpx.post(f"{url}/models/delay/predict", json=asked, headers=headers, trust_env=False)
        assert answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    # What the process kept is whole although it ended at once.
    files = [str(p) for p in (tmp_path / "log").rglob("*.parquet")]
    table = dataset.dataset(files).to_table().to_pylist()
    assert [(row["request_id"], row["output_p_late"]) for row in table] == [
        ("one", answer.json()["outputs"]["p_late"][0])
    ]


def test_an_ensemble_finds_its_members_by_pin(tmp_path: Path) -> None:
    application = APPLICATION + "".join(
        f"  {name}: {{origin: external, artifact: {name}.{end}, format: {form}, metrics: {name}.json}}\n"
        for name, end, form in (("other", "skops", "skops"), ("blend", "yaml", "ensemble"))
    )
    write(tmp_path, {"gitml.yaml": application.replace("model.skops", "delay.skops")})
    pipelines = {"delay": fitted("boosting"), "other": fitted("onehot")}
    records = [register(tmp_path, name, saved(p, tmp_path / f"{name}.skops")) for name, p in pipelines.items()]
    lines = [f"  - {{model: {r.model}, version: {r.version}, digest: '{r.files[r.artifact].sha256}'}}" for r in records]
    write(tmp_path, {"blend.yaml": "\n".join(["ensemble: mean", "members:", *lines])})
    register(tmp_path, "blend", tmp_path / "blend.yaml")
    with serve(tmp_path, "blend", ServeOptions(Listen(port=0))) as trial:
        answer = httpx.post(f"{trial.running.url}/models/blend/predict", json={"rows": [ROW]}, trust_env=False).json()
    wanted = np.mean([p.predict_proba(pd.DataFrame([ROW]))[0, 1] for p in pipelines.values()])
    assert answer["outputs"]["p_late"] == [pytest.approx(wanted, abs=1e-12)]


def test_an_environment_is_served_as_its_file_says(tmp_path: Path) -> None:
    write(tmp_path, {"gitml.yaml": APPLICATION})
    names = ("boosting", "onehot", "target")
    champion, canary, shadow = (register(tmp_path, "delay", saved(fitted(n), tmp_path / f"{n}.skops")) for n in names)

    def pin(record: Record) -> str:
        return f"version: {record.version}, digest: '{record.files[record.artifact].sha256}'"

    desired = f"champion: {{{pin(champion)}}}\ncanary: {{{pin(canary)}, weight: 30}}\nshadow: [{{{pin(shadow)}}}]\n"
    write(tmp_path, {"models/delay/production.yaml": desired})
    wanted = load_deployment(tmp_path / "models/delay/production.yaml")
    units = {f"N{n}": route(wanted, f"N{n}", model="delay", environment="production") for n in range(60)}
    assert set(units.values()) == {"champion", "canary"}
    log = tmp_path / "log"
    with (
        serve(tmp_path, "delay@production", ServeOptions(Listen(port=0), str(log))) as trial,
        httpx.Client(trust_env=False) as c,
    ):
        for unit, variant in units.items():
            answer = c.post(f"{trial.running.url}/models/delay/predict", json={"rows": [ROW], "unit": unit})
            assert answer.headers["gitml-variant"] == variant
            assert answer.headers["gitml-version"] == {"champion": champion, "canary": canary}[variant].version
    logged = dataset.dataset([str(p) for p in log.rglob("*.parquet")]).to_table().to_pylist()
    assert {row["version"] for row in logged if row["arm"] == "shadow"} == {shadow.version}
    write(tmp_path, {"models/delay/production.yaml": desired.replace(canary.files["onehot.skops"].sha256, "0" * 64)})
    with (
        pytest.raises(IntegrityError, match="pinned with the artifact"),
        serve(tmp_path, "delay@production", ServeOptions()),
    ):
        pass


def test_an_object_store_keeps_the_log_and_this_machine_what_it_has_not_taken_yet(app: Path) -> None:
    target = "memory://serve-test/log"
    with serve(app, "delay", ServeOptions(Listen(port=0), target)) as trial:
        answer = httpx.post(f"{trial.running.url}/models/delay/predict", json={"rows": [ROW]}, trust_env=False)
        assert answer.status_code == 200
        spool = app / ".dvc/tmp/gitml/log"
        assert spool.is_dir()
    assert len(place_of(f"{target}/predictions").files()) == 1


@pytest.mark.nightly
def test_a_changed_artifact_is_not_served(app: Path, tmp_path: Path) -> None:
    copy = tmp_path / "app"
    for path in app.rglob("*"):
        if path.is_file():
            write(copy, {path.relative_to(app).as_posix(): ""})
            (copy / path.relative_to(app)).write_bytes(path.read_bytes())
    (copy / "model.skops").write_bytes(b"PK\x03\x04 something else")
    command = [sys.executable, "-m", "gitml", "-C", str(copy), "serve", "delay", "--port", "0"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 4
    assert b"delay@" in done.stderr
