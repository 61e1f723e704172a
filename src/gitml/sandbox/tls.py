"""A certificate authority of this sandbox alone, for clients that insist on HTTPS."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that clients trust, the server's chain, the server's key (mode 0600)."""

    authority: Path
    chain: Path
    key: Path


def certificates(root: Path) -> Certificates:
    """Made at the first call and reused, so that clients need to be told once. The authority's key is not kept."""
    folder = root / "tls"
    found = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    if not all(path.exists() for path in (found.authority, found.chain, found.key)):
        _make(folder, found)
    return found


def _make(folder: Path, files: Certificates) -> None:
    import trustme

    folder.mkdir(exist_ok=True, mode=0o700)
    authority = trustme.CA(organization_name="gitml sandbox", organization_unit_name="this machine only")
    server = authority.issue_cert(*NAMES)
    _write(files.authority, authority.cert_pem.bytes())
    _write(files.key, server.private_key_pem.bytes())
    _write(files.chain, b"".join(blob.bytes() for blob in server.cert_chain_pems))


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(fresh, path)
