"""Who was being called when a process ended: a byte for each version and thread, in memory that two processes share.

A request pays two writes to memory for it. The process that reads them believes no more of them than whom to ask first.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

# The supervisor reads the marks, and has no use for libraries of numbers.
if TYPE_CHECKING:
    from gitml.models.model import Answers, Predictor
    from gitml.models.signature import Rows

PLACES = 4096
_WIDTH = 3
_LOADING, _ON_LOOP, _ELSEWHERE = range(_WIDTH)


def new_marks() -> int:
    """A descriptor for them, with nobody being called. Nobody makes it shorter: whoever reads what is gone is ended."""
    sealed = hasattr(os, "memfd_create")
    if sealed:
        number = os.memfd_create("gitml-calls", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    os.ftruncate(number, PLACES * _WIDTH)
    if sealed:
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return number


class CallMarks:
    """The marks behind a descriptor. ``loop`` is the event loop's thread, which calls a model beside others."""

    def __init__(self, descriptor: int) -> None:
        self._bytes = mmap.mmap(descriptor, PLACES * _WIDTH)

    def called(self) -> frozenset[int]:
        """The places of those that are being loaded or called."""
        return frozenset(place for place in range(PLACES) if any(self._bytes[place * _WIDTH : (place + 1) * _WIDTH]))

    @contextmanager
    def loading(self, place: int) -> Iterator[None]:
        self._bytes[place * _WIDTH + _LOADING] = 1
        try:
            yield
        finally:
            self._bytes[place * _WIDTH + _LOADING] = 0

    def around(self, model: Predictor, place: int) -> Predictor:
        """The same model, which says while it is called."""
        return replace(model, score=_marked(model.score, self._bytes, place * _WIDTH))


def _marked(score: Callable[[Rows], Answers], marks: mmap.mmap, begin: int) -> Callable[[Rows], Answers]:
    """A version is called by the loop and by one other thread at most, so each has a byte of its own."""
    on_loop, elsewhere, name = begin + _ON_LOOP, begin + _ELSEWHERE, threading.current_thread

    def marked(rows: Rows) -> Answers:
        place = on_loop if name().name == "gitml-http" else elsewhere
        marks[place] = 1
        try:
            return score(rows)
        finally:
            marks[place] = 0

    return marked
