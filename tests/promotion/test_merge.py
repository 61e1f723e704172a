"""Merging what the gate let through, and nothing else."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forges.chaos_kit import Chaos
from gitml.errors import FailedError, InconclusiveError, UsageError
from gitml.evidence.keys import generate
from gitml.forges.base import State
from gitml.forges.governed import Protection
from gitml.promotion.merge import MergeOrder, MergeResult, merge
from gitml.spec import Deployment
from promotion.promoting import MemoryTown, Town, pin, town
from promotion.test_rollback import tell
from sandbox.forge_kit import Kit, git

Build = Callable[[], MemoryTown]


@pytest.fixture
def build(new_town_here: Build) -> Build:
    return new_town_here


def merged(t: Town, number: int, url: str = "", **more: Any) -> MergeResult:
    with t.place("olga", url) as place:
        return merge(place, MergeOrder(number, **more), sleep=lambda _: None)


def test_it_merges_the_head_whose_gate_is_open(build: Build) -> None:
    t = build()
    one = t.train(1)
    done = t.promote(one)
    number = done.pull.number
    with pytest.raises(InconclusiveError, match="there is no gitml/gate for"):
        merged(t, number)
    t.gate(number, State.PENDING, "1 approval is missing")
    with pytest.raises(InconclusiveError, match=r"pending for .*: 1 approval is missing"):
        merged(t, number)
    t.gate(number, State.FAILURE, "auc is too low")
    with pytest.raises(FailedError, match=r"failure for .*: auc is too low"):
        merged(t, number)
    t.gate(number)
    with pytest.raises(FailedError, match="not at ffffffffffff: nothing was merged"):
        merged(t, number, head="f" * 40)
    made = merged(t, number, head=done.pull.head.commit[:10])
    assert (made.was_merged, t.branch("main")) == (False, made.commit)
    assert t.state("staging") == Deployment(champion=pin(one))
    assert not t.branch(done.pull.head.branch)
    assert merged(t, number) == MergeResult(number, made.head, made.commit, was_merged=True)


def test_a_push_in_between_is_not_merged(kit: Kit, tmp_path: Path, chaos: Chaos) -> None:
    t = town(kit, tmp_path)
    done = t.promote(t.train(1))
    number, branch = done.pull.number, done.pull.head.branch
    t.gate(number)
    chaos.before["PUT .*/merge"] = lambda: t.ada.write("sneaked.txt", "in", branch)
    tip = t.ada.tip("main")
    with pytest.raises(FailedError, match="nothing was merged"):
        merged(t, number, url=chaos.url)
    assert t.ada.tip("main") == tip
    with pytest.raises(InconclusiveError, match="there is no gitml/gate"):
        merged(t, number)


def test_a_status_posted_by_hand_is_not_enough(build: Build) -> None:
    t = build()
    private, public = generate()
    t.policy(keys={"gate": {"public": public, "owner": "ci", "purposes": ["gate"], "from": "2020-01-01"}})
    done = t.promote(t.train(1))
    number, head = done.pull.number, done.pull.head.commit
    t.gate(number)
    with pytest.raises(InconclusiveError, match=r"no signed verdict that lets .* pass: there is none"):
        merged(t, number)
    about = {"model": "delay", "environment": "staging", "version": done.version, "pull": number, "head": head}
    about["base"] = t.tip
    git(t.here, "fetch", "-q", "origin", head)
    path = "models/delay/staging.yaml"
    change = {"path": path, "old": "", "new": git(t.here, "rev-parse", f"{head}:{path}").strip()}
    policy = hashlib.sha256((t.main / "policy.yaml").read_bytes()).hexdigest()
    tell(t, private, "gate", {**about, "pull": number + 1})
    tell(t, private, "gate", {**about, "result": "inconclusive"})
    with pytest.raises(InconclusiveError, match="the newest says inconclusive"):
        merged(t, number)
    for hour, more, said in (
        (13, {"change": change}, "policy.yaml has changed"),
        (
            14,
            {"change": {**change, "old": "1" * 40}, "policy": policy},
            "yaml than main has",
        ),
        (15, {"policy": policy}, "signed no change of a deployment file"),
    ):
        tell(t, private, "gate", {**about, **more, "time": f"2026-02-28T{hour}:00:00Z"})
        with pytest.raises(InconclusiveError, match=said):
            merged(t, number)
    tell(t, private, "gate", {**about, "change": change, "policy": policy, "time": "2026-02-28T16:00:00Z"})
    assert not merged(t, number).was_merged


def test_what_cannot_be_merged_says_why(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    done = t.promote(two)
    t.gate(done.pull.number)
    with t.hub() as hub:
        hub.guards.protect("main", Protection(pull_request=True, approvals=1, admins=True))
    with pytest.raises(FailedError, match="cannot be merged"):
        merged(t, done.pull.number)
    t.home.unprotect()
    t.put("staging", Deployment(champion=pin(one)))
    with pytest.raises(FailedError, match="conflicts with main"):
        merged(t, done.pull.number)
    t.close(done.pull.number)
    with pytest.raises(UsageError, match="is closed"):
        merged(t, done.pull.number)
