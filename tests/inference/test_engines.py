"""What every engine of batches promises, on each of them: here, and on Spark, Ray and Flink as they are."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import psutil
import pyarrow.dataset as dataset
import pyarrow.parquet as parquet
import pytest

from conftest import write
from gitml.engines import ENGINES
from gitml.engines.java import java_environment
from gitml.errors import IntegrityError, OutsideError, SpecError, UsageError
from gitml.inference import score as scoring
from gitml.inference.score import ScoreCall, score
from gitml.inference.scoreengine import EngineWish, settings_for
from gitml.inference.scorefiles import MANIFEST, REJECTED
from gitml.inference.scorepacked import PackedScoring
from gitml.spec import load_application
from gitml.spec.batchrun import BatchEngine
from inference.clusters import python_of
from scorekit import APPLICATION, expected, register, rows
from serving_models import fitted, saved

HEAVY = [pytest.mark.engines, pytest.mark.nightly, pytest.mark.slow, pytest.mark.timeout(900)]
ALL = [
    "local",
    *(pytest.param(n, marks=HEAVY) for n in ("spark", "spark standalone", "ray", "flink", "flink standalone")),
]
CLUSTERS = ALL[1:]
# What the process of a worker is called: a fork of Spark's daemon, and what Ray renames its own to.
WORKERS = {"spark": "pyspark.daemon", "ray": "ray::_Worker", "flink": "gitml.engines.flinkworker import serve"}


@dataclass(frozen=True)
class Application:
    root: Path
    data: Path
    output: Path

    def score(self, engine: EngineWish, reference: str = "delay", **changes: object) -> scoring.Result:
        told = ScoreCall(**{"input": str(self.data), "output": str(self.output), "engine": engine, **changes})
        return score(self.root, reference, told)

    def files(self, count: int, times: int) -> None:
        for number in range(count):
            table = pd.concat([rows(100, number)] * times)
            table.to_parquet(self.data / f"{number:02}.parquet")

    def newer_version(self) -> None:
        """From now on the model has another newest version, with other answers."""
        artifact = self.root / "artifacts/delay/newer.skops"
        if not artifact.exists():
            saved(fitted("onehot"), artifact)
            register(self.root, artifact, "2026-02-01T00:00:00Z")


@pytest.fixture
def app(tmp_path: Path) -> Application:
    made = Application(tmp_path / "app", tmp_path / "données 数据", tmp_path / "wyniki [ł]")
    write(made.root, {"gitml.yaml": APPLICATION})
    artifact = made.root / "artifacts/delay/model.skops"
    artifact.parent.mkdir(parents=True)
    saved(fitted("boosting"), artifact)
    register(made.root, artifact, "2026-01-01T00:00:00Z")
    made.data.mkdir()
    return made


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> EngineWish:
    name, _, kind = request.param.partition(" ")
    if name == "local":
        return EngineWish(name)
    wish = EngineWish(name, workers=2, python=python_of(name))
    if not kind:
        return wish
    if name == "flink":
        return replace(wish, master=request.getfixturevalue("flink_cluster"))
    return replace(wish, master=request.getfixturevalue("standalone"), memory="512m")


@pytest.mark.parametrize("engine", ALL, indirect=True)
def test_rows_answers_and_rejects_are_the_same_on_all_and_nothing_is_done_twice(
    app: Application, engine: EngineWish
) -> None:
    app.files(2, 1)
    shutil.copy(app.data / "00.parquet", app.data / "été [00] {a}%20.parquet")  # the same rows under another name
    rows(0, 3).to_parquet(app.data / "none.parquet")
    wrong = rows(100, 2).astype({"distance": "Int64"})
    wrong.loc[[3, 98], "distance"] = None
    wrong.to_parquet(app.data / "wrong.parquet")
    heard: list[int] = []
    result = app.score(engine, reject=True, tell=heard.append, say=lambda _: app.newer_version())
    table = pd.concat([expected(0, 0, 1), expected(2).drop([3, 98])]).sort_values("flight", ignore_index=True)
    scored = scores_of(app)
    assert list(scored["flight"]) == list(table["flight"])
    np.testing.assert_allclose(scored["p_late"], table["p_late"], rtol=0, atol=1e-9)
    assert (result.rows, result.rejected, sum(heard)) == (398, 2, 400)
    assert parquet.read_table(app.output / "none.parquet").num_rows == 0
    left_out = parquet.read_table(app.output / REJECTED / "wrong.parquet").to_pydict()
    assert left_out["gitml_row"] == [3, 98]
    assert left_out["flight"] == ["2-0003", "2-0098"], "the row as it was"
    assert left_out["gitml_reason"] == ["distance: expected a whole number, got null"] * 2
    manifest = json.loads((app.output / MANIFEST).read_text())
    assert (manifest["rows"], manifest["rejected"], len(manifest["files"])) == (398, 2, 5)

    with pytest.raises(UsageError, match="holds scores with version 20260101T000000Z"):
        app.score(engine, reject=True)
    again = app.score(engine, f"delay@{result.record.version}", reject=True)
    assert (len(again.scored), len(again.before), again.rows, again.rejected) == (0, 5, 398, 2)


@pytest.mark.parametrize("engine", CLUSTERS, indirect=True)
def test_a_wrong_row_without_reject_ends_it_with_its_file_and_row(app: Application, engine: EngineWish) -> None:
    app.files(1, 1)
    wrong = rows(100, 2).astype({"distance": "Int64"})
    wrong.loc[3, "distance"] = None
    wrong.to_parquet(app.data / "wrong.parquet")
    with pytest.raises(UsageError, match=r"wrong\.parquet: distance in row 3"):
        app.score(engine)
    assert not (app.output / "wrong.parquet").exists()
    assert not (app.output / MANIFEST).exists()


@pytest.mark.parametrize("engine", CLUSTERS, indirect=True)
def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(app: Application, engine: EngineWish) -> None:
    app.files(12, 500)
    killed: list[psutil.Process] = []
    python: list[str] = []

    def kill(_: object) -> None:
        if not killed:
            killed.append(one_worker(WORKERS[engine.name]))
            python.extend(killed[0].cmdline()[:1])
            killed[0].kill()

    result = app.score(engine, say=kill)
    assert python == [engine.python] or engine.name == "ray", "workers run in the engine's environment"
    assert (len(result.scored), result.rows) == (12, 600_000)
    assert_each_row_once(app, 12, 500)


@pytest.mark.parametrize("engine", CLUSTERS, indirect=True)
def test_an_engine_that_is_killed_leaves_whole_files_and_the_next_call_goes_on(
    app: Application, engine: EngineWish
) -> None:
    app.files(12, 500)
    children: list[psutil.Process] = []
    listening: set[str] = set()

    def kill(_: object) -> None:
        if children:  # what it had told before it was killed is still read
            return
        host = first_below("gitml.engines.host", lambda p: p.ppid() == os.getpid())
        # Stopped, it hands out no more files while it is looked at: Ray's many processes take a while.
        host.suspend()
        children.extend(host.children(recursive=True))
        listening.update(address_of(c) for p in (host, *children) for c in connections_of(p) if c.status == "LISTEN")
        host.kill()

    with pytest.raises(OutsideError, match="ended before all was done"):
        app.score(engine, say=kill)
    before = len(list((app.output / "_gitml/files").glob("*.json")))
    assert 1 <= before < 12
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive, "what it had started outlives it"
    assert listening == {"127.0.0.1"}, "other machines do not reach it"
    first = json.loads((app.output / "_gitml/run.json").read_text())["version"]
    app.newer_version()
    with pytest.raises(UsageError, match="holds scores with version"):
        app.score(engine)
    result = app.score(engine, f"delay@{first}")
    assert (len(result.before), len(result.scored)) == (before, 12 - before)
    assert_each_row_once(app, 12, 500)


@pytest.mark.parametrize("engine", CLUSTERS[1:2], indirect=True)
def test_workers_of_another_machine_get_the_environment_sent(app: Application, engine: EngineWish) -> None:
    batch = f"run: {{batch: {{engine: spark, master: '{engine.master}', memory: 512m, packed: true}}}}"
    write(app.root, {"gitml.yaml": APPLICATION.replace("{origin", "{" + batch + ", origin")})
    app.files(1, 1)
    seen: list[str] = []
    daemon = WORKERS["spark"]
    result = app.score(EngineWish(python=engine.python), say=lambda _: seen.extend(one_worker(daemon).cmdline()))
    assert result.rows == 100
    assert seen[0] == "./environment/bin/python"


def connections_of(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections("tcp"))
    except psutil.Error:
        return []


def address_of(connection: Any) -> str:
    return str(connection.laddr.ip).removeprefix("::ffff:")


def below_this_one(name: str) -> Iterator[psutil.Process]:
    """Processes that are called so."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if name in " ".join(process.cmdline()):
                yield process


