"""The inventory of models: the same lines on the page, in its exports and of `gitml inventory`."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import git, gitml, write
from gitml.site.facts import SiteFacts
from gitml.site.inventory import inventory, judged
from gitml.verdict import Phase

MODELS = """\
application: small
models:
  m:
    purpose: "=HYPERLINK(1)"
    tier: high
    vendor: Example Ltd
    retire_by: 2026-01-31
    artifact: m.onnx
    metrics: m.json
"""
POLICY = "environments:\n  production: {}\nreviews: {high: 26w}\n"
STATE = 'champion:\n  version: 20260101T000000Z-3f2a90bc\n  digest: "' + "ab" * 32 + '"\n'


def test_a_line_says_what_regulators_ask_for(facts: SiteFacts) -> None:
    delay, fare = inventory(facts)
    assert (delay.owner, delay.tier, delay.runs_in[1][:11]) == ("Flight operations", "high", "production=")
    assert (delay.validation, delay.validated_by, delay.is_independent) == ("passed", ("olga", "rita"), True)
    assert (delay.validated, delay.review_due) == ("2026-02-20", "2026-08-21")
    assert "distance" in delay.inputs
    assert delay.monitored == (f"production=failed until {facts.looks[-1].until[:10]}",)
    assert (fare.depends_on, fare.runs_in, fare.is_due, fare.validated) == (
        ("https://forge.example/acme/weather:rain", "delay"),
        (),
        False,
        "",
    )
    assert judged(inventory(facts)).phase is Phase.SUCCESSFUL


def test_what_is_overdue_or_kept_too_long_fails_and_what_is_not_known_does_not_pass(facts: SiteFacts) -> None:
    delay, fare = facts.models
    late = replace(facts, models=(replace(delay, is_overdue=True, retire_by="2020-01-01"), fare))
    found = judged(inventory(late))
    assert found.phase is Phase.FAILED
    assert "was due on 2026-08-21" in found.reason
    assert "retired by 2020-01-01" in found.reason
    never = replace(facts, models=(replace(delay, reviews=(), reviewed="", review_due=""), fare))
    assert judged(inventory(never)).phase is Phase.INCONCLUSIVE
    assert judged(inventory(facts), "the ledger is away").phase is Phase.INCONCLUSIVE


@pytest.fixture
def app(tmp_path: Path) -> Path:
    root = tmp_path / "app"
    write(root, {"gitml.yaml": MODELS, "policy.yaml": POLICY, "models/m/production.yaml": STATE})
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "Begin")
    return root


def test_the_command_prints_and_writes_the_same_lines(app: Path) -> None:
    done = gitml(app, "inventory", "--json")
    assert done.code == 0, done.err
    (line,) = json.loads(done.out)["models"]
    assert (line["vendor"], line["is_late"], line["validated_by"]) == ("Example Ltd", True, [])
    (row,) = csv.DictReader(io.StringIO(gitml(app, "inventory", "--csv").out))
    assert (row["purpose"], row["runs_in"]) == ("'=HYPERLINK(1)", line["runs_in"][0])
    assert "never" in gitml(app, "inventory").out
    (app / "gitml.yaml").write_text("models: [")
    git(app, "commit", "-qam", "Broken")
    broken = gitml(app, "inventory", "--overdue")
    assert (broken.code, "gitml.yaml cannot be read" in broken.err) == (3, True), "what cannot be read does not pass"
    git(app, "revert", "--no-edit", "HEAD")
    overdue = gitml(app, "inventory", "--overdue")
    assert (overdue.code, "retired by 2026-01-31" in overdue.err) == (1, True)
    assert gitml(app, "inventory", "--out", "out").code == 0
    assert json.loads((app / "out/exports/inventory.json").read_text()) == [line]
    assert "never reviewed" in (app / "out/inventory.html").read_text()
