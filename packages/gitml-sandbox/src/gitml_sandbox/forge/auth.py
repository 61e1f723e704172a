"""Who is asking: the token in an Authorization header."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from dataclasses import dataclass

from gitml_sandbox.errors import FailedError
from gitml_sandbox.forge import tokens, users
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.tokens import Token
from gitml_sandbox.forge.users import User


class BadCredentialsError(FailedError):
    """A header was sent, and there is no valid token in it."""


@dataclass(frozen=True)
class Caller:
    """A user and the token that was shown."""

    user: User
    token: Token

    @property
    def actor(self) -> Actor:
        return Actor(self.user, self.token.kind, self.token)


def secret_of(header: str) -> str | None:
    """The token of ``token X``, ``Bearer X`` or ``Basic`` (as password with any user, or as user alone)."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return rest.strip() or None
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name if password in ("", "x-oauth-basic") else password) or None


def identify(tx: sqlite3.Connection, header: str | None, now: str) -> Caller | None:
    """The caller; None without a header. Raises BadCredentialsError for a wrong, revoked or expired token."""
    if not header:
        return None
    secret = secret_of(header)
    token = tokens.find(tx, secret, now) if secret else None
    if token is None:
        raise BadCredentialsError("Bad credentials", "make a token with: gitml sandbox token create")
    return Caller(users.by_id(tx, token.user_id), token)
