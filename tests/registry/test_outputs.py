"""What stages write about a model: read strictly."""

from __future__ import annotations

import json

import pytest

from gitml.errors import SpecError
from gitml.registry.outputs import parse_metrics
from gitml.registry.record import Metric
from gitml.stats.refits import Refits


@pytest.mark.parametrize(
    "text",
    [
        '{"auc": 0.1, "auc": 0.7}',
        '{"auc": {"value": 0.1, "value": 0.7}}',
        '{"by": {"auc": 0.1}, "by.auc": 0.7}',
    ],
)
def test_a_metric_that_stands_twice_is_none(text: str) -> None:
    """Readers take the first or the last as they like."""
    with pytest.raises(SpecError, match="stands twice"):
        parse_metrics(text.encode(), "metrics.json")


def metrics(**parts: object) -> bytes:
    return json.dumps(parts).encode()


def test_refits_are_kept_as_their_number_and_deviation() -> None:
    found = parse_metrics(
        metrics(auc={"value": 0.7, "refits": [1, 2, 3, 4, 5]}, by={"loss": {"value": 1, "refits": None}}), "m.json"
    )
    assert found == {"auc": Metric(value=0.7, refits=Refits(5, 2.5**0.5)), "by.loss": Metric(value=1.0)}


@pytest.mark.parametrize(
    ("refits", "told"),
    [
        ([], "0 refits, 5 or more"),
        ([0.7] * 4, "4 refits, 5 or more"),
        ([0.7] * 1001, "1001 refits"),
        ([0.7] * 5 + [float("nan")], r"refits\[5\] is no finite number"),
        ([0.7] * 4 + ["0.7"], r"refits\[4\] is no finite number"),
        ([0.7] * 4 + [True], r"refits\[4\] is no finite number"),
        ([10**400] * 5, r"refits\[0\] is no finite number"),
        ([1.7e308, -1.7e308] * 3, "too far apart"),
        ("0.7 0.7 0.7 0.7 0.7", "no list of numbers"),
        ({"7": 0.7}, "no list of numbers"),
    ],
)
def test_what_is_no_list_of_refits_is_refused_by_name(refits: object, told: str) -> None:
    with pytest.raises(SpecError, match=told) as found:
        parse_metrics(metrics(auc={"value": 0.7, "refits": refits}), "m.json")
    assert [p.key for p in found.value.problems] == ["auc"]
    assert len(str(found.value)) < 400, "a long list is not repeated"


def test_a_fit_that_lacks_in_one_metric_is_named() -> None:
    raw = metrics(a={"value": 1, "refits": [1] * 6}, b={"value": 1, "refits": [1] * 5}, c=1)
    with pytest.raises(SpecError, match="b: has 5 refits, another metric has 6"):
        parse_metrics(raw, "m.json")
