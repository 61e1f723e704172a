"""Models that hang, eat the memory or bring their process down: refused in time, and nothing else comes to harm."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from gitml import landlock
from gitml.errors import GitmlError, InconclusiveError, IntegrityError
from gitml.models.quarantine import Quarantine, QuarantineLimits, can_go_offline
from serving_models import SIGNATURE, fitted, onnx_loop, onnx_model, saved

pytestmark = pytest.mark.slow
ONE = {"inputs": [{"name": "x", "type": "float64"}], "outputs": [{"name": "y", "type": "float64"}]}


@pytest.fixture(scope="module")
def quarantine() -> Iterator[Quarantine]:
    with Quarantine(QuarantineLimits(seconds=3, memory=1 << 30)) as made:
        yield made


def tried(quarantine: Quarantine, path: Path, form: str, signature: Any = None, **more: Any) -> None:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    quarantine.try_load(path, form, signature or SIGNATURE, sha256=sha256, **more)


@pytest.mark.nightly
def test_a_loop_without_end_is_refused_at_the_deadline(quarantine: Quarantine, tmp_path: Path) -> None:
    tried(quarantine, onnx_loop(tmp_path / "short.onnx", 3), "onnx", ONE)
    endless = onnx_loop(tmp_path / "endless.onnx", 1 << 62)
    assert endless.stat().st_size < 400
    began = time.monotonic()
    with pytest.raises(InconclusiveError, match="did not answer, within 3 s"):
        tried(quarantine, endless, "onnx", ONE)
    assert time.monotonic() - began < 15
    tried(quarantine, onnx_loop(tmp_path / "short.onnx", 3), "onnx", ONE)


def test_a_model_that_wants_all_memory_is_refused(quarantine: Quarantine, tmp_path: Path) -> None:
    number = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"], value=helper.make_tensor("v", 11, [1], [0.0])),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Add", ["x", "sum"], ["y"]),
        ],
        "g",
        [number("x", TensorProto.DOUBLE, [None, 1])],
        [number("y", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor("size", TensorProto.INT64, [1], [1 << 32])],
    )
    path = tmp_path / "large.onnx"
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(made.SerializeToString())
    with pytest.raises(GitmlError):
        tried(quarantine, path, "onnx", ONE)


class Code:
    """Runs when it is unpickled: what a model does that broke out of its format."""

    def __init__(self, words: str) -> None:
        self.words = words

    def __reduce__(self) -> Any:
        return exec, (self.words,)


def runs(quarantine: Quarantine, folder: Path, words: str) -> str:
    """What went wrong with a model that runs ``words``."""
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(Code(words)))
    with pytest.raises(GitmlError) as caught:
        tried(quarantine, path, "pickle", allow_pickle=True)
    return str(caught.value)


def test_a_model_that_brings_its_process_down_brings_nothing_else_down(quarantine: Quarantine, tmp_path: Path) -> None:
    assert "SIGABRT" in runs(quarantine, tmp_path, "import os; os.abort()")
    assert "exit code 7" in runs(quarantine, tmp_path, "import os; os._exit(7)")
    tried(quarantine, onnx_model(tmp_path / "m.onnx")[0], "onnx", onnx_model(tmp_path / "m.onnx")[1])


def told(quarantine: Quarantine, folder: Path, expression: str) -> str:
    words = f"import os; from gitml.errors import IntegrityError; raise IntegrityError(str({expression}))"
    return runs(quarantine, folder, words)


def test_nothing_is_inherited(quarantine: Quarantine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITML_SIGNING_KEY", "secret")
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        with Quarantine() as fresh:
            names = told(
                fresh,
                tmp_path,
                "sorted(x.partition('=')[0] for x in open('/proc/self/environ').read().split('\\0') if x)",
            )
            assert names == "['LC_ALL', 'MKL_NUM_THREADS', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS']"
            files = "[os.readlink(f'/proc/self/fd/{n}') for n in range(30) if os.path.exists(f'/proc/self/fd/{n}')]"
            found = told(fresh, tmp_path, files)
            assert str(tmp_path / "open") not in found
            assert found.count("pipe:") <= 1
            assert told(fresh, tmp_path, "os.getcwd()") == "/"


def test_no_file_is_written(quarantine: Quarantine, tmp_path: Path) -> None:
    runs(quarantine, tmp_path, f"open({str(tmp_path / 'left')!r}, 'w').write('x' * 100000)")
    assert not (tmp_path / "left").exists() or (tmp_path / "left").stat().st_size == 0


@pytest.mark.skipif(not can_go_offline(), reason="this kernel gives no network namespaces")
def test_there_is_no_network(quarantine: Quarantine, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        said = runs(quarantine, tmp_path, f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")
    assert any(word in said.lower() for word in ("unreachable", "refused", "denied"))
    packet = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    assert "unreachable" in runs(quarantine, tmp_path, packet).lower()
    assert quarantine.offline is True


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_it_reads_no_file_but_its_own_and_starts_no_program(quarantine: Quarantine, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    assert "Permission denied" in runs(quarantine, tmp_path, f"open({str(tmp_path / 'key')!r}).read()")
    assert "Permission denied" in runs(quarantine, tmp_path, "import subprocess; subprocess.run(['/bin/true'])")


def test_what_a_load_says_comes_through(quarantine: Quarantine, tmp_path: Path) -> None:
    path = saved(fitted("boosting"), tmp_path / "model.skops")
    tried(quarantine, path, "skops")
    with pytest.raises(IntegrityError, match="not the model that was approved") as caught:
        quarantine.try_load(path, "skops", SIGNATURE, sha256="0" * 64)
    assert caught.value.hint


def test_a_host_that_was_killed_is_started_again(tmp_path: Path) -> None:
    path, signature = onnx_model(tmp_path / "m.onnx")
    with Quarantine() as made:
        tried(made, path, "onnx", signature)
        assert made._host
        made._host.kill()
        made._host.wait()
        tried(made, path, "onnx", signature)


def test_no_host_is_left_behind(tmp_path: Path) -> None:
    path, signature = onnx_model(tmp_path / "m.onnx")
    with Quarantine() as made:
        tried(made, path, "onnx", signature)
        assert made._host
        number = made._host.pid
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
