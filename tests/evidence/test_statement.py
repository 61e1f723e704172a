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


KINDS = ["trained", "evaluated", "gate", "approved", "promoted", "rolled-back", "drift"]


@given(kind=st.sampled_from(KINDS), details=st.dictionaries(TEXT, JSON))
def test_round_trip(kind: str, details: dict[str, Any]) -> None:
    statement = Statement(binding(kind, **FULL), details)
    payload = to_payload(statement)
    assert parse_payload(payload) == statement
    assert to_payload(parse_payload(payload)) == payload


def test_what_it_is_about_in_the_words_of_in_toto() -> None:
    gate = json.loads(to_payload(Statement(binding("gate", **FULL, result="failed"))))
    assert gate["_type"] == "https://in-toto.io/Statement/v1"
    assert gate["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert gate["subject"] == [
        {"name": f"m@{VERSION}", "digest": {"sha256": "c" * 64}},
        {"name": CHANGE["path"], "digest": {"gitBlob": "b" * 40}},
    ]
    other = json.loads(to_payload(Statement(binding("rolled-back"))))
    assert other["predicateType"] == "https://gitml.dev/evidence/rolled-back/v1"
    assert other["subject"] == [{"name": "acme/app", "digest": {"gitCommit": "a" * 40}}]


def verdict(phase: str) -> dict[str, str]:
    return {"phase": phase, "reason": ""}


@pytest.mark.parametrize(
    ("result", "phases", "override", "said"),
    [
        ("passed", {"metrics": "successful"}, None, ("PASSED", ["metrics"], [], [])),
        ("failed", {"metrics": "failed", "size": "successful"}, None, ("FAILED", ["size"], [], ["metrics"])),
        ("inconclusive", {"metrics": "inconclusive"}, None, ("FAILED", [], [], ["metrics"])),
        ("passed", {"metrics": "failed"}, {"gates": ["metrics"]}, ("WARNED", [], ["metrics"], [])),
    ],
)
def test_what_is_not_open_has_failed(result: str, phases: dict[str, str], override: Any, said: Any) -> None:
    """in-toto's WARNED means passed with warnings: that is a gate which people opened, and not one that waits."""
    details = {"gates": {name: verdict(phase) for name, phase in phases.items()}, "override": override}
    predicate = json.loads(to_payload(Statement(binding("gate", **FULL, result=result), details)))["predicate"]
    lists = [predicate[key] for key in ("passedTests", "warnedTests", "failedTests")]
    assert (predicate["result"], *lists) == said


def test_approvals_that_wait_are_a_failed_test_too() -> None:
    details = {"gates": {}, "approvals": verdict("inconclusive"), "freeze": verdict("successful"), "refused": ["why"]}
    predicate = json.loads(to_payload(Statement(binding("gate", **FULL, result="failed"), details)))["predicate"]
    assert predicate["failedTests"] == ["approvals", "refused"]
    assert predicate["passedTests"] == ["freeze"]


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
        edited(predicate__passedTests=["metrics"]),
        edited(predicate__gitml_binding=None),
        edited(predicate__gitml_binding__result="failed"),
        edited(predicate__gitml_binding__artifact="f" * 64),
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


def test_a_statement_of_a_newer_format_says_to_upgrade() -> None:
    data = json.loads(to_payload(Statement(binding())))
    assert data["predicate"]["gitml_binding"]["format"] == 2
    data["predicate"]["gitml_binding"] |= {"format": 3, "subjects": []}
    with pytest.raises(ValueError, match=r"^has format 3, and this gitml reads format 2: upgrade gitml$"):
        parse_payload(json.dumps(data).encode())


def test_the_first_format_keeps_its_bytes() -> None:
    first = Statement(binding(format=1))
    data = json.loads(to_payload(first))
    assert not {"format", "host"} & set(data["predicate"]["gitml"])
    assert parse_payload(to_payload(first)) == first
    with pytest.raises(ValueError, match="format 1 did not have"):
        binding(format=1, host="github.com")
    data["predicate"]["gitml_binding"] = data["predicate"].pop("gitml")
    with pytest.raises(ValueError, match="is not where format 1 has its binding"):
        parse_payload(json.dumps(data).encode())
