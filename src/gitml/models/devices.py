"""Which GPU this process may compute on, as torch reports it, and by which driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitml.gpus import driver_of, may_open


@dataclass(frozen=True)
class Gpu:
    """``name`` as its maker calls it; ``driver``: its release, '' where nothing says it; ``torch_name``: as torch calls
    it."""

    name: str
    driver: str = ""
    torch_name: str = "cuda:0"

    @property
    def told(self) -> Mapping[str, str]:
        """For evidence."""
        return {"device": self.name, **({"driver": self.driver} if self.driver else {})}


def gpu() -> Gpu | None:
    """The first GPU that torch reports to this process; None where there is none, or no torch.

    ``CUDA_VISIBLE_DEVICES`` chooses another one, or none where it is empty. torch is imported only where a GPU can be
    opened: a server on cores saves seconds and hundreds of MB.
    """
    if not may_open():
        return None
    try:
        import torch
    except ImportError:
        return None
    return reported(torch)


def reported(torch: Any) -> Gpu | None:
    """What the module ``torch`` says."""
    if not torch.cuda.is_available():
        return None
    return Gpu(str(torch.cuda.get_device_name(0)), driver_of() or str(torch.version.hip or ""))
