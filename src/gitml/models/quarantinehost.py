"""The other side of ``quarantine``: imports the libraries once, and forks for each file that is to be tried."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import ValidationError

from gitml.confined import limit, offline
from gitml.errors import GitmlError, IntegrityError, UsageError
from gitml.landlock import close_in
from gitml.models.libraries import prepare
from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.parity import columns_of
from gitml.models.quarantineorder import LONGEST_ANSWER, QuarantineAnswer, QuarantineOrder
from gitml.process import needed_by_python


def main() -> None:
    """Answer each line of stdin with a line on stdout, until there are no more."""
    is_offline = offline()
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes nowhere, and what is forked has neither of the two.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    while line := orders.readline():
        order = QuarantineOrder.model_validate_json(line)
        # Before the fork, so that each load pays for the load alone.
        prepare(order.format, samples=bool(order.samples))
        answer = _tried(order, (orders.fileno(), answers.fileno()))
        answers.write(answer.model_copy(update={"offline": is_offline}).model_dump_json().encode() + b"\n")
        answers.flush()


def _tried(order: QuarantineOrder, ours: tuple[int, ...]) -> QuarantineAnswer:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        _in_child(order, write, (*ours, read))
    os.close(write)
    try:
        said, late = _heard(read, time.monotonic() + order.seconds)
    finally:
        os.close(read)
        for end in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                end(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    try:
        return QuarantineAnswer.model_validate_json(said)
    except ValidationError:
        return _how_it_ended(order, status, late=late)


_HINT = "does it loop, or take more memory than a model should? `gitml ci verify` tries it in the same way"


def _how_it_ended(order: QuarantineOrder, status: int, *, late: bool) -> QuarantineAnswer:
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if late or number == signal.SIGXCPU:
        message = f"the model was not loaded, or did not answer, within {order.seconds:g} s, so it is not served"
        return QuarantineAnswer(outcome="inconclusive", message=message, hint=_HINT)
    word = signal.Signals(number).name if number else f"exit code {os.waitstatus_to_exitcode(status)}"
    message = f"the model brought down the process that loaded it ({word}), so it is not served"
    # Whoever kills it so is the machine, which has no memory left.
    outcome: Literal["inconclusive", "failed"] = "inconclusive" if number == signal.SIGKILL else "failed"
    return QuarantineAnswer(outcome=outcome, message=message, hint=_HINT)


def _heard(descriptor: int, until: float) -> tuple[bytes, bool]:
    """All that the child says, and whether it was cut off at the deadline."""
    said = b""
    while len(said) <= LONGEST_ANSWER:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return said, True
        piece = os.read(descriptor, LONGEST_ANSWER)
        if not piece:
            break
        said += piece
    return said, False


def _in_child(order: QuarantineOrder, write: int, foreign: tuple[int, ...]) -> NoReturn:
    """Never comes back into the host's code."""
    try:
        os.setsid()
        for number in foreign:
            os.close(number)
        limit(order.memory, order.seconds)
        close_in([*needed_by_python(), order.path, *([order.samples] if order.samples else [])], [], connects=False)
        os.write(write, _loaded(order).model_dump_json().encode())
    finally:
        os._exit(0)


def _loaded(order: QuarantineOrder) -> QuarantineAnswer:
    try:
        samples = columns_of(Path(order.samples).read_bytes(), "samples") if order.samples else None
        model = load(
            Path(order.path),
            order.format,
            order.signature,
            sha256=order.sha256,
            allow_pickle=order.allow_pickle,
            samples=samples,
        )
        if samples is not None:
            _ask(model, samples)
    except IntegrityError as exc:
        return _said("integrity", exc)
    except UsageError as exc:
        return _said("usage", exc)
    except GitmlError as exc:
        return _said("failed", exc)
    except MemoryError:
        return QuarantineAnswer(
            outcome="inconclusive", message="the model takes more memory than a model may", hint=_HINT
        )
    except Exception as exc:  # a process's boundary: a stranger's model raises what it likes
        return QuarantineAnswer(outcome="failed", message=f"the model raised {type(exc).__name__}: {exc}"[:4000])
    return QuarantineAnswer(outcome="passed")


def _ask(model: Predictor, columns: Mapping[str, Sequence[Any]]) -> None:
    """Whether the answers are the right ones is for those who have the record."""
    names = [f.name for f in model.signature.inputs]
    if all(name in columns for name in names):
        model.answers(model.signature.columns({name: columns[name] for name in names}))


def _said(outcome: Literal["integrity", "usage", "failed"], exc: GitmlError) -> QuarantineAnswer:
    missing = exc.__cause__.name or "?" if isinstance(exc.__cause__, ImportError) else ""
    return QuarantineAnswer(
        outcome=outcome, message=exc.message[:4000], hint=(exc.hint or "")[:1000], package=missing[:200]
    )
