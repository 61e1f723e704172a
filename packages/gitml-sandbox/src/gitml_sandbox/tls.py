"""A certificate authority of this sandbox alone, for clients that insist on HTTPS."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

BUNDLE = "bundle.pem"
NAMES = ("localhost", "127.0.0.1", "::1")
# Where Debian, Fedora, macOS and Alpine keep what they trust.
_SYSTEMS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


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


def bundle(root: Path) -> Path:
    """The authority and those that this machine trusts in one file, written anew at each call.

    Most clients trust one file only: with the authority alone they would reach the sandbox and nothing else.
    """
    own = certificates(root).authority.read_bytes()
    known = _machine_roots()
    path = root / "tls" / BUNDLE
    _write(path, known if own in known else own + known)
    return path


def _machine_roots() -> bytes:
    default = ssl.get_default_verify_paths()
    for name in (os.environ.get("SSL_CERT_FILE"), default.cafile, *_SYSTEMS):
        if name and os.path.isfile(name):
            return Path(name).read_bytes()
    return b""


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
