"""The metrics of several processes behind one port as one page: each tells the others what it counted.

Whichever process is asked answers for all. Counts are not added up: each series has the label ``process``, because a
sum falls when one process starts again, which Prometheus would take for a new start of all of them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric

_EVERY, _OLD = 1.0, 10.0  # seconds between two words, and after which a process does not answer any more
_LARGEST = 8 << 20  # bytes
LABEL = "process"


class NumberedRegistry:
    """What ``registry`` collects, each series with the number of the process."""

    def __init__(self, registry: Any, process: int) -> None:
        self._registry, self._process = registry, str(process)

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            told = Metric(family.name, family.documentation, family.type, family.unit)
            told.samples = [s._replace(labels={**s.labels, LABEL: self._process}) for s in family.samples]
            yield told


class SharedPages:
    """A folder with a page for each process, of which this one is number ``process``."""

    def __init__(self, folder: Path, process: int) -> None:
        self.process, self._folder = process, folder
        folder.mkdir(parents=True, exist_ok=True)

    def merged(self, own: bytes) -> bytes:
        """``own`` as it is now, with what the others said within the last seconds."""
        return b"".join(_grouped([own, *self._others()]))

    def tell_always(self, page: Callable[[], bytes]) -> threading.Thread:
        """Tell the others every second, from a thread that ends with the process."""

        def telling() -> None:
            while True:
                # A full disk costs the page of this process, and no answer.
                with suppress(OSError):
                    self.tell(page())
                time.sleep(_EVERY)

        thread = threading.Thread(target=telling, daemon=True, name="gitml-metrics")
        thread.start()
        return thread

    def tell(self, page: bytes) -> None:
        """Raises OSError."""
        fresh = self._folder / f".{self.process}.prom"
        fresh.write_bytes(page)
        os.replace(fresh, self._folder / f"{self.process}.prom")

    def _others(self) -> Iterator[bytes]:
        pages = {path: path.lstat() for path in sorted(self._folder.glob("[0-9]*.prom"))}
        # This process's own is of this second: what is much older is of a process that has ended.
        newest = max((found.st_mtime for found in pages.values()), default=0.0)
        for path, found in pages.items():
            is_fresh = newest - found.st_mtime < _OLD
            if path.stem != str(self.process) and is_fresh and found.st_size <= _LARGEST:
                with suppress(OSError):
                    yield path.read_bytes()


def _grouped(pages: Iterable[bytes]) -> Iterator[bytes]:
    """All series of a family together under one head, as the text format asks (Prometheus, exposition formats)."""
    families: dict[bytes, tuple[list[bytes], list[bytes]]] = {}
    for page in pages:
        name = b""
        for line in page.splitlines(keepends=True):
            if line.startswith(b"# "):
                word, name = line.split(b" ", 3)[1:3]
                name = name.rstrip()
                heads, _ = families.setdefault(name, ([], []))
                if not any(head.startswith(b"# " + word) for head in heads):
                    heads.append(line)
            elif name:
                families[name][1].append(line)
    for heads, series in families.values():
        yield from heads
        yield from series
