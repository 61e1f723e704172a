from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gitml_sandbox.forge.protections import Check, Protection, Reviews, from_request

BASE: dict[str, Any] = {
    "required_status_checks": None,
    "enforce_admins": None,
    "required_pull_request_reviews": None,
    "restrictions": None,
}


def test_nulls_ask_for_nothing() -> None:
    assert from_request(BASE) == Protection()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"contexts": ["ci"]}, [("ci", None)]),
        ({"checks": [{"context": "ci", "app_id": 7}]}, [("ci", 7)]),
        ({"checks": [{"context": "ci", "app_id": -1}]}, [("ci", None)]),
        ({"checks": [], "contexts": ["ci"]}, [("ci", None)]),
        ({"checks": [{"context": "ci", "app_id": 7}], "contexts": ["ci", "gate"]}, [("ci", 7), ("gate", None)]),
    ],
)
def test_old_and_new_lists_of_checks_add_up(given: dict[str, Any], expected: list[tuple[str, int | None]]) -> None:
    made = from_request({**BASE, "required_status_checks": {"strict": True, **given}})
    assert made.required_status_checks is not None
    assert made.required_status_checks.strict
    assert made.required_status_checks.checks == tuple(Check(context=c, app_id=a) for c, a in expected)


def test_an_empty_limit_on_dismissals_is_no_limit() -> None:
    made = from_request({**BASE, "required_pull_request_reviews": {"dismissal_restrictions": {}}})
    assert made.required_pull_request_reviews == Reviews()


@pytest.mark.parametrize(
    "wrong",
    [
        {"required_status_checks": {"strict": True, "contexts": [""]}},
        {"required_status_checks": {"strict": True, "checks": ["ci"]}},
        {"required_pull_request_reviews": {"required_approving_review_count": 7}},
        {"required_pull_request_reviews": {"required_aproving_review_count": 1}},
        {"restrictions": {"users": "ada"}},
    ],
)
def test_what_is_misspelt_protects_nothing_and_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        from_request({**BASE, **wrong})


def test_it_is_stored_as_it_is_read() -> None:
    made = from_request(
        {**BASE, "required_pull_request_reviews": {"dismiss_stale_reviews": True}, "enforce_admins": True}
    )
    assert Protection.model_validate_json(made.model_dump_json()) == made
