"""Envelopes and keys: other people's tools agree, and what does not count says why."""

import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from evidence.evidence_kit import REPOSITORY, START, binding, enveloped, key_pair, trusted
from gitml.errors import UsageError
from gitml.evidence.dsse import PAYLOAD_TYPE, pae, sign, unpack
from gitml.evidence.keys import fingerprint, generate, is_signed, signing_key
from gitml.evidence.statement import Statement, parse_payload, to_payload
from gitml.evidence.trust import Believed, Cause, believe, believe_event
from gitml.git import ledger
from gitml.git.ledger import Event
from gitml.jsontext import canonical

KEY, PUBLIC = key_pair()
NOW = START + timedelta(days=1)
ENVELOPE = enveloped(binding(), KEY)


def cause(envelope: bytes = ENVELOPE, **given: Any) -> Cause:
    keys = given.get("keys", {"ci": trusted(PUBLIC)})
    believed = believe(envelope, keys, given.get("repository", REPOSITORY), given.get("now", NOW))
    assert bool(believed) == (believed.cause is Cause.NONE) == (believed.why_not == "")
    return believed.cause


def test_a_good_one_is_believed() -> None:
    believed = believe(ENVELOPE, {"old": trusted(key_pair()[1]), "ci": trusted(PUBLIC)}, REPOSITORY, NOW)
    assert believed.signer == "ci"
    assert believed.why_not == ""
    assert believed.statement == Statement(binding())
    assert cause(repository="ACME/app") is Cause.NONE


def test_what_does_not_count() -> None:
    stranger, _ = key_pair()
    assert cause(keys={}) is Cause.UNKNOWN_KEY
    assert cause(enveloped(binding(), stranger)) is Cause.UNKNOWN_KEY
    assert cause(keys={"ci": trusted(PUBLIC, ("approved",))}) is Cause.WRONG_PURPOSE
    assert cause(repository="acme/other") is Cause.OTHER_REPOSITORY
    assert cause(now=START - timedelta(minutes=3)) is Cause.FUTURE
    assert cause(now=START - timedelta(minutes=1)) is Cause.NONE
    assert cause(keys={"ci": trusted(PUBLIC, until="2026-02-28")}) is Cause.EXPIRED_KEY
    assert cause(keys={"ci": trusted(PUBLIC, until="2026-03-01T08:00:00Z")}) is Cause.EXPIRED_KEY
    assert cause(keys={"ci": trusted(PUBLIC, until="2026-03-01T08:00:01Z")}) is Cause.NONE
    assert cause(keys={"ci": trusted(PUBLIC, **{"from": "2026-03-02"})}) is Cause.EXPIRED_KEY


def changed(**parts: Any) -> bytes:
    return json.dumps({**json.loads(ENVELOPE), **parts}).encode()


def test_a_stolen_name_or_an_edited_payload() -> None:
    stranger, _ = key_pair()
    forged = json.loads(enveloped(binding(), stranger))
    forged["signatures"][0]["keyid"] = KEY.keyid
    assert cause(json.dumps(forged).encode()) is Cause.BAD_SIGNATURE
    other = base64.b64encode(to_payload(Statement(binding(result="failed")))).decode()
    assert cause(changed(payload=other)) is Cause.BAD_SIGNATURE
    assert cause(changed(signatures=[{"sig": json.loads(ENVELOPE)["signatures"][0]["sig"]}])) is Cause.NONE
    assert cause(changed(signatures=[forged["signatures"][0], *json.loads(ENVELOPE)["signatures"]])) is Cause.NONE


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        changed(payloadType="text/plain"),
        changed(payload="*"),
        changed(payload=None),
        changed(signatures=[]),
        changed(signatures=[1]),
        changed(signatures=[{"keyid": 1, "sig": ""}]),
        changed(signatures=[{"keyid": "", "sig": "AA=="}] * 11),
        changed(payload=base64.b64encode(b"{}").decode()),
        ENVELOPE.replace(b'{"payloadType"', b'{"payload":"","payloadType"'),
        ENVELOPE + b" " * 1_000_001,
    ],
)
def test_envelopes_that_cannot_be_read(envelope: bytes) -> None:
    assert cause(envelope) is Cause.UNREADABLE


