"""Evaluations of candidates: which counts, what is none, and what an audit finds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from evidence.canary_kit import BEGAN, CANDIDATE, CHAMPION, HOUR, RULES, details, evaluation, part
from evidence.evidence_kit import REPOSITORY, binding, enveloped, key_pair, named, trusted
from gitml.evidence.canaries import Canaries, canaries_of, canary_details, canary_of, findings
from gitml.evidence.evaluations import Pair
from gitml.evidence.looks import RESULTS
from gitml.evidence.trust import Believed, believe_event
from gitml.git.ledger import Event
from gitml.verdict import Phase

KEY, PUBLIC = key_pair()
KEYS = {"canaries": trusted(PUBLIC, ("canary",))}
PAIR = Pair("m", "production", tuple(CANDIDATE.values()), tuple(CHAMPION.values()))  # type: ignore[arg-type]


def told(
    hours: int = 1, phase: str = "successful", *, signed: int | None = None, about: Any = None, **more: Any
) -> Believed:
    """``signed``: how many hours after BEGAN."""
    found = details(hours, phase, **more)
    time = BEGAN + (hours if signed is None else signed) * HOUR
    arm = found["evaluation"]["candidate"]
    bound = {
        "kind": "canary", "model": "m", "environment": "production", "version": arm["version"],
        "artifact": arm["artifact"], "time": f"{time:%Y-%m-%dT%H:%M:%SZ}", "result": RESULTS[Phase(phase)],
    }  # fmt: skip
    statement = binding(**{**bound, **(about or {})})
    envelope = enveloped(statement, KEY, found)
    return believe_event(Event(named(statement, envelope), envelope), KEYS, REPOSITORY, BEGAN + timedelta(days=99))


def test_an_evaluation_says_what_it_was_made_from() -> None:
    one = canary_of(told())
    assert (one.pair, one.told.rules, one.told.mode, one.told.phase) == (PAIR, RULES, "split", Phase.SUCCESSFUL)
    assert one.raw == evaluation()


def test_of_one_id_the_first_that_was_signed_counts() -> None:
    late = told(phase="successful", signed=5)
    first = told(phase="inconclusive", signed=2)
    found = canaries_of([late, first])
    assert [c.told.phase for c in found.counting] == [Phase.INCONCLUSIVE]
    assert [c.said.name for c in found.later] == [late.name]


def test_the_newest_under_exactly_these_rules_is_found_and_a_failure_under_any() -> None:
    found = canaries_of([told(1), told(2, "inconclusive"), told(3, rules="d" * 64), told(4, "failed", rules="e" * 64)])
    newest = found.newest(PAIR, RULES)
    assert newest is not None
    assert newest.told.until == BEGAN + 2 * HOUR
    failed = found.failed(PAIR)
    assert failed is not None
    assert failed.told.rules == "e" * 64
    assert found.failed(PAIR._replace(champion=("20260101T070000Z-00000000", "a" * 64))) is None
    assert found.newest(PAIR, "f" * 64) is None
    assert Canaries().newest(PAIR, RULES) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scheduled": False}, "scheduled"),
        ({"rules": "short"}, "rules"),
        ({"candidate": CHAMPION}, "its candidate is the champion"),
        ({"candidate": {**CANDIDATE, "note": ""}}, "note"),
        ({"next_look": evaluation()["until"]}, "before the next one"),
        ({"until": 1772355600}, "is no time"),
        ({"parts": [part(phase="failed")]}, "passes, and its parts do not"),
        ({"parts": [part("errors", of="guardrail")]}, "passes, and its parts do not"),
        ({"parts": [part(), part("units", "inconclusive", "traffic")]}, "passes, and its parts do not"),
        ({"phase": "inconclusive", "parts": [part("errors", "inconclusive", "guardrail")]}, "guardrails are not kept"),
        ({"parts": []}, "passes, and its parts do not"),
        ({"phase": "failed"}, "its next step is ready"),
        ({"parts": [{**part(), "low": float("nan")}]}, "low"),
        ({"parts": [{**part(), "n": {"champion": 1.5, "candidate": 1}}]}, "champion"),
        ({"mode": "guess"}, "mode"),
        ({"series": [{"at": "2026-03-01T09:00:00Z", "difference": 0, "low": 0, "high": 0}] * 61}, "series"),
        ({"more": 1}, "more"),
    ],
)
def test_what_is_wrong_in_itself_is_no_evaluation(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        canary_details({**evaluation(), **change})


@pytest.mark.parametrize(
    "about",
    [{"result": "failed"}, {"version": CHAMPION["version"]}, {"artifact": "f" * 64}, {"model": "other"},
     {"environment": "staging"}, {"kind": "look"}],
)  # fmt: skip
def test_a_binding_that_speaks_of_something_else_counts_for_nothing(about: dict[str, str]) -> None:
    said = told(about=about)
    with pytest.raises(ValueError, match=r"its details speak of something else|is no evaluation"):
        canary_of(said)
    assert canaries_of([said]).counting == ()


def test_a_key_of_looks_alone_signs_no_evaluation() -> None:
    said = told()
    keys = {"looks": trusted(PUBLIC, ("look",))}
    assert not believe_event(said.event, keys, REPOSITORY, BEGAN + timedelta(days=9))


def test_an_audit_finds_another_result_for_the_same_id() -> None:
    again = told(signed=2)
    assert list(findings([told(), again])) == []
    (found,) = findings([told(), told(phase="inconclusive", signed=2)])
    assert (found.kind, found.phase) == ("canary-contradicted", Phase.FAILED)
    (dated_back,) = findings([told(9), told(2)])
    assert dated_back.kind == "event-reordered"
    (forged,) = findings([told(about={"result": "failed"})])
    assert "contradicts itself" in forged.message
