"""What the earliest versions wrote is read by this one. The files in ``data`` were written by those versions' own code,
of the commits that brought each format (statements and deployments of 30 November 2026 in the first format, traffic
without arms of the same day, the first look), or are those of gitml's own repository on 24 November."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gitml.evidence.looks import looks_of
from gitml.evidence.trust import Believed, believe_event
from gitml.git.ledger import Event, event_name
from gitml.registry.lineage import lineage_digest
from gitml.registry.record import parse_record
from gitml.spec.deployment import parse_deployment
from gitml.spec.load import parse_application
from gitml.spec.policy import TrustedKey, parse_policy
from gitml.traffic.reader import Window, requests

DATA = Path(__file__).parent / "data"
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def believed(name: str, kind: str, time: str, host: str = "") -> Believed:
    """A statement as it lies on the ledger, judged with the key that signed it."""
    public = (DATA / f"{name}.pub").read_text().strip()
    key = TrustedKey.model_validate(
        {"public": public, "owner": "CI", "purposes": (kind,), "from": datetime(2026, 1, 1, tzinfo=UTC)}
    )
    raw = (DATA / f"{name}.json").read_bytes()
    return believe_event(Event(event_name(time, kind, raw), raw), {"ci": key}, "acme/flights", NOW, host)


def test_a_record_is_read_and_its_version_is_still_what_its_lineage_says() -> None:
    record = parse_record((DATA / "record.json").read_bytes())
    assert (record.reference, record.created) == ("delay@8d6bbf4c", "2026-11-24T21:56:34Z")
    assert lineage_digest(record.model, record.entries()).startswith("8d6bbf4c")
    assert record.to_json() == (DATA / "record.json").read_text(), "and is written as it was"


@pytest.mark.parametrize("host", ["", "github.com"])
def test_a_statement_of_the_first_format_counts(host: str) -> None:
    """It names no host, so any host will do."""
    found = believed("approved", "approved", "2026-11-25T08:00:00Z", host)
    assert found, found.why_not
    assert (found.kind, found.result, found.details) == ("approved", "passed", {"approvers": ["olga", "rita"]})
    assert found.binding is not None
    assert (found.binding.format, found.binding.pull) == (1, 7)


def test_the_first_look_is_one_that_later_looks_count_from() -> None:
    found = believed("look", "look", "2026-11-28T00:05:00Z", "github.com")
    assert found, found.why_not
    (look,) = looks_of([found]).of("delay", "staging")
    assert look.window == (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC))
    assert look.told["verdicts"]["drift"]["phase"] == "successful"


def test_the_first_gitml_yaml_and_policy_say_what_they_said() -> None:
    application = parse_application((DATA / "gitml.yaml").read_bytes())
    assert sorted(application.models) == ["delay", "mlp"]
    assert application.ci.system == ("github",)
    policy = parse_policy((DATA / "policy.yaml").read_bytes())
    assert list(policy.environments) == ["staging", "production"]
    assert policy.environments["production"].approvals == {"operations": 1, "risk": 1}
    gates = policy.environments["production"].gates_of("delay")
    assert (gates.format, gates.latency, gates.size) == (("skops", "safetensors"), 20.0, 50_000_000)
    assert (gates.champion["auc"].margin, gates.evidence["trained"]) == (0.01, timedelta(days=90))


def test_a_deployment_of_the_first_format_pins_what_it_pinned() -> None:
    found = parse_deployment((DATA / "staging.yaml").read_bytes(), "models/delay/staging.yaml")
    assert [pin.version[-8:] for pin in found.pins] == ["8d6bbf41", "8d6bbf42", "8d6bbf43"]
    assert (found.canary and found.canary.weight, found.hold and found.hold.by) == (5.0, "olga")


def test_traffic_without_arms_is_read_with_its_labels() -> None:
    window = Window(datetime(2025, 11, 25, tzinfo=UTC), datetime(2025, 11, 26, tzinfo=UTC))
    rows = [row for batch in requests(DATA / "traffic", "delay", window) for row in batch.to_pylist()]
    rows.sort(key=lambda row: (row["request_id"], row["row"]))
    assert [(r["request_id"], r["row"], r["label"]) for r in rows[:4]] == [
        ("r-0", 0, 1.0),
        ("r-0", 1, None),
        ("r-1", 0, None),
        ("r-1", 1, 0.0),
    ]
    assert {(r["version"], r["output_p_late"]) for r in rows} == {("v1", 0.25), ("v1", 0.75)}
    assert [r["feature_distance"] is None or math.isnan(r["feature_distance"]) for r in rows] == [False, True] * 3
    assert {r["outcome"] for r in rows} == {"ok"}
