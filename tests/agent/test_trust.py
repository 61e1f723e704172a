"""What an agent does not believe: evidence that is missing, somebody else's, of another time, or of another change."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from agent.kit import Merged, World, keys, policy
from agent.running import Running, start, version
from conftest import commit, git, write
from gitml.evidence.dsse import unpack
from gitml.evidence.keys import fingerprint
from gitml.evidence.statement import Statement, parse_payload, to_payload
from gitml.git.ledger import append, event_name, read


@pytest.fixture
def running(world: World) -> Running:
    """An agent that serves the first version."""
    running = start(world)
    assert running.one().sync == "synced"
    return running


def merged(world: World, slope: float = 2.0, **more: Any) -> Merged:
    """A merge without evidence."""
    return world.merge(yaml.safe_dump(world.desired(version(world, slope), **more)))


def refused(running: Running, *words: str) -> None:
    seen = running.one()
    assert (seen.sync, seen.health, seen.failed) == ("out of sync", "healthy", True)
    for word in words:
        assert word in seen.reason
    assert running.shop.ask("m") == 3.0
    assert running.agent.view.verdict.exit_code == 1


def test_a_merge_without_evidence_waits_for_it(world: World, running: Running) -> None:
    change = merged(world)
    refused(running, "no 'approved' evidence that counts")
    world.say("approved", change)
    refused(running, "no 'gate' evidence that counts")
    world.say("gate", change)
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0


def test_an_old_date_on_a_change_of_today_is_not_believed(world: World, running: Running) -> None:
    """A key whose time is over is found again: what it signs is dated when it counted, and the merge is of now."""
    parsed = yaml.safe_load(policy())
    parsed["keys"]["new"] = {**parsed["keys"]["gate"], "public": keys()["stranger"][1]}
    parsed["keys"]["gate"]["until"] = f"{datetime.now(UTC) - timedelta(days=60):%Y-%m-%d}"
    write(world.clone, {"policy.yaml": yaml.safe_dump(parsed, sort_keys=False)})
    world.push("another key")
    change = merged(world)
    old = f"{datetime.now(UTC) - timedelta(days=90):%Y-%m-%dT%H:%M:%SZ}"
    for kind in ("gate", "approved"):
        world.say(kind, change, time=old)
    refused(running, "before there was the commit", "'approved'")
    world.say("approved", change, by="stranger")
    refused(running, "before there was the commit", "'gate'")
    world.say("gate", change, by="stranger")
    assert running.one().sync == "synced"


def test_evidence_on_a_commit_that_is_dated_ahead_counts_for_good(world: World, running: Running) -> None:
    """Anybody can date a commit; what counts today counts tomorrow, and for an agent that begins then."""
    ahead = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    words = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "-q", "--allow-empty", "-mx"]
    subprocess.run(words, cwd=world.clone, env={**os.environ, "GIT_COMMITTER_DATE": ahead}, check=True)
    world.push()
    change = merged(world)
    world.tell(change, "gate", "approved")
    assert running.one().sync == "synced"
    later = start(world, folder=world.folder / "later")
    later.clock.ahead = 86400
    assert (later.one().sync, later.shop.ask("m")) == ("synced", 6.0)


def test_a_direct_push_is_not_followed(world: World, running: Running) -> None:
    write(world.clone, {"models/m/production.yaml": yaml.safe_dump(world.desired(version(world, 2.0)))})
    world.push("trust me")
    refused(running, "has no 'approved' evidence")


def test_an_unevidenced_file_is_not_followed_at_the_first_start_either(world: World) -> None:
    merged(world)
    running = start(world, folder=world.folder / "new")
    seen = running.one()
    assert (seen.sync, seen.health) == ("out of sync", "degraded")
    assert running.shop.shown == []


@pytest.mark.parametrize(
    ("kind", "more", "word"),
    [
        ("gate", {"by": "stranger"}, "policy.yaml does not name"),
        ("gate", {"by": "agent"}, "may not sign"),
        ("approved", {"by": "stranger"}, "policy.yaml does not name"),
        ("gate", {"repository": "ada/other"}, "is about the repository ada/other"),
        ("gate", {"time": "2019-12-31T00:00:00Z"}, "before its key counts"),
        ("gate", {"time": "2099-01-01T00:00:00Z"}, "in the future"),
        ("gate", {"model": "n"}, "speaks of n in production"),
        ("gate", {"environment": "staging"}, "speaks of m in staging"),
        ("gate", {"base": ""}, "does not say on which commit"),
        ("gate", {"base": "1" * 40}, "is not on main"),
        ("gate", {"head": "1" * 40}, "another head, than was approved"),
        ("gate", {"pull": 99}, "another pull request"),
        ("gate", {"result": "failed"}, "says failed"),
        ("gate", {"result": "inconclusive"}, "says inconclusive"),
        ("approved", {"result": "failed"}, "says failed"),
    ],
)
def test_evidence_that_does_not_count(
    world: World, running: Running, kind: str, more: dict[str, Any], word: str
) -> None:
    change = merged(world)
    world.say("approved" if kind == "gate" else "gate", change)
    world.say(kind, change, **more)
    refused(running, word)


def test_a_gate_that_shut_again_is_shut(world: World, running: Running) -> None:
    change = merged(world)
    now = datetime.now(UTC)
    for seconds, result in ((30, "passed"), (20, "failed")):
        world.say("gate", change, result=result, time=f"{now - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}")
    world.say("approved", change)
    refused(running, "says failed")


def test_another_pull_request_with_the_same_change_shuts_nothing(world: World, running: Running) -> None:
    change = merged(world)
    world.tell(change, "gate", "approved")
    world.say("gate", change, pull=8, result="failed")
    assert running.one().sync == "synced"


def test_evidence_of_another_environment_is_none(world: World) -> None:
    change = world.promote(version(world, 2.0), environment="staging")
    running = start(world)
    running.one()
    other = merged(world)
    assert change.new == other.new
    world.say("gate", change)
    world.say("approved", change)
    refused(running, "no 'approved' evidence")


def test_evidence_is_not_replayed_after_a_rollback(world: World, running: Running) -> None:
    """A → B, back to A, then A → B again by a direct push: path and both blobs are those of signed evidence."""
    first = git(world.clone, "show", "HEAD:models/m/production.yaml")
    once = world.promote(version(world, 2.0))
    assert running.one().sync == "synced"
    back = world.merge(first + "\n")
    world.tell(back, "gate", "approved", "rolled-back")
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 3.0
    write(world.clone, {once.path: git(world.clone, "show", f"{once.commit}:{once.path}") + "\n"})
    world.push("again")
    change = running.agent.setup.mirror
    change.fetch()
    again = change.changes(world.tip, once.path)[0]
    assert (again.old, again.new) == (once.old, once.new)
    refused(running, "has changed the file since")


def test_an_edited_statement_is_not_believed(world: World, running: Running) -> None:
    change = merged(world)
    world.say("approved", change)
    _, envelope = world.signed("gate", change, result="failed")
    statement = parse_payload(unpack(envelope).payload)
    passed = statement.binding.model_copy(update={"result": "passed"})
    payload = to_payload(Statement(passed, statement.details))
    edited = json.loads(envelope)
    edited["payload"] = base64.b64encode(payload).decode()
    raw = json.dumps(edited, separators=(",", ":")).encode() + b"\n"
    append(world.remote, {event_name(passed.time, "gate", raw): raw})
    refused(running, "edited, or forged")


def test_a_change_does_not_bring_its_own_key(world: World, running: Running) -> None:
    text = policy()
    parsed = yaml.safe_load(text)
    parsed["keys"]["mine"] = {
        "public": keys()["stranger"][1],
        "owner": "mallory",
        "purposes": ["gate", "approved"],
        "from": "2020-01-01",
    }
    write(world.clone, {"policy.yaml": yaml.safe_dump(parsed, sort_keys=False)})
    git(world.clone, "add", "policy.yaml")
    # One commit with both: the file is judged by the policy as it was before it.
    change = merged_with_staged(world)
    for kind in ("gate", "approved"):
        world.say(kind, change, by="stranger")
    refused(running, "policy.yaml does not name")


def merged_with_staged(world: World) -> Merged:
    path, base = "models/m/production.yaml", world.tip
    old = git(world.clone, "rev-parse", f"HEAD:{path}")
    write(world.clone, {path: yaml.safe_dump(world.desired(version(world, 2.0)))})
    commit(world.clone, "both")
    world.push()
    new = git(world.clone, "rev-parse", f"HEAD:{path}")
    return Merged(path, old, new, base, world.tip, world.tip, "m", "production")


def test_a_key_that_was_taken_out_stops_to_count_at_once(world: World, running: Running) -> None:
    change = merged(world)
    world.tell(change, "gate", "approved")
    parsed = yaml.safe_load(policy())
    parsed["keys"]["gate"]["public"] = keys()["stranger"][1]
    write(world.clone, {"policy.yaml": yaml.safe_dump(parsed, sort_keys=False)})
    world.push("the key was stolen")
    refused(running, "policy.yaml does not name", "on main now")


def test_a_policy_that_cannot_be_read_lets_nothing_through(world: World, running: Running) -> None:
    change = merged(world)
    world.tell(change, "gate", "approved")
    write(world.clone, {"policy.yaml": "environments: ["})
    world.push()
    refused(running, "policy.yaml at", "cannot be read")
    git(world.clone, "rm", "-q", "policy.yaml")
    world.push()
    refused(running, "nobody says whose signatures count")


def test_the_operator_may_trust_fewer_keys_than_main_names(world: World) -> None:
    theirs = start(world, only=frozenset({fingerprint(keys()["stranger"][1])}))
    assert "not among those of --trust" in theirs.one().reason
    ours = start(world, folder=world.folder / "ours", only=frozenset({fingerprint(keys()["gate"][1])}))
    assert ours.one().sync == "synced"


def test_what_was_pushed_past_the_gate_may_be_followed_by_a_proper_promotion(world: World, running: Running) -> None:
    merged(world)
    running.one()
    third = world.version(4.0)
    world.promote(third)
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 12.0


def test_a_rewritten_main_keeps_the_last_state_and_says_so(world: World, running: Running) -> None:
    tip = world.tip
    git(world.clone, "reset", "-q", "--hard", "HEAD~1")
    write(world.clone, {"note": "another history"})
    commit(world.clone, "other")
    git(world.clone, "push", "-q", "-f", "origin", "main")
    seen = running.one()
    assert (seen.sync, seen.health) == ("unknown", "healthy")
    assert "main was rewritten" in seen.reason
    assert running.shop.ask("m") == 3.0
    again = start(world)
    assert "main was rewritten" in again.one().reason, "a restart does not forget"
    git(world.clone, "reset", "-q", "--hard", tip)
    git(world.clone, "push", "-q", "-f", "origin", "main")
    assert running.one().sync == "synced"


def test_a_branch_that_took_mains_place_is_another_line(world: World, running: Running) -> None:
    """A fast-forward by which main's own commits became the second parent: no force was needed."""
    git(world.clone, "checkout", "-q", "-b", "other", "HEAD~2")
    write(world.clone, {"note": "mine first"})
    commit(world.clone, "mine")
    git(world.clone, "merge", "-q", "--no-ff", "-m", "take over", "main")
    git(world.clone, "push", "-q", "origin", "other:main")
    seen = running.one()
    assert seen.sync == "unknown"
    assert "was rewritten" in seen.reason


