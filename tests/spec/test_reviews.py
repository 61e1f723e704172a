"""``reviews`` and ``logbook`` of policy.yaml."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gitml.errors import SpecError
from gitml.spec import parse_policy
from gitml.spec.application import Model
from gitml.spec.reviews import ReviewPeriods

WEEK = timedelta(weeks=1)


@pytest.mark.parametrize(
    ("tier", "own", "within"),
    [
        ("high", None, 26),
        ("low", None, None),
        (None, None, 26),
        ("high", "4w", 4),
        ("high", "90w", 26),
        ("low", "9w", 9),
    ],
)
def test_gitml_yaml_can_ask_for_more_reviews_and_never_for_fewer(
    tier: str | None, own: str | None, within: int | None
) -> None:
    rules = ReviewPeriods.model_validate({"high": "26w", "medium": "52w"})
    model = Model.model_validate({"artifact": "m.onnx", "metrics": "m.json", "tier": tier, "review": own})
    assert rules.within(model) == (within and within * WEEK)


def test_requests_are_not_deleted_before_the_log_may_end() -> None:
    text = "environments: {production: {}}\nretention: {requests: 90d}\n"
    assert parse_policy(text.encode()).logbook.keep == timedelta(days=183), "asked by nobody"
    with pytest.raises(SpecError, match="requests are deleted after 90 days, and the log reaches 182 back"):
        parse_policy((text + "logbook: {keep: 26w}\n").encode())
    with pytest.raises(SpecError, match="there is no role"):
        parse_policy((text + "reviews: {high: 26w, roles: [nobody]}\n").encode())
