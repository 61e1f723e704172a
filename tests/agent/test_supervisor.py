"""The server's process: what it can reach, what becomes of the others when a model brings it down, what is believed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest

from agent.apart import Apart, apart, beside, deadly, sound
from deadly import ENDS, FAULTS, HANGS, RAISES, Looking
from gitml import landlock
from gitml.agent.childlog import SERVER_LOG
from gitml.agent.childprocess import ChildPatience
from gitml.errors import OutsideError

pytestmark = pytest.mark.slow


def lost(served: Apart, model: str) -> str:
    """Why a model was lost; waits for it."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for loss in served.supervisor.losses():
            if loss.model == model:
                return loss.reason
        time.sleep(0.02)
    raise AssertionError(served.notes)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("a", "word", "printed"),
    [
        pytest.param(ENDS, "exit code 3", "deadly: that was all", marks=pytest.mark.nightly),
        (FAULTS, "SIGSEGV", "Segmentation fault"),
    ],
)
def test_a_model_that_kills_its_process_takes_no_other_with_it(
    tmp_path: Path, a: float, word: str, printed: str
) -> None:
    with apart(tmp_path) as served:
        served.supervisor.serve(sound(tmp_path / "cache"))
        served.supervisor.serve(deadly(tmp_path / "cache"))
        served.supervisor.open()
        assert (served.ask("m"), served.ask("d")) == (6.0, 3.0)
        first = served.supervisor.pid
        with pytest.raises(httpx.HTTPError):
            served.ask("d", a)
        began = time.monotonic()
        assert served.ask("m") == 6.0
        assert time.monotonic() - began < 20
        assert served.supervisor.pid != first
        assert word in lost(served, "d")
        assert httpx.get(f"{served.url}/models/d").status_code == 404, "it is not loaded again by itself"
        assert "gitml_server_restarts 1.0" in httpx.get(f"{served.url}/metrics").text
        kept = tmp_path / SERVER_LOG
        assert any(f"it is started again; what it printed is in {kept}" in note for note in served.notes)
        assert printed in kept.read_text()
        state = httpx.get(f"{served.url}/gitml/state").json()
        assert (state["server"]["restarts"], word in state["server"]["last_end"]) == (1, True)
    assert not Path(f"/proc/{served.supervisor.pid}").exists()


def test_a_canary_that_fails_where_the_champion_answers_is_stopped_and_callers_see_no_error(tmp_path: Path) -> None:
    with apart(tmp_path, ChildPatience(look=0.1)) as served:
        woken = threading.Event()
        served.supervisor.wake = woken.set
        order = beside(tmp_path / "cache", 99.999)
        served.supervisor.serve(order)
        served.supervisor.open()
        assert served.ask("d") == 3.0
        assert [served.ask("d", RAISES) for _ in range(5)] == [-RAISES] * 5
        assert served.ask("d") == -3.0
        assert woken.wait(10)
        (stopped,) = served.supervisor.stopped_canaries().values()
        assert (stopped.version, "5 requests in a row failed" in stopped.reason) == (
            order.versions[1].record.version, True,
        )  # fmt: skip
    used = served.supervisor.used()
    told = {variant: (one.requests, one.errors) for (_, _, variant), one in used.counts.items()}
    assert told == {"champion": (6, 0), "canary": (6, 5)}, "the last ones too, which are asked for at the end"
    assert 0 < used.up <= used.watched
    assert used.cpu > 0
    assert used.memory > 1_000_000


@pytest.mark.nightly
def test_a_process_that_answers_nobody_is_ended_and_started_again(tmp_path: Path) -> None:
    with apart(tmp_path, ChildPatience(look=0.2, silent=2.0)) as served:
        served.supervisor.serve(sound(tmp_path / "cache"))
        served.supervisor.serve(deadly(tmp_path / "cache"))
        served.supervisor.open()

        def hang() -> None:
            with pytest.raises(httpx.HTTPError):
                served.ask("d", HANGS)

        hanging = threading.Thread(target=hang)
        hanging.start()
        assert "it did not answer within 2 s" in lost(served, "d")
        assert served.ask("m") == 6.0
        hanging.join(30)


@pytest.mark.nightly
def test_killed_from_outside_it_comes_back_with_all_that_it_served_and_keeps_its_port(tmp_path: Path) -> None:
    with apart(tmp_path) as served:
        served.supervisor.serve(sound(tmp_path / "cache"))
        served.supervisor.serve(sound(tmp_path / "cache", "n", 5.0))
        served.supervisor.open()
        for _ in range(2):
            os.kill(served.supervisor.pid or 0, signal.SIGKILL)
            assert (served.ask("m"), served.ask("n")) == (6.0, 15.0)
        assert served.supervisor.losses() == []


def test_it_has_no_key_and_reads_and_writes_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITML_SIGNING_KEY", "a key")
    monkeypatch.setenv("GITHUB_TOKEN", "a token")
    with apart(tmp_path, log=str(tmp_path / "log")) as served:
        served.supervisor.serve(sound(tmp_path / "cache"))
        served.supervisor.open()
        served.ask("m")
        process = Path(f"/proc/{served.supervisor.pid}")
        variables = {line.split(b"=")[0] for line in (process / "environ").read_bytes().split(b"\0") if line}
        assert variables <= {
            *(b"LC_ALL", b"OMP_NUM_THREADS", b"OPENBLAS_NUM_THREADS", b"MKL_NUM_THREADS", b"PATH", b"HOME", b"TMPDIR"),
            b"GITML_CLOCK",
        }
        opened = {os.readlink(link) for link in (process / "fd").iterdir()}
        files = {name for name in opened if name.startswith("/") and not name.startswith(str(tmp_path / "log"))}
        assert files <= {"/dev/null", "/dev/urandom", "/memfd:gitml-calls (deleted)"}, files
        assert b"a key" not in (process / "cmdline").read_bytes()
        status = (process / "status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "CapEff:\t0000000000000000" in status
    assert list((tmp_path / "log").rglob("*.parquet"))


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_code_in_it_reads_no_key_file_no_other_process_and_reaches_nobody(tmp_path: Path) -> None:
    secret = tmp_path / "agent.key"
    secret.write_text("a key")
    with apart(tmp_path) as served:
        served.supervisor.serve(deadly(tmp_path / "cache", model=Looking(str(secret), os.getpid(), served.url)))
        served.supervisor.open()
        assert served.ask("d", 9.0) == 1.0, "what is not closed to it"
        assert served.ask("d", 1.0) == 0.0, "a file of the same user"
        assert served.ask("d", 2.0) == 0.0, "this process's variables"
        assert served.ask("d", 3.0) == 0.0, "a connection"
        assert served.ask("d", 4.0) == 0.0, "a signal to this process"
        assert served.ask("d", 5.0) == 0.0, "a program"
        assert served.ask("d", 6.0) == 0.0, "a process that would outlive this one"


@pytest.mark.parametrize("lie", ["rubbish", "much", "often", "other", "unasked", "nan"])
def test_what_does_not_fit_or_was_not_asked_for_is_not_believed(tmp_path: Path, lie: str) -> None:
    with apart(tmp_path, ChildPatience(begin=20.0, load=20.0), program="lyingchild", secret=lie) as served:
        with pytest.raises(OutsideError) as raised:
            served.supervisor.serve(sound(tmp_path / "cache"))
        said = f"{raised.value} {' '.join(served.notes)}"
    words = {
        "rubbish": "it says what is no answer",
        "much": "more than",
        "often": "it says too much",
        "other": "other versions than it was told",
        "unasked": "it answers what nobody asked",
        "nan": "it says what is no answer",
    }
    assert words[lie] in said
