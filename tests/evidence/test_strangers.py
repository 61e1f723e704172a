"""Evidence read by code that is not gitml's: in-toto's and secure-systems-lab's own libraries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement as InTotoStatement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from evidence.evidence_kit import REPOSITORY, START, VERSION, binding, enveloped, key_pair, named, trusted
from gitml.evidence.trust import Cause, believe_event
from gitml.git.ledger import Event

KEY, PUBLIC = key_pair()
OLD = json.loads((Path(__file__).parent / "data" / "ledger-format-1.json").read_text(encoding="utf-8"))
CHANGE = {"path": "models/m/production.yaml", "old": "", "new": "b" * 40}
ABOUT: dict[str, Any] = {
    "host": "forge.example",
    "model": "m",
    "version": VERSION,
    "artifact": "c" * 64,
    "policy": "e" * 64,
    "run": "https://forge.example/acme/app/actions/runs/9",
}
MATERIALS = [
    {"name": "data/flights.csv", "digest": {"md5": "1" * 32}},
    {"name": "params.yaml", "digest": {"sha256": "2" * 64}, "mediaType": "application/json"},
]
TRAINED = {
    "run": "https://forge.example/acme/app/actions/runs/3",
    "attempt": 2,
    "workflow": ".github/workflows/gitml-train.yml",
    "materials": MATERIALS,
}


def verified(raw: bytes, public: str = PUBLIC) -> dict[str, Any]:
    """The statement, after secure-systems-lab's library checked the signature and in-toto's the statement."""
    crypto = load_ssh_public_key(" ".join(public.split()[:2]).encode())
    key = SSlibKey.from_crypto(crypto, keyid=json.loads(raw)["signatures"][0]["keyid"])  # type: ignore[arg-type]
    envelope = Envelope.from_dict(json.loads(raw))
    assert list(envelope.verify([key], 1)) == [key.keyid]
    assert envelope.payload_type == "application/vnd.in-toto+json"
    message = json_format.ParseDict(json.loads(envelope.payload), StatementMessage())
    InTotoStatement.copy_from_pb(message).validate()
    return dict(json.loads(envelope.payload))


def test_the_key_id_is_the_fingerprint_that_openssh_prints() -> None:
    raw = enveloped(binding("gate", **ABOUT, change=CHANGE), KEY)
    verified(raw)
    assert json.loads(raw)["signatures"][0]["keyid"] == KEY.keyid
    stranger, _ = key_pair()
    with pytest.raises(VerificationError):
        verified(enveloped(binding("gate", **ABOUT, change=CHANGE), stranger))


def test_a_gate_is_a_test_result() -> None:
    gates = {"metrics": {"phase": "successful"}, "fairness": {"phase": "inconclusive"}}
    raw = enveloped(binding("gate", **ABOUT, change=CHANGE, result="inconclusive"), KEY, {"gates": gates})
    found = verified(raw)
    assert found["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    result = json_format.ParseDict(found["predicate"], test_result_pb2.TestResult(), ignore_unknown_fields=True)
    assert (result.result, result.url) == ("FAILED", ABOUT["run"])
    assert (list(result.passed_tests), list(result.warned_tests), list(result.failed_tests)) == (
        ["metrics"],
        [],
        ["fairness"],
    )
    ResourceDescriptor.copy_from_pb(result.configuration[0]).validate()


def test_trained_is_slsa_provenance() -> None:
    found = verified(enveloped(binding("trained", **ABOUT), KEY, TRAINED))
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [{"name": f"m@{VERSION}", "digest": {"sha256": "c" * 64}}]
    told = json_format.ParseDict(found["predicate"], provenance_pb2.Provenance(), ignore_unknown_fields=True)
    assert told.run_details.builder.id == "https://forge.example/acme/app/.github/workflows/gitml-train.yml"
    assert told.run_details.metadata.invocation_id == f"{TRAINED['run']}/attempts/2"
    definition = told.build_definition
    assert definition.external_parameters["source"] == f"git+https://forge.example/acme/app@{'a' * 40}"
    assert [(d.name, dict(d.digest)) for d in definition.resolved_dependencies] == [
        ("code", {"gitCommit": "a" * 40}),
        ("data/flights.csv", {"md5": "1" * 32}),
        ("params.yaml", {"sha256": "2" * 64}),
    ]
    for dependency in definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(dependency).validate()
    unknown = set(found["predicate"]) - {"buildDefinition", "runDetails"}
    assert all(key.startswith("gitml_") for key in unknown), "extensions begin with a vendor's name"


@pytest.mark.parametrize("event", OLD["events"], ids=[e["name"][25:-18] for e in OLD["events"]])
def test_a_ledger_of_the_first_format_is_read_on(event: dict[str, str]) -> None:
    """The bytes are those that gitml wrote before there was a second."""
    found = believe_event(
        Event(event["name"], event["envelope"].encode()),
        {"old": trusted(OLD["public"])},
        REPOSITORY,
        datetime(2026, 4, 1, tzinfo=UTC),
        "forge.example",
    )
    assert found.why_not == ""
    assert found.binding is not None
    assert found.binding.format == 1


def test_the_same_name_and_key_on_another_forge_is_another_repository() -> None:
    raw = enveloped(binding("gate", **ABOUT, change=CHANGE), KEY)
    event = Event(named(binding("gate", **ABOUT, change=CHANGE), raw), raw)
    keys = {"ci": trusted(PUBLIC)}
    for host, cause in (("forge.example", Cause.NONE), ("", Cause.NONE), ("evil.example", Cause.OTHER_REPOSITORY)):
        assert believe_event(event, keys, REPOSITORY, START, host).cause is cause