def test_signatures_of_a_wrong_length() -> None:
    assert cause(changed(signatures=[{"keyid": KEY.keyid, "sig": "AA=="}])) is Cause.BAD_SIGNATURE


@given(st.integers(0, len(ENVELOPE) - 2), st.integers(1, 255))
def test_no_flipped_byte_makes_another_statement(place: int, flip: int) -> None:
    raw = bytearray(ENVELOPE)
    raw[place] ^= flip
    believed = believe(bytes(raw), {"ci": trusted(PUBLIC)}, REPOSITORY, NOW)
    assert not believed or believed.statement == Statement(binding())


def test_the_specification() -> None:
    """The example of DSSE's protocol.md."""
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    envelope = unpack(sign(b"\x00payload\xff", KEY))
    assert envelope.payload == b"\x00payload\xff"
    assert is_signed(PUBLIC, envelope.signatures[0].sig, pae(PAYLOAD_TYPE, b"\x00payload\xff"))
    assert json.loads(ENVELOPE)["payloadType"] == "application/vnd.in-toto+json"
    urlsafe = changed(payload=json.loads(ENVELOPE)["payload"].replace("+", "-").replace("/", "_"))
    assert parse_payload(unpack(urlsafe).payload) == Statement(binding())


def test_ssh_keygen_and_we_agree(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "theirs"], cwd=tmp_path, check=True)
    theirs = signing_key(str(tmp_path / "theirs"))
    public = (tmp_path / "theirs.pub").read_text()
    said = subprocess.run(["ssh-keygen", "-lf", "theirs.pub"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert theirs.keyid == fingerprint(public) == said.stdout.split()[1]
    private, line = generate("me")
    (tmp_path / "ours").write_text(private)
    (tmp_path / "ours").chmod(0o600)
    said = subprocess.run(["ssh-keygen", "-yf", "ours"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout.split()[:2] == line.split()[:2]


def test_keys_as_secrets_hold_them() -> None:
    private, public = generate()
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for text in (private.strip(), private.replace("\n", "\r\n"), f"\n {private}", pem):
        assert len(signing_key(text).sign(b"x")) == 64
    assert signing_key(private.strip()).keyid == fingerprint(public)
    assert "PRIVATE" not in repr(signing_key(private))


def test_keys_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    curve = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    locked = (
        Ed25519PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        .decode()
    )
    private, public = generate()
    broken = private[:100] + "AAAA" + private[104:]
    for text in (
        "",
        " ",
        public,
        "no/such/file",
        str(tmp_path),
        str(tmp_path / "empty"),
        curve,
        locked,
        broken,
        "ü" * 9000,
    ):
        with pytest.raises(UsageError) as caught:
            signing_key(text)
        assert private[60:90] not in caught.value.message + caught.value.hint


def test_the_first_reason_why_a_statement_does_not_count_stays() -> None:
    fine = Believed(Statement(binding()), "ci", "")
    assert fine.unless("") == fine
    assert not fine.unless("it speaks of another merge")
    assert fine.unless("too old").unless("it speaks of another merge").why_not == "too old"
    assert Believed(None, "", "cannot be read").binding is None


@pytest.mark.parametrize("both", [False, True])
def test_an_event_of_the_first_format_has_one_form_too(both: bool) -> None:
    """Whatever a key of CI could be made to sign in other words: one binding, in its one place, that says no format."""
    ci, public = key_pair()
    keys = {"ci": trusted(public)}
    about = binding(format=1)
    plain = enveloped(about, ci)
    name = ledger.event_name(about.time, about.kind, plain)
    assert believe_event(Event(name, plain), keys, REPOSITORY, START, "github.com")
    elsewhere = believe_event(Event(name, plain), keys, "acme/other", START)
    assert elsewhere.cause is Cause.OTHER_REPOSITORY
    data = json.loads(to_payload(Statement(about)))
    if both:
        data["predicate"]["gitml_binding"] = {**binding(result="failed").to_dict(), "host": "github.com"}
    else:
        data["predicate"]["gitml"]["format"] = 1
    forged = sign(canonical(data), ci)
    found = believe_event(Event(ledger.event_name(about.time, about.kind, forged), forged), keys, REPOSITORY, START)
    assert (bool(found), found.cause) == (False, Cause.UNREADABLE if both else Cause.NOT_CANONICAL)