def one_worker(name: str) -> psutil.Process:
    """One that has no child of its own: it works, and starts nothing."""
    return first_below(name, lambda p: not p.children())


def first_below(name: str, is_it: Callable[[psutil.Process], bool]) -> psutil.Process:
    """Looked for again and again: Ray renames processes while they work, and a name may be half written."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for process in below_this_one(name):
            with suppress(psutil.Error):
                if is_it(process):
                    return process
    raise AssertionError(f"there is no {name}")


def scores_of(app: Application) -> pd.DataFrame:
    """As readers of data sets see the folder: without notes and rejected rows."""
    return dataset.dataset(app.output, format="parquet").to_table().to_pandas().sort_values("flight", ignore_index=True)


def assert_each_row_once(app: Application, files: int, times: int) -> None:
    counts = scores_of(app)["flight"].value_counts()
    assert len(counts) == files * 100
    assert set(counts) == {times}
    assert not [p for p in app.output.rglob("*.tmp") if p.is_file()]


def packed_scoring(app: Application, monkeypatch: pytest.MonkeyPatch) -> PackedScoring:
    """What would go to the workers of a cluster."""
    seen: list[PackedScoring] = []
    real: Callable[..., PackedScoring] = scoring.packed

    def kept(*given: object) -> PackedScoring:
        seen.append(real(*given))
        raise KeyboardInterrupt

    app.files(1, 1)
    monkeypatch.setattr(scoring, "packed", kept)
    with pytest.raises(KeyboardInterrupt):
        app.score(EngineWish("spark", python="/usr/bin/false"))
    return seen[0]


def test_a_worker_checks_the_digest_of_what_came_before_it_loads_it(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = packed_scoring(app, monkeypatch)
    shutil.rmtree(app.root)
    assert sent().model.digest == sent.scoring.record.files[sent.scoring.record.artifact].sha256, "without the clone"
    damaged = {digest: content[:-1] + b"x" for digest, content in sent.files.items()}
    with pytest.raises(IntegrityError, match="SHA-256"):
        replace(sent, files=damaged)()
    with pytest.raises(IntegrityError, match="did not come along"):
        replace(sent, files={})()


def test_an_engine_that_cannot_start_is_said_with_its_last_words(app: Application) -> None:
    app.files(1, 1)
    with pytest.raises(OutsideError, match=r"spark ended before .* perhaps it was killed") as caught:
        app.score(EngineWish("spark", python=shutil.which("false") or ""))
    assert "goes on" in caught.value.hint


def test_gitml_yaml_names_the_engine_by_environment_and_the_call_goes_before_it(app: Application) -> None:
    batch = (
        "run: {batch: {workers: 3}, environments: {production: {engine: spark, master: 'spark://h:7077', memory: 4g}}}"
    )
    text = APPLICATION.replace("{origin", "{" + batch + ", origin")
    write(app.root, {"gitml.yaml": text})
    run = load_application(app.root).models["delay"].run
    assert settings_for(EngineWish(), run, "").workers == 3
    told = settings_for(EngineWish(python="p"), run, "production")
    assert (told.name, told.master, told.memory) == ("spark", "spark://h:7077", "4g")
    called = settings_for(EngineWish("ray", python="p"), run, "production")
    assert (called.name, called.master, called.memory) == ("ray", "", ""), "the master of Spark is not one of Ray"
    with pytest.raises(UsageError, match="no size of memory"):
        settings_for(EngineWish("ray", memory="4 GB", python="p"), run, "")
    with pytest.raises(UsageError, match="no engine sparc"):
        settings_for(EngineWish("sparc"), run, "")
    write(app.root, {"gitml.yaml": text.replace("workers: 3", "master: 'spark://h:7077'")})
    with pytest.raises(SpecError, match="`local` has no master"):
        load_application(app.root)
    assert set(get_args(BatchEngine)) == set(ENGINES)


def test_without_java_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(UsageError, match="no java on PATH") as caught:
        java_environment("spark")
    assert "apt-get install" in caught.value.hint
    old = tmp_path / "bin" / "java"
    write(tmp_path, {"bin/java": "#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n"})
    os.chmod(old, 0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="is 8"):
        java_environment("flink")
