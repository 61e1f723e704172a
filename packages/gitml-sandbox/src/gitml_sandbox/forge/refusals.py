"""GitHub's way to say no: a status, a message, and which field of what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gitml_sandbox.errors import UsageError


class RefusalError(UsageError):
    """A request that the forge does not carry out. ``status`` is the HTTP status of the REST answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any] | str] = (),
        headers: Mapping[str, str] | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def not_found() -> RefusalError:
    return RefusalError(404, "Not Found")


def invalid(resource: str, field: str, code: str = "invalid", message: str = "", value: Any = None) -> RefusalError:
    """422 with one error. Codes as GitHub's: missing, missing_field, invalid, already_exists, custom."""
    error: dict[str, Any] = {"resource": resource, "field": field, "code": code}
    if message:
        error["message"] = message
    if isinstance(value, str | int) and not isinstance(value, bool):
        error["value"] = value
    return RefusalError(422, "Validation Failed", errors=[error])


def unprocessable(message: str, *errors: str) -> RefusalError:
    """422 with sentences."""
    return RefusalError(422, message, errors=errors)


def forbidden(message: str) -> RefusalError:
    return RefusalError(403, message)


def conflict(message: str) -> RefusalError:
    return RefusalError(409, message)
