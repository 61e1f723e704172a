"""What is wanted where, by whom."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import commit, git, gitml, write
from gitml.cli.proposed import names_forge
from gitml.errors import OutsideError
from gitml.evidence.keys import generate
from gitml.forges.governed import DeploymentState, NewDeployment
from gitml.promotion.live import LiveReport
from gitml.promotion.status import DeploymentStatus, WantedVersion, status, status_of_clone
from gitml.spec import Deployment, render_deployment
from gitml.spec.deployment import Hold, Pin
from promotion.promoting import MemoryTown, Town, pin
from promotion.test_rollback import tell

Build = Callable[[], MemoryTown]


@pytest.fixture
def build(new_town_here: Build) -> Build:
    return new_town_here


def asked(t: Town, only: str = "") -> tuple[DeploymentStatus, dict[str, WantedVersion]]:
    with t.place("rita") as place:
        found = status(place, only)
    return found, {w.environment: w for w in found.wanted}


def test_wanted_since_when_by_which_pull_request_approved_by_whom(build: Build) -> None:
    t = build()
    one = t.train(1)
    done = t.promote(one)
    t.home.review("olga", done.pull.number)
    t.home.review("rita", done.pull.number, "CHANGES_REQUESTED")
    commit = t.merge(done.pull.number)
    two = t.train(2)
    pending = t.promote(two)
    found, wanted = asked(t)
    staging = wanted["staging"]
    assert (staging.state, staging.commit, staging.pull) == (Deployment(champion=pin(one)), commit, done.pull.number)
    assert (staging.approved_by, staging.approvals_from) == (("olga",), "the pull request")
    assert staging.since.endswith("Z")
    assert staging.live is None
    assert wanted["production"].state is None
    assert [(p.number, p.model, p.environment, p.author) for p in found.pending] == [
        (pending.pull.number, "delay", "staging", "ada")
    ]
    assert asked(t, "price")[0].wanted == ()


def test_what_the_ledger_and_the_agents_say(build: Build) -> None:
    t = build()
    one = t.train(1)
    private, public = generate()
    t.policy(keys={"ci": {"public": public, "owner": "ci", "purposes": ["approved"], "from": "2020-01-01"}})
    state = Deployment(champion=pin(one), hold=Hold(by="olga", reason="looking"))
    t.put("staging", state)
    raw = render_deployment(state).encode()
    blob = hashlib.sha1(b"blob %d\0%s" % (len(raw), raw), usedforsecurity=False).hexdigest()
    change = {"path": "models/delay/staging.yaml", "old": "", "new": blob}
    reviews = [{"login": login, "counts": login != "ada"} for login in ("olga", "ada", "rita")]
    about = {"model": "delay", "environment": "staging", "version": one.version, "change": change, "pull": 7}
    tell(t, private, "approved", about, {"reviews": reviews})
    elsewhere = {**change, "path": "models/delay/production.yaml"}
    same_bytes = {**about, "environment": "production", "change": elsewhere, "pull": 9}
    tell(t, private, "approved", same_bytes, {"reviews": [{"login": "olga", "counts": True}]})
    with t.place() as place:
        new = NewDeployment(t.tip, "staging", "deploy:delay", payload={"champion": one.version})
        made = place.forge.deployments.create(new)
        place.forge.deployments.say(made.id, DeploymentState("failure", "digest mismatch"))
    _, wanted = asked(t)
    found = wanted["staging"]
    assert (found.pull, found.approved_by, found.approvals_from) == (7, ("olga", "rita"), "the ledger")
    assert found.hold == state.hold
    assert isinstance(found.live, LiveReport)
    assert (found.live.version, found.live.state, found.live.description) == (one.version, "failure", "digest mismatch")


def test_a_broken_file_is_shown_as_one(build: Build) -> None:
    t = build()
    t.train(1)
    t.push({"models/delay/staging.yaml": f"champion: {{version: latest, digest: {'a' * 64}}}\n"})
    freeze = {"from": "2026-02-20", "until": "2026-03-10", "reason": "Easter"}
    t.policy(freezes=[freeze, {**freeze, "from": "2025-02-20", "until": "2025-03-10"}])
    found, wanted = asked(t)
    assert "is no version" in wanted["staging"].problem
    assert [f.reason for f in found.freezes] == ["Easter"]
    assert wanted["production"].freezes == found.freezes


@pytest.mark.slow
def test_a_clone_without_a_forge_says_what_its_commit_wants(tmp_path: Path) -> None:
    deployed = Deployment(champion=Pin(version="20260101T000000Z-0123abcd", digest="a" * 64))
    write(tmp_path, {"models/delay/staging.yaml": render_deployment(deployed), "gitml.yaml": "application: x\n"})
    git(tmp_path, "init", "-q")
    with pytest.raises(OutsideError, match="no commit is checked out here"):
        status_of_clone(tmp_path)
    commit(tmp_path, "Start")
    ran = gitml(tmp_path, "status")
    assert ran.code == 0, ran.err
    assert "staging      0123abcd" in ran.out
    assert "the clone names no forge" in ran.err
    for origin, names in (("../app.git", False), ("file:///srv/app.git", False), ("git@example.org:o/app.git", True)):
        git(tmp_path, "config", "remote.origin.url", origin)
        assert names_forge(tmp_path) is names
    (found,) = status_of_clone(tmp_path).wanted
    assert (found.model, found.environment, found.state, found.live) == ("delay", "staging", deployed, None)
    assert status_of_clone(tmp_path, "price").wanted == ()
