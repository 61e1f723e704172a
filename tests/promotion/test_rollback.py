"""Back to the last good version."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitml.errors import FailedError, RefError, UsageError
from gitml.evidence.dsse import sign
from gitml.evidence.keys import generate, signing_key
from gitml.evidence.statement import Binding, SignedChange, Statement, to_payload
from gitml.git.ledger import append, event_name
from gitml.policy.change import Move, classify
from gitml.promotion.promote import Proposed
from gitml.promotion.rollback import RollbackOrder, resume, rollback
from gitml.spec import Deployment
from gitml.spec.deployment import Canary, Hold
from promotion.promoting import NOW, MemoryTown, Town, pin, push_as, untouched
from sandbox.forge_kit import commit, git

Build = Callable[[], MemoryTown]


@pytest.fixture
def build(new_town_here: Build) -> Build:
    return new_town_here


def back(t: Town, login: str = "olga", root: Path | None = None, **more: Any) -> Proposed:
    with t.place(login, root=root) as place:
        return rollback(
            place, RollbackOrder(**{"model": "delay", "environment": "production", "reason": "bad", **more})
        )


def test_it_goes_back_to_what_ran_before_and_holds(build: Build) -> None:
    t = build()
    one, two, three = t.train(1, auc=0.7), t.train(2, auc=0.6), t.train(3)
    t.put("production", Deployment(champion=pin(one)))
    canary = Canary(version=three.version, digest=pin(three).digest, weight=5)
    t.put("production", old := Deployment(champion=pin(two), canary=canary))
    before = untouched(t.here)
    done = back(t, reason="alerts doubled")
    assert untouched(t.here) == before
    assert (done.version, done.pull.title) == (one.version, f"Roll back delay to {one.digest[:8]} in production")
    new = t.state("production", done.pull.head.commit)
    assert new == Deployment(champion=pin(one), hold=Hold(by="olga", reason="alerts doubled"))
    assert classify(old, new, NOW).move is Move.ROLLBACK
    body = t.pull(done.pull.number).body
    for words in ("alerts doubled", "hold, which stops promotions", "gitml resume delay --in production", "▲ better"):
        assert words in body
    assert done.asked.done.people == ("rita",)
    assert back(t, reason="alerts doubled").how == "unchanged"
    t.merge(done.pull.number)
    with pytest.raises(RefError, match="nothing else ran in production before that was good"):
        back(t)


def test_it_works_when_everything_else_is_broken(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    t.put("production", Deployment(champion=pin(one)))
    t.put("production", Deployment(champion=pin(two)))
    records = {f"models/delay/versions/{v.version}.json": "{broken" for v in (one, two)}
    freeze = "freezes:\n  - {from: 2026-01-01, until: 2026-12-31, reason: all year}\n"
    t.push({**records, "gitml.yaml": "models: [", "policy.yaml": f"environments: {{production: {{}}}}\n{freeze}"})
    assert back(t).version == one.version
    t.push({"policy.yaml": "also broken: ["})
    done = back(t, reason="worse")
    assert t.state("production", done.pull.head.commit).champion == pin(one)
    assert any("goes on without it" in text for text in t.said)


def test_a_deployment_file_that_cannot_be_read(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    t.put("production", Deployment(champion=pin(one)))
    t.put("production", Deployment(champion=pin(two)))
    t.push({"models/delay/production.yaml": "champion: {version: latest}\n"})
    done = back(t)
    assert done.version == two.version
    assert t.state("production", done.pull.head.commit).champion == pin(two)


@pytest.mark.slow
def test_what_a_rollback_took_away_is_not_gone_back_to(build: Build) -> None:
    t = build()
    one, two, three, four = (t.train(i) for i in range(1, 5))
    held = Hold(by="olga", reason="bad")
    for state in (
        Deployment(champion=pin(one)),
        Deployment(champion=pin(two)),
        Deployment(champion=pin(three)),
        Deployment(champion=pin(two), hold=held),
        Deployment(champion=pin(two)),
        Deployment(champion=pin(four)),
    ):
        t.put("production", state)
    assert back(t).version == two.version
    t.put("production", Deployment(champion=pin(two), hold=Hold(by="olga", reason="four as well")))
    assert back(t, reason="and two").version == one.version


def test_a_version_that_is_named(build: Build) -> None:
    t = build()
    one, two, three = t.train(1), t.train(2), t.train(3)
    t.put("production", Deployment(champion=pin(one)))
    t.put("production", Deployment(champion=pin(two)))
    t.put("production", Deployment(champion=pin(three)))
    until = datetime(2026, 3, 9, tzinfo=UTC)
    done = back(t, to=one.digest[:8], until=until)
    assert (done.version, t.state("production", done.pull.head.commit).hold) == (
        one.version,
        Hold(by="olga", reason="bad", until=until),
    )
    with pytest.raises(RefError, match="ffff0000 never ran in production"):
        back(t, to="ffff0000")
    with pytest.raises(RefError, match="delay does not run in staging"):
        back(t, environment="staging")
    with pytest.raises(UsageError, match="no environment prod"):
        back(t, environment="prod")


def test_a_shallow_clone_has_enough(build: Build, tmp_path: Path) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    t.put("production", Deployment(champion=pin(one)))
    t.put("production", Deployment(champion=pin(two)))
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{t.home.remote('olga')}", str(shallow))
    assert back(t, root=shallow).version == one.version


@pytest.mark.slow
def test_the_ledger_knows_what_ran(build: Build) -> None:
    t = build()
    one, two, three = t.train(1), t.train(2), t.train(3)
    private, public = generate()
    purposes = ["promoted", "deployed", "approved"]
    t.policy(keys={"ci": {"public": public, "owner": "ci", "purposes": purposes, "from": "2020-01-01"}})
    for version in (one, two, three):
        t.put("production", Deployment(champion=pin(version)))
    assert back(t).warnings == ()
    said = {"model": "delay", "environment": "production", "version": one.version, "artifact": pin(one).digest}
    tell(t, private, "deployed", said)
    done = back(t)
    assert (done.version, done.warnings) == (one.version, ())
    assert "`deployed`" in t.pull(done.pull.number).body
    unproven = back(t, to=two.version)
    assert "no proof" in unproven.warnings[0]


def tell(t: Town, private: str, kind: str, about: Mapping[str, Any], details: Mapping[str, Any] | None = None) -> None:
    """A signed event on the ledger."""
    change = about.get("change")
    binding = Binding.model_validate(
        {
            "kind": kind,
            "repository": t.home.repository,
            "time": "2026-02-28T12:00:00Z",
            **{k: v for k, v in about.items() if k != "change"},
            **({"change": SignedChange(**change)} if change else {}),
        }
    )
    envelope = sign(to_payload(Statement(binding, details or {})), signing_key(private))
    with t.place() as place:
        remote = place.remote
    append(remote, {event_name(binding.time, kind, envelope): envelope})
    assert hashlib.sha256(envelope).hexdigest()[:12] in event_name(binding.time, kind, envelope)


def test_a_hold_is_ended_by_a_pull_request(build: Build) -> None:
    t = build()
    one = t.train(1)
    state = Deployment(champion=pin(one))
    t.put("production", state)
    order = RollbackOrder("delay", "production", "repaired")
    with t.place("olga") as place, pytest.raises(UsageError, match="nobody holds delay in production"):
        resume(place, order)
    t.put("production", held := state.model_copy(update={"hold": Hold(by="olga", reason="bad")}))
    with t.place("ada") as place:
        done = resume(place, order)
    assert t.state("production", done.pull.head.commit) == state
    assert classify(held, state, NOW).move is Move.RESUME
    assert done.asked.done.people == ("olga", "rita")


@pytest.mark.slow
@pytest.mark.parametrize("end", [False, True], ids=["rollback", "resume"])
def test_a_branch_that_is_stuck_begins_anew(build: Build, end: bool) -> None:
    """With somebody's commit on it, after it was closed, and while nothing is open of it."""
    t = build()
    one, two = t.train(1), t.train(2)
    hold = Hold(by="rita", reason="looking")
    t.put("production", Deployment(champion=pin(one)))
    t.put("production", Deployment(champion=pin(two), hold=hold if end else None))

    def ask(**more: Any) -> Proposed:
        if not end:
            return back(t, **more)
        with t.place("olga") as place:
            return resume(place, RollbackOrder("delay", "production", "bad", **more))

    first = ask()
    branch = first.pull.head.branch
    git(t.main, "fetch", "-q", "origin")
    git(t.main, "checkout", "-q", "-b", "mine", f"origin/{branch}")
    commit(t.main, "train.py", "mine\n")
    mine = push_as(t, branch, "rita")
    git(t.main, "checkout", "-q", "main")
    with pytest.raises(FailedError, match="a commit of Ada that is not gitml's"):
        ask()
    assert t.branch(branch) == mine
    again = ask(anew=True)
    assert (again.how, again.closed) == ("opened", (first.pull.number,))
    assert [p.number for p in t.pulls()] == [again.pull.number]
    (made,) = t.commits(again.pull.number)
    assert made.message.startswith(again.pull.title)
    wanted = Deployment(champion=pin(two)) if end else Deployment(champion=pin(one), hold=Hold(by="olga", reason="bad"))
    assert t.state("production", again.pull.head.commit) == wanted
    assert ask().how == "unchanged"
    t.close(again.pull.number)
    assert ask(anew=True).closed == ()
    t.merge(t.pulls()[0].number)
    assert t.state("production") == wanted
