"""``gitml audit`` walks the looks of monitors as it walks the ledger."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import git, packed
from evidence.evidence_kit import REPOSITORY, START, VERSION, World, binding, key_pair, stamp, world
from evidence.look_kit import look_details
from gitml.evidence.audit import Audit
from gitml.evidence.keys import SigningKey
from gitml.git import ledger
from gitml.promotion.audit import AuditCall, audit
from gitml.promotion.auditexport import export, reread
from gitml.verdict import Phase

NOW = START + timedelta(days=9)
RESULTS = {"successful": "passed", "failed": "failed"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = world(tmp_path_factory.mktemp("looked"))
    made.promote("one")
    key, public = key_pair()
    text = made.policy({"ci": made.public}) + (
        f"  looks: {{public: '{public}', owner: CI, purposes: [look, served], from: 2026-01-01}}\n"
    )
    made.commit({"policy.yaml": text})
    packed(made.root.parent)
    KEYS["looks"], (KEYS["stranger"], _) = key, key_pair()
    return made


KEYS: dict[str, SigningKey] = {}


@pytest.fixture
def app(template: World, tmp_path: Path) -> World:
    return template.copy(tmp_path)


def look(app: World, week: int = 0, *, when: datetime | None = None, key: str = "looks", **more: Any) -> str:
    details = look_details(week, version=VERSION, **more)
    result = RESULTS[details["look"]["phase"]]
    about = binding(
        "look", model="m", environment="production", version=VERSION, result=result, time=stamp(when or app.now())
    )
    name, envelope = app.sign(about, KEYS.get(key, app.key), details)
    ledger.append(app.server, {name: envelope}, branch=ledger.LOOKS)
    return name


def judged(app: World, **asked: Any) -> Audit:
    app.publish()
    return audit(app.root, {}, AuditCall(repository=REPOSITORY, **asked), now=NOW)


def of_looks(result: Audit) -> list[tuple[str, str]]:
    return [(f.kind.value, f.phase.value) for f in result.facts.looks]


def test_looks_that_agree_are_no_finding(app: World) -> None:
    look(app, 0)
    look(app, 1)
    look(app, 1)
    assert of_looks(judged(app)) == []


def test_another_result_from_the_same_inputs_fails_the_audit(app: World) -> None:
    first, second = look(app), look(app, drift="failed")
    result = judged(app)
    assert of_looks(result) == [("look-contradicted", "failed")]
    (found,) = result.facts.looks
    assert (found.subject, first in found.message) == (second, True)
    assert result.verdict.phase is Phase.FAILED


def test_other_inputs_are_a_correction_that_replaces_nothing(app: World) -> None:
    look(app)
    look(app, drift="failed", inputs="b")
    assert of_looks(judged(app)) == [("look-corrected", "inconclusive")]


def test_traffic_that_was_counted_differently_is_named(app: World) -> None:
    look(app, disagrees=[{"id": "1" * 64, "signed": "2" * 64, "counted": "3" * 64}])
    assert of_looks(judged(app)) == [("look-disagrees", "inconclusive")]


def test_a_key_that_may_not_sign_looks_is_named(app: World) -> None:
    look(app, key="ci")
    assert of_looks(judged(app)) == [("wrong-purpose", "failed")]


def test_other_evidence_has_no_place_among_looks(app: World) -> None:
    name, envelope = app.sign(binding("gate", time=stamp(app.now())))
    ledger.append(app.server, {name: envelope}, branch=ledger.LOOKS)
    assert of_looks(judged(app)) == [("unreadable", "failed")]


def test_a_look_that_is_dated_back_is_named(app: World) -> None:
    look(app, 1)
    look(app, 0, when=START - timedelta(days=1))
    assert of_looks(judged(app)) == [("event-reordered", "failed")]


def test_a_deleted_look_still_counts_and_is_named(app: World, tmp_path: Path) -> None:
    gone = look(app)
    look(app, 1)
    git(tmp_path, "clone", "-q", "-b", ledger.LOOKS, app.server.url, "tree")
    git(tmp_path / "tree", "rm", "-q", gone)
    git(tmp_path / "tree", "commit", "-qm", "tidy")
    git(tmp_path / "tree", "push", "-q", "origin", f"HEAD:{ledger.LOOKS}")
    look(app, drift="failed")
    assert [kind for kind, _ in of_looks(judged(app))] == ["foreign-writer", "event-deleted", "look-contradicted"]


def test_a_rewritten_branch_is_named(app: World) -> None:
    look(app)
    judged(app, fetch=True)
    server = app.root.parent / "server.git"
    git(server, "update-ref", "-d", f"refs/heads/{ledger.LOOKS}")
    look(app, 1)
    assert [kind for kind, _ in of_looks(judged(app, fetch=True))] == ["ledger-rewritten"]


def test_an_export_repeats_what_was_found(app: World, tmp_path: Path) -> None:
    look(app)
    look(app, drift="failed")
    result = judged(app)
    export(result, tmp_path / "out")
    again = reread(tmp_path / "out", now=NOW)
    assert (again.findings, [one.name for one in again.looks]) == (result.findings, [one.name for one in result.looks])
    assert len(again.looks) == 2
    path = tmp_path / "out" / "facts.json"
    facts = json.loads(path.read_text())
    raw = base64.b64decode(facts["contents"][facts["seen"][0][1]])
    facts["contents"][facts["seen"][0][1]] = base64.b64encode(raw.replace(b'"sig":"', b'"sig":"A')).decode()
    path.write_text(json.dumps(facts))
    assert "event-misnamed" in {one.kind.value for one in reread(tmp_path / "out", now=NOW).findings}


def hour(app: World, since: datetime, *, key: str = "looks", cpu: float = 9.0) -> str:
    details = {
        "format": 1, "agent": "server-1", "since": stamp(since), "until": stamp(since + timedelta(hours=1)),
        "watched": 3600.0, "up": 3600.0, "restarts": 0, "cpu": cpu, "memory": 1_000, "bounds": [0.1], "counts": [],
    }  # fmt: skip
    about = binding("served", environment="production", time=stamp(since + timedelta(hours=1)))
    name, envelope = app.sign(about, KEYS.get(key, app.key), details)
    ledger.append(app.server, {name: envelope}, branch=ledger.SERVED)
    return name


def test_hours_of_agents_are_walked_too(app: World, tmp_path: Path) -> None:
    gone = hour(app, START)
    hour(app, START + timedelta(hours=1))
    hour(app, START + timedelta(hours=9))
    assert of_looks(judged(app)) == [], "a gap is no finding: a server may stand still"
    twice = hour(app, START + timedelta(hours=9, minutes=30), cpu=1.0)
    hour(app, START + timedelta(hours=11), key="stranger")
    git(tmp_path, "clone", "-q", "-b", ledger.SERVED, app.server.url, "tree")
    git(tmp_path / "tree", "rm", "-q", gone)
    git(tmp_path / "tree", "commit", "-qm", "tidy")
    git(tmp_path / "tree", "push", "-q", "origin", f"HEAD:{ledger.SERVED}")
    result = judged(app)
    assert sorted(of_looks(result)) == [
        ("event-deleted", "failed"),
        ("foreign-writer", "inconclusive"),
        ("hour-contradicted", "inconclusive"),
        ("unknown-key", "failed"),
    ]
    assert [f.subject for f in result.facts.looks if f.kind.value == "hour-contradicted"] == [twice]
    assert [f.subject for f in result.facts.looks if f.kind.value == "foreign-writer"] == [ledger.SERVED]
