"""A version that answers in a process of its own, which has nothing to lose: no variable, no key, no network, no file
but the model's.

For jobs that may read what the model must not: a replay reads all traffic. Each batch of rows crosses a pipe twice.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitml.errors import FailedError
from gitml.models import frames
from gitml.models.model import Answers, ModelError, Predictor
from gitml.models.quarantineorder import LONGEST_ANSWER, QuarantineOrder
from gitml.models.signature import Rows, parse
from gitml.process import start_apart, stop

_MEMORY, _SECONDS = 4 << 30, 6 * 3600.0
# Bytes of an answer: for each number or word, and besides.
_CELL, _REST = 4_000, 100_000


class ModelsApart:
    """The processes of one job; they end with the block."""

    def __init__(self) -> None:
        self._hosts: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> ModelsApart:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._hosts:
            stop(host)
            for pipe in (host.stdin, host.stdout):
                if pipe:
                    with suppress(OSError):
                        pipe.close()

    def load(
        self,
        path: Path,
        format: str,  # noqa: A002 - the word of gitml.yaml
        signature: Mapping[str, Any],
        *,
        sha256: str,
        allow_pickle: bool = False,
    ) -> Predictor:
        """As ``gitml.models.loading.load``. Raises FailedError where the process does not load it: a quarantine says
        better why."""
        order = QuarantineOrder(
            path=str(path.absolute()), format=format, signature=dict(signature), sha256=sha256,
            allow_pickle=allow_pickle, seconds=_SECONDS, memory=_MEMORY + 8 * path.stat().st_size,
        )  # fmt: skip
        host = start_apart("gitml.models.aparthost")
        self._hosts.append(host)
        _tell(host, order.model_dump_json().encode() + b"\n")
        assert host.stdout
        how = host.stdout.readline(LONGEST_ANSWER).decode("utf-8", "replace").strip()
        if how not in ("arrays", "objects", "frame"):
            raise FailedError(f"the model was not loaded in a process of its own: {how[:500] or 'that ended'}")
        wanted = parse(signature)
        width = len(wanted.outputs)

        def score(rows: Rows) -> Answers:
            return _asked(host, rows, _REST + len(rows) * width * _CELL)

        return Predictor(wanted, format, sha256, how, score, steady=False)


def _tell(host: subprocess.Popen[bytes], raw: bytes) -> None:
    assert host.stdin
    try:
        host.stdin.write(raw)
        host.stdin.flush()
    except OSError as exc:
        raise FailedError("the model brought down its process", "`gitml ci verify` tries it, and says why") from exc


def _asked(host: subprocess.Popen[bytes], rows: Rows, most: int) -> Answers:
    assert host.stdin
    assert host.stdout
    try:
        frames.send(host.stdin, rows)
        found = frames.receive(host.stdout, most)
    except (OSError, ValueError) as exc:
        raise FailedError(f"the model's process says what is no answer: {exc}") from exc
    if found is None:
        raise FailedError("the model brought down its process", "`gitml ci verify` tries it, and says why")
    if isinstance(found, str):
        raise ModelError(found)
    return found
