"""Bearer tokens, one per caller. Only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from gitml.errors import UsageError
from gitml.serving.wire import HttpError, Scope, header

_CHALLENGE = [(b"www-authenticate", b"Bearer")]


def read_tokens(path: Path) -> dict[str, str]:
    """SHA-256 of each token → its caller, from a file of lines ``CALLER TOKEN``; `#` begins a comment."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"the tokens in {path} cannot be read: {exc}") from exc
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or len(words[1]) < 16:
            raise UsageError(
                f"line {number} of {path} is not a caller and a token of at least 16 characters",
                "write for example: reporting 6f1c0a4f9b2d4e7f8a3b",
            )
        found[hashed(words[1])] = words[0]
    if not found:
        raise UsageError(f"{path} holds no token, so nobody could call")
    return found


def hashed(token: str) -> str:
    """SHA-256 of a token, in hex: looking it up tells nothing of the token by its timing."""
    return hashlib.sha256(token.encode()).hexdigest()


def caller(scope: Scope, tokens: Mapping[str, str]) -> str:
    """Who calls; empty where no tokens are asked for. Raises HttpError 401."""
    if not tokens:
        return ""
    scheme, _, token = header(scope, b"authorization").decode("latin-1").partition(" ")
    found = tokens.get(hashed(token.strip())) if scheme.lower() == "bearer" else None
    if found is None:
        raise HttpError(401, "token", "this server answers callers with a token only", headers=_CHALLENGE)
    return found
