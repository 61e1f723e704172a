"""Signed envelopes: DSSE 1.0, https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from gitml.evidence.keys import SigningKey
from gitml.evidence.statement import strict_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE = 1_000_000
MAX_SIGNATURES = 10


@dataclass(frozen=True)
class EnvelopeSignature:
    """``keyid`` is a hint only: nobody vouches for it but the key itself."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]
    payload_type: str = PAYLOAD_TYPE

    @property
    def signed(self) -> bytes:
        """The bytes that the signatures are for."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding.

    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, key: SigningKey) -> bytes:
    """The envelope of ``payload`` with one signature, as JSON; ed25519 makes the same bytes each time."""
    return pack(Envelope(payload, (EnvelopeSignature(key.keyid, key.sign(pae(PAYLOAD_TYPE, payload))),)))


def pack(envelope: Envelope) -> bytes:
    """The one form that the ledger takes: what else JSON and base64 allow would be other bytes for the same."""
    signatures = [{"keyid": s.keyid, "sig": base64.b64encode(s.sig).decode()} for s in envelope.signatures]
    payload = base64.b64encode(envelope.payload).decode()
    packed = {"payloadType": envelope.payload_type, "payload": payload, "signatures": signatures}
    return json.dumps(packed, separators=(",", ":")).encode() + b"\n"


def unpack(raw: bytes) -> Envelope:
    """Read an envelope; no signature is looked at yet. Raises ValueError."""
    if len(raw) > MAX_ENVELOPE:
        raise ValueError(f"the envelope has {len(raw):,} bytes, more than {MAX_ENVELOPE:,}")
    data = strict_json(raw)
    signatures = data.get("signatures") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(signatures, list):
        raise ValueError("is no DSSE envelope")
    if not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise ValueError(f"has {len(signatures)} signatures, not 1 to {MAX_SIGNATURES}")
    if data.get("payloadType") != PAYLOAD_TYPE:
        raise ValueError(f"its payload is no {PAYLOAD_TYPE}")
    return Envelope(_bytes(data.get("payload")), tuple(_signature(s) for s in signatures))


def _signature(value: Any) -> EnvelopeSignature:
    if not isinstance(value, dict):
        raise ValueError("a signature is no mapping")
    keyid = value.get("keyid", "")
    if not isinstance(keyid, str):
        raise ValueError("a keyid is no text")
    return EnvelopeSignature(keyid, _bytes(value.get("sig")))


def _bytes(value: Any) -> bytes:
    """Base64, standard or URL-safe: the specification allows both."""
    if not isinstance(value, str):
        raise ValueError("payload or signature is no text")
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("payload or signature is no base64") from None
