"""How people name versions: ``delay``, ``delay@latest``, ``delay@3f2a``, ``delay@production``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitml.errors import RefError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
VERSION = re.compile(r"(?P<time>\d{8}T\d{6}Z)-(?P<digest>[0-9a-f]{8})")
DIGEST = re.compile(r"[0-9a-f]{4,64}")
# Words that a reference gives a meaning of its own; no environment may have such a name.
RESERVED = frozenset({"latest", "champion", "canary", "shadow", "head", "main", "version", "versions"})


@dataclass(frozen=True)
class Reference:
    """``selector`` is what stands behind the ``@``: a digest, a version name, an environment or ``latest``."""

    model: str
    selector: str = "latest"

    def __str__(self) -> str:
        return f"{self.model}@{self.selector}"


def parse(text: str) -> Reference:
    """Split ``MODEL[@SELECTOR]``. Raises RefError when it is neither.

    >>> parse("delay@3f2a")
    Reference(model='delay', selector='3f2a')
    >>> parse("delay").selector
    'latest'
    """
    model, at, selector = text.partition("@")
    if not NAME.fullmatch(model) or (at and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", selector)):
        raise RefError(f"{text!r} names no version", "write MODEL, MODEL@latest, MODEL@DIGEST or MODEL@ENVIRONMENT")
    return Reference(model, selector or "latest")


def why_no_environment(name: str) -> str | None:
    """Why ``name`` cannot name an environment, or None if it can (DESIGN decision 2).

    >>> why_no_environment("production") is None
    True
    >>> why_no_environment("beef")
    'beef looks like a digest'
    """
    if not NAME.fullmatch(name):
        return f"{name} is no name: small letters, digits, '.', '_' and '-', starting and ending with a letter or digit"
    if name in RESERVED:
        return f"{name} has a meaning of its own in references"
    if DIGEST.fullmatch(name):
        return f"{name} looks like a digest"
    if re.match(r"\d{8}(t\d{0,6}z?)?", name):
        return f"{name} looks like a time"
    return None
