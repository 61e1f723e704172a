"""Bearer tokens, one per caller, each for what its scopes allow. Only their SHA-256 is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gitml.errors import UsageError
from gitml.serving.wire import RequestError, Scope, header

_CHALLENGE = [(b"www-authenticate", b"Bearer")]


SCOPES = ("predict", "explain", "labels", "events")


class Access(NamedTuple):
    """A caller, '' where no tokens are asked for, and what it may do."""

    caller: str = ""
    scopes: frozenset[str] = frozenset({"predict"})

    @property
    def own(self) -> str | None:
        """Whose requests it may label: its own if it makes any, else None: everybody's."""
        return self.caller if self.caller and "predict" in self.scopes else None


ANYBODY = Access("", frozenset(SCOPES))


def read_tokens(path: Path) -> dict[str, Access]:
    """SHA-256 of each token → its access, from a file of lines ``CALLER TOKEN [SCOPE,…]``; `#` begins a comment.

    A line without scopes is for `predict` alone.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"the tokens in {path} cannot be read: {exc}") from exc
    found: dict[str, Access] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        scopes = frozenset(words[2].split(",")) if len(words) == 3 else frozenset({"predict"})
        if len(words) not in (2, 3) or len(words[1]) < 16 or scopes - {*SCOPES}:
            raise UsageError(
                f"line {number} of {path} is not a caller, a token of at least 16 characters, and perhaps scopes",
                f"write for example: reporting 6f1c0a4f9b2d4e7f8a3b predict,labels; scopes: {', '.join(SCOPES)}",
            )
        found[hashed(words[1])] = Access(words[0], scopes)
    if not found:
        raise UsageError(f"{path} holds no token, so nobody could call")
    return found


def hashed(token: str) -> str:
    """SHA-256 of a token, in hex: looking it up tells nothing of the token by its timing."""
    return hashlib.sha256(token.encode()).hexdigest()


def access(scope: Scope, tokens: Mapping[str, Access]) -> Access:
    """What the caller may do; everything where no tokens are asked for. Raises HttpError 401."""
    if not tokens:
        return ANYBODY
    scheme, _, token = header(scope, b"authorization").decode("latin-1").partition(" ")
    found = tokens.get(hashed(token.strip())) if scheme.lower() == "bearer" else None
    if found is None:
        raise RequestError(401, "token", "this server answers callers with a token only", headers=_CHALLENGE)
    return found


def require(found: Access, scope: str) -> None:
    """Raises HttpError 403 where the token is not for this."""
    if scope not in found.scopes:
        words = f"the token of {found.caller} is not for {scope}"
        raise RequestError(
            403, "scope", words, hint=f"add the scope to its line of the tokens file: CALLER TOKEN {scope}"
        )
