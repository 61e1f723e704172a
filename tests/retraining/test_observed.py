"""What a statement on another repository must say before anything follows from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitml.evidence.statement import Binding, Statement
from gitml.git.tree import WorkTree
from gitml.retraining.observed import KIND, Downstream, is_fresh, last_observed, observed_in
from gitml.spec import Deployment, parse_application, render_deployment
from promotion.promoting import GITML, pin
from retraining.two_repositories import DELAY, NEW, OLD

URL, AT = "https://git.example.org/acme/demand", datetime(2026, 3, 1, 12, tzinfo=UTC)
TOLD: dict[str, Any] = {
    "need": "demand", "repository": URL, "branch": "main", "application": "", "model": "demand",
    "environment": "production", "commit": "a" * 40, "runs": NEW.version, "artifact": "b" * 64,
    "trained_with": [OLD.version], "since": "2026-03-01T00:00:00Z",
}  # fmt: skip
ABOUT: dict[str, Any] = {
    "kind": KIND, "repository": "acme/pricing", "time": "2026-03-01T12:00:00Z", "model": "delay",
    "version": DELAY.version, "artifact": pin(DELAY).digest,
}  # fmt: skip


@pytest.fixture
def downstream(tmp_path: Path) -> Downstream:
    """A folder with what main has of the model."""
    text = f"{GITML}    needs: {{demand: {{repository: {URL}}}}}\n"
    for path, content in {
        f"models/delay/versions/{DELAY.version}.json": DELAY.to_json(),
        "models/delay/production.yaml": render_deployment(Deployment(champion=pin(DELAY))),
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return Downstream(parse_application(text.encode()), WorkTree(tmp_path), "", "delay")


def said(about: dict[str, Any] | None = None, **told: Any) -> Statement:
    return Statement(Binding.model_validate({**ABOUT, **(about or {})}), {**TOLD, **told})


def test_it_is_of_exactly_what_main_needs_and_has(downstream: Downstream) -> None:
    found = observed_in(downstream, said())
    assert found is not None
    assert str(found.change.upstream) == f"{URL}:demand"
    for wrong in (
        {"repository": "https://git.example.org/eve/demand"}, {"branch": "side"}, {"application": "apps/demand"},
        {"model": "other"}, {"environment": "staging"}, {"need": "other"}, {"runs": "latest"}, {"runs": OLD.version},
        {"trained_with": []}, {"since": "2026-03-01T00:00:00"}, {"since": float("nan")}, {"more": 1}, {"format": 2},
    ):  # fmt: skip
        assert observed_in(downstream, said(**wrong)) is None, wrong
    for about in (
        {"kind": "evaluated"}, {"model": "other"}, {"artifact": "ab" * 32}, {"version": "20260101T000000Z-00000000"},
    ):  # fmt: skip
        assert observed_in(downstream, said(about)) is None, about


def test_it_opens_something_for_two_days_and_the_newest_of_each_counts(downstream: Downstream) -> None:
    for hours, fresh in ((-49, False), (-47, True), (0.5, True), (2, False)):
        moment = f"{AT + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
        assert is_fresh(said({"time": moment}), AT) is fresh, hours
    newer = said(runs="20260301T080000Z-3f2a90bc")
    assert [one.runs for one in last_observed(downstream, (said(), newer, said(need="x")))] == [
        "20260301T080000Z-3f2a90bc"
    ]
