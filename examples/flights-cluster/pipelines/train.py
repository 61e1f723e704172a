"""Stage `train`: one of the processes that fit the model together; torchrun starts all of them.

Each has its part of every step's rows. The gradients are averaged over all processes, so each makes the same step and
has the same weights; the first one writes them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import network
from files import StageError, params, run, say, write_json

FOLDER = Path("artifacts/late")


def place_of(rank: int, count: int) -> torch.device:
    """A GPU for each process if there are as many, else the cores; set up so that equal runs give equal results."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    if torch.cuda.is_available() and torch.cuda.device_count() >= count:
        torch.cuda.set_device(rank)
        return torch.device("cuda", rank)
    return torch.device("cpu")


def fit(numbers: Tensor, target: Tensor, settings: Mapping[str, Any], place: torch.device) -> network.Network:
    """The network after all epochs; bf16 and compilation only where they are asked for."""
    rank, count = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(settings["seed"])
    made = network.Network(settings["hidden"]).to(place)
    shared: nn.Module = DistributedDataParallel(made)
    if settings["compile"]:
        shared = torch.compile(shared)
    optimizer = torch.optim.AdamW(made.parameters(), lr=settings["learning_rate"])
    # The same on all: each takes its part of the same order.
    order = torch.Generator().manual_seed(settings["seed"])
    for epoch in range(1, settings["epochs"] + 1):
        total = torch.zeros((), device=place)
        for batch in torch.randperm(len(target), generator=order).split(settings["batch"]):
            mine = batch[rank::count].to(place)
            if len(batch) < count:
                continue
            optimizer.zero_grad()
            with torch.autocast(place.type, torch.bfloat16, enabled=settings["precision"] == "bf16"):
                logits = shared(numbers[mine])
            loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), target[mine])
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        if rank == 0:
            say(f"epoch {epoch}: loss {total.item() / len(target):.4f}")
    return made


def main() -> None:
    """Write the model, its signature, and how it was made."""
    (settings,) = params("train")
    if settings["precision"] not in ("float32", "bf16"):
        raise StageError(f"train.precision is {settings['precision']!r}: write float32 or bf16")
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    place = place_of(int(os.environ["LOCAL_RANK"]), count)
    backend = "nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=os.environ["MEETING"], rank=rank, world_size=count)
    try:
        rows, _ = network.split(network.read(), settings["holdout_days"])
        values = rows[list(network.INPUTS)].to_numpy(float)
        mean, deviation = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        deviation = np.where(deviation > 0, deviation, 1.0)
        numbers = torch.from_numpy(network.scaled(rows, mean, deviation)).to(place)
        made = fit(numbers, torch.from_numpy(rows["late"].to_numpy(np.float32)).to(place), settings, place)
        if rank == 0:
            network.save(made, mean.tolist(), deviation.tolist(), FOLDER / "model.safetensors")
            describe(settings, place, backend)
    finally:
        dist.destroy_process_group()


def describe(settings: Mapping[str, Any], place: torch.device, backend: str) -> None:
    """What goes in and out, and where and how it was trained."""
    inputs = [{"name": name, "type": "float64", "nullable": True} for name in network.INPUTS]
    write_json(FOLDER / "signature.json", {"inputs": inputs, "outputs": [{"name": "p_late", "type": "float64"}]})
    about = {
        "processes": dist.get_world_size(),
        "backend": backend,
        "device": torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu",
        "precision": settings["precision"],
        "compiled": settings["compile"],
        "torch": torch.__version__,
    }
    write_json(FOLDER / "training.json", about)


if __name__ == "__main__":
    run(main)
