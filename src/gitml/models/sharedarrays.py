"""Large arrays of a model in memory once, for all processes of a server.

Each process loads and checks a version by itself. Then its arrays give way to a mapping of one file, which the first
process wrote; pages of it are in memory once, whoever maps them. A process that writes to an array gets a page of its
own. Processes of one server have the same rights, so this guards against accidents, and not against one another.
What the file holds is compared with what was loaded: where it is anything else, or cannot be written, a process keeps
its own arrays, which costs memory and nothing more.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]
# From arrays to equal ones, in the same order; some may be the same objects.
Keep = Callable[[Sequence[Numbers]], list[Numbers]]

# Bytes; an array with less than the second stays where it is.
LEAST, _LARGE = 4 << 20, 1 << 10
_ALIGNED = 64


def as_they_are(arrays: Sequence[Numbers]) -> list[Numbers]:
    """For a process that shares nothing."""
    return list(arrays)


class SharedArrays:
    """``folder``: where processes of one server, and nobody else, write. ``least``: bytes of a model's arrays in all
    that are worth a file."""

    def __init__(self, folder: Path, least: int = LEAST) -> None:
        self._folder, self._least = folder, least

    def keep(self, sha256: str) -> Keep:
        """For the model in the file with this digest; every process that loads it gives the same arrays in the same
        order, in as many calls."""
        calls = count()
        return lambda arrays: self._shared(f"{sha256}.{next(calls)}", arrays)

    def only(self, digests: Collection[str]) -> None:
        """Delete the files of all other models. Processes that still map one keep it until they let go."""
        with suppress(OSError):
            for file in self._folder.iterdir():
                if file.name.partition(".")[0] not in digests:
                    file.unlink(missing_ok=True)

    def _shared(self, name: str, arrays: Sequence[Numbers]) -> list[Numbers]:
        chosen = dict(zip(_large(arrays), _offsets(arrays), strict=True))
        if not chosen or sum(arrays[place].nbytes for place in chosen) < self._least:
            return list(arrays)
        file = self._folder / name
        with suppress(OSError, ValueError):
            if not file.exists():
                self._write(file, [(at, arrays[place]) for place, at in chosen.items()])
            mapped = np.memmap(file, np.uint8, "c")
            return [_view(mapped, chosen[n], a) if n in chosen else a for n, a in enumerate(arrays)]
        return list(arrays)

    def _write(self, file: Path, placed: Sequence[tuple[int, Numbers]]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        hidden = self._folder / f".{uuid.uuid4().hex}"
        try:
            with hidden.open("wb") as stream:
                for at, array in placed:
                    stream.seek(at)
                    stream.write(_bytes(array).data)
            # Not a rename: whoever comes second maps the file of the first one.
            with suppress(FileExistsError):
                os.link(hidden, file)
        finally:
            hidden.unlink(missing_ok=True)


def _large(arrays: Sequence[Numbers]) -> list[int]:
    return [
        place
        for place, array in enumerate(arrays)
        if array.nbytes >= _LARGE
        and not array.dtype.hasobject
        and (array.flags.c_contiguous or array.flags.f_contiguous)
    ]


def _offsets(arrays: Sequence[Numbers]) -> list[int]:
    """Where each large one begins."""
    offsets, end = [], 0
    for place in _large(arrays):
        offsets.append(end)
        end += -(-arrays[place].nbytes // _ALIGNED) * _ALIGNED
    return offsets


def _order(array: Numbers) -> Any:
    return "C" if array.flags.c_contiguous else "F"


def _bytes(array: Numbers) -> Numbers:
    """Its memory as it lies, without a copy."""
    return array.reshape(-1, order=_order(array)).view(np.uint8)


def _view(mapped: Numbers, at: int, array: Numbers) -> Numbers:
    """The part of the file that holds ``array``; ``array`` itself where it is anything else."""
    part = mapped[at : at + array.nbytes]
    if len(part) < array.nbytes or not np.array_equal(part, _bytes(array)):
        return array
    made: Numbers = np.asarray(part).view(array.dtype).reshape(array.shape, order=_order(array))
    return made