def test_a_deleted_main_unloads_nothing(world: World, running: Running) -> None:
    git(world.forge, "update-ref", "-d", "refs/heads/main")
    seen = running.one()
    assert (seen.sync, seen.health) == ("unknown", "healthy")
    assert "not on the remote" in seen.reason


def test_a_rewritten_ledger_lets_nothing_new_through(world: World, running: Running) -> None:
    events = {event.name: event.content for event in read(world.forge, "refs/heads/gitml-ledger")}
    git(world.forge, "update-ref", "-d", "refs/heads/gitml-ledger")
    append(world.remote, dict(list(events.items())[:1]))
    world.promote(version(world, 2.0))
    seen = running.one()
    assert (seen.sync, seen.health) == ("unknown", "healthy")
    assert "gitml-ledger was rewritten" in seen.reason
    assert running.shop.ask("m") == 3.0


def test_a_lost_main_that_comes_back_is_followed(world: World, running: Running) -> None:
    """What was never believed may be taken off main by force: only what was verified must stay."""
    before = world.tip
    merged(world)
    refused(running, "has no 'approved' evidence")
    git(world.clone, "reset", "-q", "--hard", before)
    git(world.clone, "push", "-q", "-f", "origin", "main")
    assert running.one().sync == "synced"


def test_a_record_that_says_another_artifact_is_refused(world: World, running: Running) -> None:
    wanted = world.desired(version(world, 2.0))
    wanted["champion"]["digest"] = world.desired(version(world, 1.0))["champion"]["digest"]
    world.tell(world.merge(yaml.safe_dump(wanted)), "gate", "approved")
    seen = running.one()
    assert (seen.sync, seen.health) == ("out of sync", "degraded")
    assert "its record says" in seen.reason
    assert running.shop.ask("m") == 3.0


def test_an_unknown_version_is_refused(world: World, running: Running) -> None:
    wanted = world.desired(version(world, 2.0))
    wanted["champion"]["version"] = "20260101T000000Z-00000000"
    world.tell(world.merge(yaml.safe_dump(wanted)), "gate", "approved")
    assert "m has no version 20260101T000000Z-00000000, which is pinned" in running.one().reason


def test_of_two_gates_of_one_second_the_shut_one_counts(world: World, running: Running) -> None:
    """The name of the run decides which bytes, and so which name, comes last."""
    change = merged(world)
    world.say("approved", change)
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    told = dict(world.signed("gate", change, time=now, run=f"http://ci/{number}") for number in range(8))
    name, envelope = world.signed("gate", change, time=now, result="failed", run="http://ci/8")
    append(world.remote, {**told, name: envelope})
    refused(running, "the newest 'gate' evidence says failed")
