"""DVC's exceptions as ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from dvc.exceptions import DvcException
from dvc.stage.exceptions import StageCmdFailedError

from gitml.errors import FailedError, LockedError, OutsideError

P = ParamSpec("P")
T = TypeVar("T")


def translated(function: Callable[P, T]) -> Callable[P, T]:
    """Let ``function`` raise ours."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except DvcException as exc:
            raise as_ours(exc) from exc

    return call


def as_ours(exc: BaseException) -> Exception:
    """The error of ``gitml.errors`` that says what ``exc`` and its causes say."""
    chain = []
    cause: BaseException | None = exc
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    failed = next((c for c in chain if isinstance(c, StageCmdFailedError)), None)
    if failed:
        return FailedError(str(failed))
    full = next((c for c in chain if isinstance(c, OSError)), None)
    text = str(exc) if not full or str(full) in str(exc) else f"{exc}: {full}"
    if "LockError" in {type(c).__name__ for c in chain}:
        return LockedError(text, "another DVC command is running in this repository: wait for it")
    return OutsideError(f"DVC: {text}")


def corrupt_object(exc: BaseException) -> str | None:
    """What DVC says of an object whose bytes are not those of its digest, or None if that is not the cause."""
    cause: BaseException | None = exc
    while cause is not None:
        if type(cause).__name__ == "ObjectFormatError":
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return None
