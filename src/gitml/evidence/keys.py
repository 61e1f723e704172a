"""ed25519 keys in OpenSSH's form: made, read from a secret, and called by their fingerprints."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from gitml.errors import UsageError

VARIABLE = "GITML_SIGNING_KEY"
_HINT = f"make one with `gitml evidence keygen`, and give its private half as {VARIABLE}"


@dataclass(frozen=True)
class SigningKey:
    """``public`` as a .pub file has it; ``sign`` makes the 64 bytes of a signature."""

    public: str
    sign: Callable[[bytes], bytes] = field(repr=False)

    @property
    def keyid(self) -> str:
        return fingerprint(self.public)


def signing_key(text: str) -> SigningKey:
    """A private key from its text, in OpenSSH's form or PEM, or from the path of a file that holds it.

    Raises UsageError, which never shows any of the text.
    """
    raw = _text_of(text)
    load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in raw else load_pem_private_key
    try:
        private = load(raw, None)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise UsageError("the signing key cannot be read", _HINT) from None
    except TypeError:
        raise UsageError("the signing key has a passphrase, which nobody types in CI", _HINT) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError("the signing key is no ed25519 key", _HINT)
    return SigningKey(_line(private), private.sign)


def _text_of(text: str) -> bytes:
    if not text.strip():
        raise UsageError("there is no signing key", _HINT)
    if "PRIVATE KEY" not in text:
        try:
            text = Path(text.strip()).read_text(encoding="ascii")
        except (OSError, ValueError):
            raise UsageError(
                "the signing key is neither a private key nor the path of a file with one", _HINT
            ) from None
    # Secrets lose their last line end on the way through forms, and get Windows' ones.
    return (text.replace("\r\n", "\n").strip() + "\n").encode("utf-8", "replace")


def generate(comment: str = "gitml") -> tuple[str, str]:
    """A new pair: the private key in OpenSSH's form, and the line of the .pub file."""
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return secret, f"{_line(private)} {comment}"


def _line(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@functools.lru_cache(maxsize=256)  # asked of a few keys for each event of the ledger
def fingerprint(public: str) -> str:
    """What `ssh-keygen -l` calls the key.

    >>> fingerprint("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5fHFpWU7jPFSEKdrhfEKAJNlOuN7bJhWMVUvEcQKHX")
    'SHA256:3EI6qcu4kn5FKRn3AG01E9Hu8Y8jVa6jFi2C6dyoBlQ'
    """
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@functools.lru_cache(maxsize=256)
def _key(public: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(public.split()[1])[-32:])


def is_signed(public: str, signature: bytes, message: bytes) -> bool:
    """Whether the holder of ``public`` signed ``message``."""
    try:
        _key(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True
