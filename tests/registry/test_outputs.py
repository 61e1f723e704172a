"""What stages write about a model: read strictly."""

from __future__ import annotations

import pytest

from gitml.errors import SpecError
from gitml.registry.outputs import parse_metrics


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
