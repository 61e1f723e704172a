"""The GPUs of this machine: their device files, and what NVIDIA's driver tells in /proc; no library is asked."""

from __future__ import annotations

import os
import re
from pathlib import Path

PROC = Path("/proc/driver/nvidia")
# What a process opens to compute on a GPU: NVIDIA's, AMD's, and that of Windows below Linux; and what it reads besides.
_NODES = ("nvidiactl", "nvidia[0-9]*", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps/*", "kfd", "dri/render*", "dxg")
_CONTROLS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_READS = (str(PROC), "/proc/devices", "/sys/bus/pci", "/sys/devices", "/sys/class/kfd")
_RELEASE = re.compile(r"NVRM version:.*?\s(\d+(?:\.\d+)+)\s")
_MODEL = re.compile(r"^Model:\s*(.+?)\s*$", re.MULTILINE)


def places(dev: Path = Path("/dev")) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a process that may use the GPUs reads, and the device files that it opens to write; nothing without any."""
    nodes = tuple(str(node) for pattern in _NODES for node in sorted(dev.glob(pattern)) if node.is_char_device())
    return (_READS, nodes) if nodes else ((), ())


def may_open() -> bool:
    """Whether this process may open a GPU's device file. Without it no library finds one, however long it looks."""
    for node in _CONTROLS:
        try:
            os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
        except OSError:
            continue
        return True
    return False


def driver_of(proc: Path = PROC) -> str:
    """The release of the driver; '' without one."""
    found = _RELEASE.search(_text(proc / "version"))
    return found[1] if found else ""


def models_of(proc: Path = PROC) -> tuple[str, ...]:
    """The name of each GPU; empty where the kernel has no such driver."""
    found = (_MODEL.search(_text(place)) for place in sorted((proc / "gpus").glob("*/information")))
    return tuple(match[1] for match in found if match)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
