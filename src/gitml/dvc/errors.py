"""DVC's exceptions as ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from dvc.exceptions import DvcException
from dvc.stage.exceptions import StageCmdFailedError

from gitml.errors import FailedError, LockedError, OutsideError, UsageError

P = ParamSpec("P")
T = TypeVar("T")
# Classes of DVC that say that a file of the user is wrong.
_OF_THE_USER = {"YAMLValidationError", "ParseError", "ConfigError", "ResolveError", "ContextError", "BadParamFileError"}


def translated(function: Callable[P, T]) -> Callable[P, T]:
    """Let ``function`` raise ours."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except DvcException as exc:
            raise as_ours(exc) from exc
        except ImportError as exc:
            if "to be installed" not in str(exc):
                raise
            raise OutsideError(f"DVC: {exc}", "install it with pip: it knows how to talk to this remote") from exc
        except FileNotFoundError as exc:
            path = str(exc.filename or "")
            if not os.path.islink(path):
                raise
            told = f"{path} is a symbolic link to nothing: {os.readlink(path)}"
            raise UsageError(told, "remove the link, or make it lead to a file in the repository") from exc
        except TypeError as exc:
            if "Unsupported value" not in str(exc):  # DVC's words for a date in a file of params
                raise
            raise UsageError(f"DVC: {exc}", "quote a date or time: since: '2013-01-31'") from exc

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
    cause = full or (chain[1] if type(exc).__name__ == "ReproductionError" and len(chain) > 1 else None)
    text = str(exc) if not cause or str(cause) in str(exc) else f"{exc}: {cause}"
    if "LockError" in {type(c).__name__ for c in chain}:
        return LockedError(text, "another DVC command is running in this repository: wait for it")
    names = {base.__name__ for c in chain for base in type(c).__mro__}
    if "OutputDoesNotExistError" in names:
        return FailedError(f"{text}: the command ended well and did not write it")
    if "DependencyDoesNotExistError" in names:
        return UsageError(f"DVC: {text}", "`gitml check` says who reads it")
    if _OF_THE_USER & {base.__name__ for base in type(exc).__mro__}:
        return UsageError(f"DVC: {text}", "`gitml check` says in which line, and what to do")
    return OutsideError(f"DVC: {text}")


def corrupt_object(exc: BaseException) -> str | None:
    """What DVC says of an object whose bytes are not those of its digest, or None if that is not the cause."""
    cause: BaseException | None = exc
    while cause is not None:
        if type(cause).__name__ == "ObjectFormatError":
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return None
