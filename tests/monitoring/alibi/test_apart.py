"""What is asked of the process that runs alibi-detect, here with a stand-in of a few lines in its place."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gitml import landlock
from gitml.errors import InconclusiveError
from gitml.monitoring.alibi.apart import AlibiAnswer, AlibiLimits, ask
from monitoring.alibi.standin import Stand, stand_in

ROWS = np.arange(6.0).reshape(3, 2)
LIMITS = AlibiLimits(seconds=20, memory=1 << 30)


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return partial(stand_in, tmp_path)


def asked(python: Path, limits: AlibiLimits = LIMITS) -> AlibiAnswer:
    return ask(python, python.parent / "income", ROWS, limits)


def test_numbers_come_back(stand: Stand) -> None:
    found = asked(stand())
    assert (found.detector, found.version, found.kind, found.rows) == ("Detector", "0.11.4", "drift", 3)
    assert (found.is_drift, found.p_val, found.distance, found.threshold) == (True, [0.25], [15.0], [0.05])
    assert found.permutations == 99


def test_rows_come_in_the_type_and_shape_of_the_reference(stand: Stand) -> None:
    predict = 'return {"data": {"is_drift": 0, "p_val": None, "distance": [*x.shape, x.dtype.itemsize]}}'
    found = asked(stand(predict, x_ref="np.zeros((4, 2, 1), dtype=np.float32)"))
    assert found.distance == [3.0, 2.0, 1.0, 4.0]
    assert found.p_val == found.threshold == []


def test_nan_is_no_number(stand: Stand) -> None:
    assert asked(stand('return {"data": {"is_drift": 0, "p_val": [float("nan"), 1], "distance": 0}}')).p_val == [
        None,
        1,
    ]


def test_an_online_detector_sees_row_by_row(stand: Stand) -> None:
    predict = 'return {"data": {"is_drift": x[0] > 1, "test_stat": x[0], "threshold": 1.0}}'
    found = asked(stand(predict, meta='{"online": True}'))
    assert (found.kind, found.is_drift, found.first, found.distance) == ("online", True, 1, [4.0])


def test_outliers_are_a_share(stand: Stand) -> None:
    found = asked(stand('return {"data": {"is_outlier": x[:, 0] > 3}}', meta='{"detector_type": "outlier"}'))
    assert (found.kind, found.is_drift, found.distance) == ("outlier", False, [pytest.approx(1 / 3)])


@pytest.mark.parametrize(
    ("predict", "said"),
    [
        ('raise ValueError("no such column")', "ValueError: no such column"),
        ("import os; os._exit(3)", "exit code 3"),
        ("import os; os.abort()", "SIGABRT"),
        ("x = bytearray(8 << 30)", "MemoryError"),
        ('return {"data": {"is_drift": 0, "p_val": [0.0] * 5000}}', ""),
        ('import os; os.write(1, b"x" * 10); os.write(3, b"{}\\n"); os._exit(0)', "without an answer"),
    ],
)
def test_what_goes_wrong_there_is_said_here(stand: Stand, predict: str, said: str) -> None:
    if not said:
        assert len(asked(stand(predict)).p_val) == 2000
        return
    with pytest.raises(InconclusiveError, match="income") as refused:
        asked(stand(predict))
    assert said in refused.value.message


@pytest.mark.slow
@pytest.mark.nightly
def test_it_ends_at_the_deadline(stand: Stand) -> None:
    began = time.monotonic()
    with pytest.raises(InconclusiveError, match="not done within 2 s"):
        asked(stand("import time; time.sleep(60)"), AlibiLimits(seconds=2, memory=1 << 30))
    assert time.monotonic() - began < 10


closed = pytest.mark.skipif(not landlock.version(), reason="a kernel without Landlock leaves it what its user may read")


@closed
def test_it_reads_nothing_of_its_user_and_writes_nowhere_else(stand: Stand, tmp_path: Path) -> None:
    """Not a file in a home, not the variables of another process, which say how to reach the traffic."""
    secret, written = tmp_path / "secret", tmp_path / "written"
    secret.write_text("secret")
    predict = f"""import errno
        def tried(path, mode="rb"):
            try:
                with open(path, mode) as stream: return len(stream.read(9)) if mode == "rb" else 0
            except OSError as exc: return -exc.errno
        found = [tried("{secret}"), tried("/proc/{os.getpid()}/environ"), tried("{written}", "wb"), tried("rows", "wb")]
        return {{"data": {{"is_drift": 0, "distance": found}}}}"""
    assert asked(stand(predict)).distance == [-13.0, -13.0, -13.0, 0.0]
    assert not written.exists()


@closed
def test_it_starts_nothing_and_ends_nobody(stand: Stand) -> None:
    """What it started in a session of its own would outlive it."""
    predict = f"""import os
        def kept(act):
            try: act()
            except PermissionError: return 1
            return 0
        acts = [os.fork, lambda: os.execv("/bin/sh", ["sh", "-c", "true"]), lambda: os.kill({os.getpid()}, 0)]
        return {{"data": {{"is_drift": 0, "distance": [kept(act) for act in acts]}}}}"""
    assert asked(stand(predict)).distance == [1.0, 1.0, float(landlock.version() >= landlock.SIGNALS)]


def test_it_inherits_no_secret_no_network_and_no_folder(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITML_KEY", "secret")
    predict = """import os, socket
        try:
            with socket.create_connection(("127.0.0.1", 22), 1): reached = 1
        except OSError as exc:
            reached = exc.errno
        found = ["GITML_KEY" in os.environ, os.getcwd() == os.environ["HOME"], reached]
        return {"data": {"is_drift": 0, "distance": found}}"""
    found = asked(stand(predict))
    assert found.distance[:2] == [0.0, 1.0]
    assert not found.offline or found.distance[2] in (13.0, 101.0, 111.0)  # not allowed, unreachable, not there
