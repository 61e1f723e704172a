"""Which device a network is computed on, and that the answers are the same there. No test has seen a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import write
from gitml import gpus
from gitml.agent.confinement import Confinement
from gitml.models.devices import gpu, reported
from gitml.models.network import Activation, LayerNorm, Linear
from gitml.models.safetensorsmodel import layers_on_cores
from gitml.models.torchnetwork import computed


@pytest.mark.nightly
def test_torch_answers_on_its_device_as_numpy_does_on_cores() -> None:
    drawn = np.random.default_rng(0)
    weights = {
        name: drawn.normal(size=size).astype(np.float32) for name, size in {"b": 8, "s": 8, "t": 8, "e": 3}.items()
    }
    turned = {
        name: drawn.normal(size=size).astype(np.float32)
        for name, size in {"w": (5, 8), "v": (8, 8), "u": (8, 3)}.items()
    }
    layers = [
        Linear(kind="linear", weight="w", bias="b"), Activation(kind="relu"),
        LayerNorm(kind="layer_norm", weight="s", bias="t"),
        Linear(kind="linear", weight="v"), Activation(kind="silu"), Activation(kind="tanh"),
        Linear(kind="linear", weight="u", bias="e"),
    ]  # fmt: skip
    rows = drawn.normal(size=(20_000, 5)).astype(np.float32)
    for last in ("sigmoid", "softmax"):
        all_of_them = [*layers, Activation(kind=last)]
        on_device = computed(all_of_them, weights, turned, "cpu")
        on_cores = layers_on_cores(all_of_them, weights, turned)
        np.testing.assert_allclose(on_device(rows), on_cores(rows), rtol=0, atol=1e-6)
        assert on_device(rows).dtype == on_cores(rows).dtype == np.float64
        assert on_device(rows[:0]).shape == (0, 3)


@pytest.mark.nightly
def test_the_gpu_is_the_one_that_torch_reports_and_none_where_it_reports_none() -> None:
    import torch

    found = reported(torch)
    assert (found is not None) == torch.cuda.is_available()
    assert (gpu() is not None) == (found is not None), "and one is looked for wherever there is one"


def test_driver_and_models_are_told_by_the_kernel_and_a_server_may_open_no_more_than_is_there(tmp_path: Path) -> None:
    assert (gpus.driver_of(tmp_path), gpus.models_of(tmp_path)) == ("", ())
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\nGCC version: 12\n"
    about = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 18\nGPU UUID: \t GPU-00000000\n"
    write(tmp_path, {"version": version, "gpus/0000:0a:00.0/information": about, "gpus/broken/information": "Model:\n"})
    assert gpus.driver_of(tmp_path) == "550.54.15"
    assert gpus.models_of(tmp_path) == ("NVIDIA H200",)
    write(tmp_path, {"nvidia0": "a file, and no device"})
    assert gpus.places(tmp_path) == ((), ())
    place = Confinement(tmp_path, tmp_path).place(3, 4, None)
    nodes = gpus.places()[1]
    assert [path for path in place.writes if path.startswith("/dev/")] == ["/dev/null", *nodes]
