"""Ids of people as keyed hashes: who has the index and not the key learns nothing of anybody.

An *entry* is what an index holds of an id: HMAC-SHA-256 (RFC 2104) under the key, cut to 128 bits. A *token* is what a
request for erasure holds: an HMAC of the entry with the request's name, so that two requests of the same person cannot
be told to be that, and that nobody finds in an index who does not have it.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from gitml.errors import InconclusiveError, UsageError
from gitml.jsontext import canonical
from gitml.spec.subjects import IdForm, Subjects

ENTRY = 16  # bytes
_LEAST = 32  # bytes of a key
_KEY = re.compile(r"(?P<name>[a-z0-9]{1,30}):(?P<secret>[A-Za-z0-9+/=]+)")
_UNSEEN = ("Cc", "Cf", "Co", "Cn")


@dataclass(frozen=True)
class SubjectKey:
    """``name`` says which key it is, in names of index files and in requests."""

    name: str
    secret: bytes = field(repr=False)

    def entry(self, text: str) -> bytes:
        """What an index holds of an id in its compared form."""
        return hmac.digest(self.secret, b"id\0" + text.encode("utf-8", "surrogatepass"), "sha256")[:ENTRY]

    def seal(self) -> hmac.HMAC:
        """What shows that an index is whole and was made with this key."""
        return hmac.new(self.secret, b"index\0", "sha256")


def token_of(entry: bytes, request: str) -> str:
    """What the request holds of the person: 32 hexadecimal digits."""
    return hmac.digest(entry, b"request\0" + request.encode(), "sha256")[:ENTRY].hex()


@dataclass(frozen=True)
class KeyRing:
    """The keys that are known, the current one first."""

    keys: tuple[SubjectKey, ...]

    @property
    def current(self) -> SubjectKey:
        return self.keys[0]

    def named(self, name: str) -> SubjectKey:
        """Raises InconclusiveError for a key that is not here: what it hashed cannot be compared any more."""
        for key in self.keys:
            if key.name == name:
                return key
        known = ", ".join(key.name for key in self.keys)
        raise InconclusiveError(
            f"the key {name} is not here (known: {known}), so what it hashed cannot be compared with anything",
            "put it back behind the current one; if it is lost, file the request again under a new name",
        )


def key_ring(subjects: Subjects, secret: Callable[[str], str] | Mapping[str, str]) -> KeyRing | None:
    """The keys of the variable that gitml.yaml names; None where it is not set. Errors never show what it holds.

    Raises UsageError for one that holds no keys, or one twice.
    """
    text = secret.get(subjects.key, "") if isinstance(secret, Mapping) else secret(subjects.key)
    if not text.strip():
        return None
    return KeyRing(tuple(_keys(text, subjects.key)))


def needed_ring(subjects: Subjects, secret: Callable[[str], str] | Mapping[str, str]) -> KeyRing:
    """The same. Raises UsageError where it is not set."""
    found = key_ring(subjects, secret)
    if found is None:
        hint = "take it from where your organisation keeps secrets, or make the first with `gitml subject keygen`"
        raise UsageError(f"the variable {subjects.key} does not hold the keys that ids are hashed with", hint)
    return found


def _keys(text: str, variable: str) -> list[SubjectKey]:
    hint = "write NAME:SECRET, several with commas, the current one first; `gitml subject keygen` makes one"
    found: dict[str, SubjectKey] = {}
    for number, part in enumerate(text.strip().split(","), 1):
        match = _KEY.fullmatch(part.strip())
        try:
            secret = b64decode(match["secret"], validate=True) if match else b""
        except ValueError:
            secret = b""
        if match is None or len(secret) < _LEAST:
            raise UsageError(f"part {number} of {variable} is not a key of at least {_LEAST} bytes", hint)
        if match["name"] in found:
            raise UsageError(f"{variable} has two keys called {match['name']}", "each key has a name of its own")
        found[match["name"]] = SubjectKey(match["name"], secret)
    return list(found.values())


def new_key(name: str) -> str:
    """A new key, as the variable holds it."""
    made = f"{name}:{b64encode(secrets.token_bytes(_LEAST)).decode()}"
    if not _KEY.fullmatch(made):
        raise UsageError(f"{name!r} cannot name a key", "use small letters and digits, such as 2026a")
    return made


def text_of(value: Any) -> str:
    """An id as text, whatever type a column has; empty for a missing one. A whole number has no point.

    Raises UsageError for a type that is no id.

    >>> text_of(17), text_of(17.0), text_of("0017"), text_of(None), text_of(float("nan"))
    ('17', '17', '0017', '', '')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | date):
        raise UsageError(f"a column of ids holds a {type(value).__name__}", "ids are words, numbers or dates")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, int) or value % 1 else str(int(value))


def compared(text: str, form: Sequence[IdForm]) -> str:
    """An id in the form in which ids are compared; doing it twice changes nothing.

    >>> compared(" \\u200bＡda\\u0301 ", ("nfkc", "casefold", "visible", "trim"))
    'adá'
    """
    for _ in range(4):
        found = _once(text, form)
        if found == text:
            break
        text = found
    return text


def _once(text: str, form: Sequence[IdForm]) -> str:
    for normal in ("NFC", "NFKC"):
        if normal.lower() in form:
            text = unicodedata.normalize(normal, text)
    if "casefold" in form:
        text = text.casefold()
    if "visible" in form:
        text = "".join(c for c in text if unicodedata.category(c) not in _UNSEEN)
    if "alphanumeric" in form:
        text = "".join(c for c in text if unicodedata.category(c)[0] in "LNM")
    return text.strip() if "trim" in form else text


def entry_of(key: SubjectKey, value: Any, form: Sequence[IdForm]) -> bytes | None:
    """What an index holds of a value of a column; None for one that names nobody."""
    text = compared(text_of(value), form)
    return key.entry(text) if text else None


@dataclass(frozen=True, eq=False)
class SoughtPerson:
    """One person, by an id that was typed (``entries`` by the name of the key) or by the ``token`` of a request,
    made with the key of that name."""

    entries: Mapping[str, bytes] = field(repr=False, default_factory=dict)
    request: str = ""
    token: str = ""
    key: str = ""

    @classmethod
    def by_id(cls, ring: KeyRing, typed: str, form: Sequence[IdForm]) -> SoughtPerson:
        """Raises UsageError for an id of which nothing is left to compare."""
        text = compared(typed, form)
        if not text:
            raise UsageError("no id came on standard input", "such as: gitml subject find < id.txt")
        return cls({key.name: key.entry(text) for key in ring.keys})

    def is_entry(self, key: SubjectKey, entry: bytes) -> bool:
        if self.token:
            return hmac.compare_digest(token_of(entry, self.request), self.token)
        mine = self.entries.get(key.name)
        return mine is not None and hmac.compare_digest(entry, mine)


def columns_digest(columns: Sequence[str], form: Sequence[IdForm]) -> str:
    """Of what an index of a file follows from, beside the file and the key: part of its name."""
    import hashlib

    told = canonical({"columns": sorted(set(columns)), "form": sorted(set(form)), "format": 1})
    return hashlib.sha256(told).hexdigest()[:16]
