"""Statements: what goes in comes out, and nothing that is wrong, doubled or contradictory is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.evidence_kit import VERSION, binding
from gitml.evidence.statement import Statement, parse_payload, to_payload

CHANGE = {"path": "models/m/production.yaml", "old": "", "new": "b" * 40}
FULL = {
    "model": "m",
    "environment": "production",
    "version": VERSION,
    "artifact": "c" * 64,
    "change": CHANGE,
    "pull": 7,
    "base": "d" * 40,
    "policy": "e" * 64,
    "run": "https://forge/acme/app/actions/runs/1",
    "by": "github-actions[bot]",
}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@pytest.mark.parametrize("kind", ["trained", "evaluated", "gate", "approved", "promoted", "rolled-back", "drift"])
@given(details=st.dictionaries(TEXT, JSON))
def test_round_trip(kind: str, details: dict[str, Any]) -> None:
    statement = Statement(binding(kind, **FULL), details)
    payload = to_payload(statement)
    assert parse_payload(payload) == statement
    assert to_payload(parse_payload(payload)) == payload


def test_in_toto_reads_it() -> None:
    gate = json.loads(to_payload(Statement(binding("gate", **FULL, result="failed"))))
    assert gate["_type"] == "https://in-toto.io/Statement/v1"
    assert gate["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert gate["predicate"]["result"] == "FAILED"
    assert gate["subject"] == [
        {"name": f"m@{VERSION}", "digest": {"sha256": "c" * 64}},
        {"name": CHANGE["path"], "digest": {"gitBlob": "b" * 40}},
    ]
    trained = json.loads(to_payload(Statement(binding("trained", **FULL))))
    assert trained["predicateType"] == "https://slsa.dev/provenance/v1"
    assert trained["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"] == {"gitCommit": "a" * 40}
    assert trained["predicate"]["runDetails"]["builder"]["id"] == FULL["run"]
    other = json.loads(to_payload(Statement(binding("rolled-back"))))
    assert other["predicateType"] == "https://gitml.dev/evidence/rolled-back/v1"
    assert other["subject"] == [{"name": "acme/app", "digest": {"gitCommit": "a" * 40}}]


@pytest.mark.parametrize(
    "details",
    [
        {"x": float("nan")},
        {"x": float("inf")},
        {"x": b"1"},
        {1: "x"},
        {"x": {"y": {2: 1}}},
        {"x": "\ud800"},
        {"x": "y" * 800_000},
    ],
)
def test_details_that_are_no_json(details: dict[Any, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        to_payload(Statement(binding(), details))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "promised"},
        {"repository": "app"},
        {"time": "2026-03-01 08:00:00Z"},
        {"time": "2026-02-30T08:00:00Z"},
        {"time": "2026-03-01T08:00:00+01:00"},
        {"time": "٢٠٢٦-03-01T08:00:00Z"},
        {"version": "3f2a90bc"},
        {"artifact": "C" * 64},
        {"head": "a" * 39},
        {"head": "a" * 40 + "\n"},
        {"pull": 0},
        {"pull": "7"},
        {"pull": True},
        {"by": "ada\nolga"},
        {"run": "a\x1b[31m"},
        {"result": "PASSED"},
        {"change": {**CHANGE, "path": "../x"}},
        {"change": {**CHANGE, "path": "/x"}},
        {"change": {**CHANGE, "new": ""}},
        {"more": 1},
        {"head": ""},
    ],
)
def test_wrong_bindings(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        binding(**wrong)


def edited(**paths: Any) -> bytes:
    """A good statement with parts replaced; `a__b` names a key of a key, None removes it."""
    data = json.loads(to_payload(Statement(binding("gate", **FULL), {"x": 1})))
    for path, value in paths.items():
        *way, last = path.split("__")
        place = data
        for key in way:
            place = place[key]
        place[last] = value
        if value is None:
            del place[last]
    return json.dumps(data).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xff",
        b"{" * 100_000,
        b"[" * 200_000,
        b'{"predicate": 1}',
        b'{"predicate": {"gitml": {}}, "predicate": {}}',
        edited(_type="https://in-toto.io/Statement/v0.1"),
        edited(predicateType="https://slsa.dev/provenance/v1"),
        edited(subject=[]),
        edited(subject=[{"name": "other", "digest": {"sha256": "c" * 64}}]),
        edited(predicate__result="FAILED"),
        edited(predicate__gitml=None),
        edited(predicate__gitml__result="failed"),
        edited(predicate__gitml__artifact="f" * 64),
        edited(predicate__gitml_details=[1]),
        edited(predicate__more=1),
        edited(more=1),
        edited(predicate__gitml_details={"x": 1}).replace(b'{"x": 1}', b'{"x": 1, "x": 2}'),
        edited(predicate__gitml_details={"x": 1}).replace(b'"x": 1', b'"x": NaN'),
        edited(predicate__gitml_details={"x": 1}).replace(b'"x": 1', b'"x": 1e999'),
        edited(predicate__gitml_details={"x": 1}).replace(b'"x": 1', b'"x": "\\ud800"'),
        b" " * 800_000,
    ],
)
def test_what_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        parse_payload(payload)


@given(st.binary())
def test_any_bytes_are_a_statement_or_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ
        parse_payload(raw)


def test_a_statement_of_a_newer_format_says_to_upgrade_and_the_first_is_not_written() -> None:
    payload = to_payload(Statement(binding()))
    data = json.loads(payload)
    assert "format" not in data["predicate"]["gitml"]
    data["predicate"]["gitml"] |= {"format": 2, "subjects": []}
    with pytest.raises(ValueError, match=r"^has format 2, and this gitml reads format 1: upgrade gitml$"):
        parse_payload(json.dumps(data).encode())
    data["predicate"]["gitml"] = json.loads(payload)["predicate"]["gitml"] | {"format": 1}
    assert parse_payload(json.dumps(data).encode()) == Statement(binding())
