"""An agent converges to what main says, and to nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml

from agent.kit import REPOSITORY, SIGNATURE, World, key, keys, policy, sha256
from agent.running import start, version
from conftest import git, write
from gitml.agent.attempt import Backoff
from gitml.agent.fetch import MirrorShelf
from gitml.agent.source import Mirror
from gitml.agent.state import owned
from gitml.errors import LockedError, OutsideError
from gitml.evidence.dsse import sign
from gitml.evidence.statement import Binding, Statement, to_payload
from gitml.git.ledger import append, event_name
from gitml.git.orphan import Remote
from gitml.registry.record import name_of
from gitml.spec.deployment import Deployment


def test_the_first_start_serves_what_main_says(world: World) -> None:
    running = start(world)
    seen = running.one()
    assert (seen.sync, seen.health, seen.reason) == ("synced", "healthy", "")
    assert running.shop.ask("m") == 3.0
    assert seen.applied["champion"] == version(world, 1.0)
    assert seen.applied["checked"][version(world, 1.0)] == {"sample_rows": 10, "largest_difference": 0.0}
    assert running.agent.view.verdict.exit_code == 0


def test_a_merged_promotion_and_a_merged_rollback_are_followed(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0
    world.rollback(version(world, 1.0))
    seen = running.one()
    assert (seen.sync, seen.health) == ("synced", "suspended")
    assert seen.reason.startswith("held by olga: broken, until ")
    assert running.shop.ask("m") == 3.0


def test_nothing_is_loaded_again_when_nothing_changed(world: World) -> None:
    running = start(world)
    for _ in range(3):
        running.one()
    assert len(running.shop.shown) == 1
    world.promote(version(world, 2.0), canary=world.pin(version(world, 1.0), weight=10))
    running.one()
    before, after = running.shop.shown
    kept = version(world, 1.0)
    assert after.members[kept].model is before.members[kept].model


def test_each_model_has_its_own_file(world: World) -> None:
    running = start(world)
    world.promote(version(world, 5.0), "n")
    assert running.one("n").sync == "synced"
    assert (running.shop.ask("m"), running.shop.ask("n")) == (3.0, 15.0)


def test_another_environment_is_none_of_its_business(world: World) -> None:
    running = start(world, "staging")
    assert running.agent.round().models == ()
    assert running.agent.view.verdict.exit_code == 0


@pytest.mark.parametrize("content", ["", "champion: {version: x}\n", "- 1\n", "champion: &a [*a]\n", "\0\xff"])
def test_a_file_that_cannot_be_read_unloads_nothing(world: World, content: str) -> None:
    running = start(world)
    running.one()
    world.merge(content)
    seen = running.one()
    assert (seen.sync, seen.health) == ("out of sync", "healthy")
    assert "cannot be read" in seen.reason
    assert running.shop.ask("m") == 3.0


def test_a_deleted_file_unloads_nothing(world: World) -> None:
    running = start(world)
    running.one()
    git(world.clone, "rm", "-q", "models/m/production.yaml")
    world.push()
    seen = running.one()
    assert (seen.sync, seen.health) == ("out of sync", "healthy")
    assert "nothing is unloaded" in seen.reason


def test_a_link_in_place_of_the_file_is_not_followed(world: World) -> None:
    running = start(world)
    running.one()
    path = world.clone / "models/m/production.yaml"
    shutil.copy(path, world.clone / "models/m/other.yaml")
    path.unlink()
    os.symlink("other.yaml", path)
    world.push()
    seen = running.one()
    assert seen.sync == "out of sync"
    assert "no regular file" in seen.reason


def test_a_restart_without_network_serves_the_last_state(world: World) -> None:
    start(world).one()
    world.forge.rename(world.folder / "away")
    shutil.rmtree(world.store)
    running = start(world)
    assert running.shop.ask("m") == 3.0
    seen = running.one()
    assert (seen.sync, seen.health) == ("unknown", "healthy")
    assert running.agent.view.verdict.exit_code == 4
    (world.folder / "away").rename(world.forge)
    assert running.one().sync == "synced"


def test_a_damaged_cache_is_noticed_and_fetched_again(world: World) -> None:
    running = start(world)
    running.one()
    (artifact,) = (running.folder / "cache").glob("*/*/model.skops")
    artifact.write_bytes(b"PK\x03\x04 something else")
    again = start(world)
    assert again.shop.ask("m") == 3.0
    artifact.write_bytes(b"PK\x03\x04 something else")
    shutil.rmtree(world.store)
    third = start(world)
    assert third.shop.shown == []
    seen = third.one()
    assert seen.health == "degraded"
    assert "cannot be loaded" in seen.reason


def test_a_swapped_object_on_the_remote_is_not_loaded_and_serves_on(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    artifact = world.artifact(version(world, 2.0))
    sound = artifact.read_bytes()
    artifact.write_bytes(world.artifact(version(world, 3.0)).read_bytes())
    seen = running.one()
    assert (seen.sync, seen.health) == ("out of sync", "degraded")
    assert "other bytes" in seen.reason
    assert running.shop.ask("m") == 3.0
    assert artifact.exists(), "the evidence stays on the remote"
    artifact.write_bytes(sound)
    assert running.one().sync == "synced"


def test_a_model_that_answers_otherwise_than_its_samples_is_not_served(world: World) -> None:
    record = world.versions[version(world, 2.0)]
    other = world.versions[version(world, 3.0)].files["artifacts/m/samples.parquet"]
    lying = name_of(record.digest, "2026-01-01T01:00:00Z")
    files = {**record.files, "artifacts/m/samples.parquet": other}
    about = {"files": files, "version": lying, "created": "2026-01-01T01:00:00Z"}
    world.versions[lying] = record.model_copy(update=about)
    write(world.clone, {f"models/m/versions/{lying}.json": world.versions[lying].to_json()})
    world.push()
    running = start(world)
    running.one()
    world.promote(lying)
    seen = running.one()
    assert seen.health == "degraded"
    assert "answers otherwise than its sample rows say" in seen.reason
    assert running.shop.ask("m") == 3.0


def edited(world: World, name: str, **how: Any) -> None:
    """A version's record, changed on main by somebody whom no gate asked."""
    record = world.versions[name]
    write(world.clone, {f"models/m/versions/{name}.json": record.model_copy(update=how).to_json()})
    world.push("edit")


SWAPPED = {**SIGNATURE, "inputs": SIGNATURE["inputs"][::-1]}


@pytest.mark.parametrize("when", ["before", "after", "gone and back", "renamed"])
def test_a_record_counts_as_it_came_in(world: World, when: str) -> None:
    """Inputs swapped and samples dropped: a model would answer 3.0 instead of 6.0, and nothing would notice."""
    name = version(world, 2.0)
    path = world.clone / f"models/m/versions/{name}.json"
    if when == "after":
        world.promote(name)
    if when == "gone and back":
        path.unlink()
        world.push("gone")
    if when == "renamed":
        git(world.clone, "mv", str(path), str(path.with_name("20260101T000200Z-00000000.json")))
        world.push("renamed")
    edited(world, name, signature=SWAPPED, roles={})
    if when != "after":
        world.promote(name)
    else:
        world.promote(name, hold={"by": "olga", "reason": "looking"})
    for running in (start(world), start(world, folder=world.folder / "another")):
        running.one()
        assert running.shop.ask("m") == 6.0
        assert next(iter(running.shop.shown[-1].members.values())).parity.rows == 10


def test_a_history_that_is_cut_off_says_nothing_of_versions(world: World) -> None:
    champion = Deployment.model_validate(world.desired(version(world, 1.0))).champion
    shallow = world.folder / "shallow.git"
    git(world.folder, "clone", "-q", "--bare", "--depth", "1", f"file://{world.forge}", str(shallow))
    with pytest.raises(OutsideError, match="is that a shallow clone"):
        mirrored(world, "a", str(shallow)).fetch()
    mirror = mirrored(world, "b", str(world.forge))
    git(mirror.folder, "fetch", "-q", "--depth", "1", f"file://{world.forge}", "main:refs/gitml/main")
    with pytest.raises(OutsideError, match="mirror is shallow"):
        MirrorShelf(mirror, mirror.fetch().main, world.folder / "c", world.folder / "d").record("m", champion)


def mirrored(world: World, name: str, source: str) -> Mirror:
    mirror = Mirror(world.folder / name / "mirror.git", Remote(source), "main")
    mirror.prepare()
    return mirror


def test_failures_are_counted_and_tried_again_later(world: World) -> None:
    running = start(world, backoff=Backoff(first=60.0))
    running.one()
    world.promote(version(world, 2.0))
    artifact = world.artifact(version(world, 2.0))
    artifact.rename(artifact.with_suffix(".away"))
    assert "is on no DVC remote" in running.one().reason
    artifact.with_suffix(".away").rename(artifact)
    assert "tried 1 times, again at" in running.one().reason
    running.clock.ahead = 61.0
    assert running.one().sync == "synced"


def test_the_operator_names_the_remotes_whatever_main_says(world: World) -> None:
    """Main points its remote at a place that has nothing; whoever runs the machine knows better."""
    world.promote(version(world, 2.0))
    write(world.clone, {".dvc/config": "['remote \"store\"']\n    url = /nowhere\n    type = symlink\n"})
    world.push()
    assert "is on no DVC remote" in start(world, folder=world.folder / "lost").one().reason
    named = start(world, remotes=("/nowhere", str(world.store)))
    assert named.one().sync == "synced"
    assert named.shop.ask("m") == 6.0


def test_the_wait_survives_a_restart_and_a_clock_that_is_set_back(world: World) -> None:
    running = start(world, backoff=Backoff(first=600.0))
    running.one()
    world.promote(version(world, 2.0))
    artifact = world.artifact(version(world, 2.0))
    artifact.rename(artifact.with_suffix(".away"))
    running.one()
    artifact.with_suffix(".away").rename(artifact)
    again = start(world, backoff=Backoff(first=600.0))
    assert "again at" in again.one().reason
    again.clock.ahead = -86_400.0
    # Evidence of now lies in this clock's future, and is not believed; the same bytes again would be no news.
    world.say("gate", _last(world), details={"again": 1})
    assert "in the future" in again.one().reason
    again.clock.ahead = 0.0
    assert "again at" in again.one().reason


def _last(world: World) -> object:
    from agent.kit import Merged

    head = git(world.clone, "rev-parse", "HEAD")
    base = git(world.clone, "rev-parse", "HEAD^1")
    path = "models/m/production.yaml"
    old, new = (git(world.clone, "rev-parse", f"{c}:{path}") for c in (base, head))
    return Merged(path, old, new, base, git(world.clone, "rev-parse", "HEAD^2"), head, "m", "production")


def test_a_process_that_died_while_loading_counts_as_a_failure(world: World) -> None:
    running = start(world, backoff=Backoff(first=600.0))
    running.one()
    world.promote(version(world, 2.0))
    state = running.agent.state
    head = git(world.clone, "rev-parse", "HEAD")
    blob = git(world.clone, "rev-parse", "HEAD:models/m/production.yaml")
    from gitml.agent.state import Attempt, save_state, stamp

    attempt = Attempt(commit=head, blob=blob, started=stamp(datetime.now(UTC)), failures=1, over=False)
    save_state(running.folder, state.with_attempt("m", attempt))
    again = start(world, backoff=Backoff(first=600.0))
    seen = again.one()
    assert "the agent ended while it loaded this; tried 1 times" in seen.reason
    assert again.shop.ask("m") == 3.0


def test_two_agents_do_not_share_a_folder(tmp_path: Path) -> None:
    with owned(tmp_path / "state"), pytest.raises(LockedError, match="another agent works"), owned(tmp_path / "state"):
        pass


def test_a_folder_of_another_environment_is_refused(world: World) -> None:
    running = start(world)
    running.one()
    with pytest.raises(OutsideError, match="is the state of production"):
        start(world, "staging", folder=running.folder)


def test_a_torn_state_file_is_said_and_not_guessed(world: World) -> None:
    running = start(world)
    running.one()
    (running.folder / "state.json").write_text("{", encoding="utf-8")
    with pytest.raises(OutsideError, match="is no state of an agent"):
        start(world)


def test_observing_changes_nothing(world: World) -> None:
    running = start(world, observe=True)
    seen = running.one()
    assert (seen.sync, seen.reason) == ("out of sync", "would be applied: its evidence is believed")
    assert running.shop.shown == []
    assert not (running.folder / "state.json").exists()
    assert running.agent.view.verdict.exit_code != 0


def freeze_now(world: World) -> datetime:
    """Main's policy freezes everything from an hour ago on; the time now."""
    now = datetime.now(UTC)
    freeze = {
        "from": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "until": "2099-01-01T00:00:00Z",
        "reason": "sale",
    }
    write(world.clone, {"policy.yaml": policy(freezes=[freeze])})
    world.push()
    return now


def test_a_freeze_suspends_and_a_rollback_passes(world: World) -> None:
    running = start(world)
    running.one()
    freeze_now(world)
    world.promote(version(world, 2.0))
    seen = running.one()
    assert (seen.sync, seen.health) == ("out of sync", "suspended")
    assert seen.reason == "frozen: sale, until 2099-01-01T00:00:00Z"
    assert running.agent.view.verdict.exit_code == 3
    assert running.shop.ask("m") == 3.0
    world.rollback(version(world, 3.0))
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 9.0


def test_what_was_there_before_a_freeze_comes_up_on_a_new_machine(world: World) -> None:
    freeze = {"from": "2026-01-01", "until": "2099-01-01", "reason": "sale"}
    later = {
        "from": f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "until": "2099-01-01",
        "reason": "x",
    }
    write(world.clone, {"policy.yaml": policy(freezes=[later])})
    world.push()
    running = start(world)
    running.clock.ahead = 2 * 3600.0
    assert running.one().sync == "synced"
    write(world.clone, {"policy.yaml": policy(freezes=[freeze])})
    world.push()
    fresh = start(world, folder=world.folder / "new")
    assert fresh.one().health == "degraded", "approved in the middle of the freeze"


def test_a_hold_stops_what_comes_next_until_it_ends(world: World) -> None:
    running = start(world)
    running.one()
    until = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    hold = {"by": "olga", "reason": "looking into it", "until": until}
    world.promote(version(world, 1.0), hold=hold)
    seen = running.one()
    assert (seen.sync, seen.health, seen.until) == ("synced", "suspended", until)
    world.promote(version(world, 2.0))
    seen = running.one()
    assert (seen.sync, seen.health, seen.until) == ("out of sync", "suspended", until)
    running.clock.ahead = 3 * 3600.0
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0


def test_a_running_agent_sees_the_one_clock_turn(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turned = tmp_path / "clock"
    turned.write_text("0s")
    monkeypatch.setenv("GITML_CLOCK", str(turned))
    running = start(world)
    running.one()
    until = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    world.promote(version(world, 1.0), hold={"by": "olga", "reason": "looking into it", "until": until})
    assert running.one().health == "suspended"
    turned.write_text("3h")
    assert (running.one().health, running.shop.ask("m")) == ("healthy", 3.0)


def test_a_column_that_main_makes_private_is_hidden_with_the_next_round_and_shown_with_the_next_deployment(
    world: World,
) -> None:
    spec = world.clone / "gitml.yaml"
    before = spec.read_text()
    running = start(world)
    running.one()
    assert running.shop.shown[-1].private == frozenset()
    spec.write_text(f"{before}\nprivate: [b]\n")
    world.push()
    running.one()
    assert running.shop.shown[-1].private == {"b"}
    world.promote(version(world, 2.0))
    running.one()
    spec.write_text(f"{before}\nprivate: [a]\n")
    world.push()
    running.one()
    assert running.shop.shown[-1].private == {"a", "b"}, "b waits for a deployment"
    shown = len(running.shop.shown)
    running.one()
    assert len(running.shop.shown) == shown
    spec.write_text("not: [a, spec\n")
    world.push()
    running.one()
    assert running.shop.shown[-1].private >= {"*"}
    world.forge.rename(world.folder / "away")
    again = start(world)
    assert again.shop.shown[-1].private >= {"*"}, "after a restart without a network too"


def test_an_ensemble_comes_up_with_all_its_versions(world: World) -> None:
    running = start(world)
    made = world.ensemble(version(world, 1.0), version(world, 3.0), version(world, 5.0))
    world.promote(made, "e")
    seen = running.one("e")
    assert (seen.sync, seen.health, seen.reason) == ("synced", "healthy", "")
    assert running.shop.ask("e") == 9.0
    kept = {path.name for path in (running.folder / "cache").glob("*/*")}
    assert {world.versions[version(world, s)].files[f"artifacts/{m}/model.skops"].sha256 for m, s in _members()} <= kept
    shutil.rmtree(world.store)
    assert start(world).shop.ask("e") == 9.0, "from disk alone"


def _members() -> tuple[tuple[str, float], ...]:
    return ("m", 1.0), ("m", 3.0), ("n", 5.0)


def test_an_ensemble_whose_version_is_damaged_is_not_served(world: World) -> None:
    running = start(world)
    made = world.ensemble(version(world, 1.0), version(world, 2.0))
    artifact = world.artifact(version(world, 2.0))
    artifact.write_bytes(artifact.read_bytes()[:-1])
    world.promote(made, "e")
    seen = running.one("e")
    assert (seen.sync, seen.health) == ("out of sync", "degraded")
    assert "other bytes" in seen.reason
    assert running.one("m").sync == "synced"


@pytest.mark.parametrize(("hours", "health"), [(2, "synced"), (-1, "out of sync")])
def test_an_override_opens_a_freeze_as_long_as_it_lasts(world: World, hours: int, health: str) -> None:
    running = start(world)
    running.one()
    now = freeze_now(world)
    change = world.merge(yaml.safe_dump(world.desired(version(world, 2.0))))
    until = (now + timedelta(hours=hours)).isoformat()
    world.say("gate", change, details={"override": {"gates": ["freeze"], "by": ["rita", "olga"], "until": until}})
    world.say("approved", change)
    assert running.one().sync == health


def test_a_state_that_cannot_be_written_changes_nothing_that_serves(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    file = running.folder / "state.json"
    file.rename(running.folder / "before")
    file.mkdir()
    stop = threading.Event()
    loop = threading.Thread(target=running.agent.run, args=(stop, threading.Event(), 0.05))
    loop.start()
    end = time.monotonic() + 20
    while "the last round failed" not in running.agent.view.reason and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    loop.join(20)
    assert "directory" in running.agent.view.reason
    assert running.agent.view.sync == "unknown"
    assert running.shop.ask("m") == 3.0
    file.rmdir()
    (running.folder / "before").rename(file)
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0


@pytest.mark.slow
@pytest.mark.nightly
def test_killed_at_any_moment_an_agent_goes_on_from_a_whole_state(world: World) -> None:
    start(world).one()
    world.promote(version(world, 2.0), canary=world.pin(version(world, 3.0), weight=10))
    for number in range(9):
        child = os.fork()
        if child == 0:  # in a copy of this process, which has everything imported
            try:
                start(world).one()
            finally:
                os._exit(0)
        time.sleep(0.03 + 0.07 * number)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert start(world).shop.ask("m") in (3.0, 6.0)
    after = start(world)
    seen = after.one()
    assert (seen.sync, seen.health) == ("synced", "healthy")
    assert after.shop.ask("m") == 6.0
    assert len(list((after.folder / "outbox").glob("*-deployed-*.json"))) == 2
    assert not list((after.folder / "cache").glob(".*")), "what a killed process left is swept"


def test_a_file_that_the_mirror_lost_is_trouble_of_one_model_alone(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    world.promote(version(world, 5.0), "n")
    mirror = running.agent.setup.mirror
    mirror.fetch()
    blob = git(world.clone, "rev-parse", "HEAD:models/m/production.yaml")
    (mirror.folder / "objects" / blob[:2] / blob[2:]).unlink()
    seen = {m.model: m for m in running.agent.round().models}
    assert (seen["m"].sync, seen["m"].health, seen["n"].sync) == ("out of sync", "healthy", "synced")
    assert (running.shop.ask("m"), running.shop.ask("n")) == (3.0, 15.0)


def test_locks_of_git_that_a_killed_agent_left_are_dropped(world: World) -> None:
    start(world).one()
    refs = world.folder / "agent-production/mirror.git/refs/gitml"
    for name in ("main.lock", "kept/verified.lock", "kept/applied/m.lock"):
        (refs / name).touch()
    world.promote(version(world, 2.0))
    again = start(world)
    assert (again.one().health.value, again.agent.view.verified) == ("healthy", world.tip)


def test_sample_rows_that_an_erasure_replaced_are_the_ones_that_are_checked(world: World) -> None:
    """Signed by the key that main names for it, of sample rows and nothing else; the old rows are deleted here too."""
    parsed = yaml.safe_load(policy())
    parsed["keys"]["erasures"] = {**parsed["keys"]["gate"], "public": keys()["stranger"][1], "purposes": ["erased"]}
    write(world.clone, {"policy.yaml": yaml.safe_dump(parsed, sort_keys=False)})
    world.push("a key for erasures")
    running = start(world)
    assert running.one().sync == "synced"
    record = world.versions[version(world, 1.0)]
    path = record.roles["samples"]
    old = record.files[path]
    rows = parquet.read_table(world.object((old.dvc or "")[4:])).slice(2)
    new = world.folder / "new.parquet"
    parquet.write_table(rows, new)
    told = {
        "model": "m", "version": record.version, "path": path, "old": old.sha256, "new": sha256(new),
        "dvc": f"md5:{world.keep(new)}", "size": new.stat().st_size,
    }  # fmt: skip
    world.object((old.dvc or "")[4:]).unlink()
    artifact = record.files[record.artifact]
    forged = {**told, "path": record.artifact, "old": artifact.sha256}
    cache = running.folder / "cache"
    there = cache / old.sha256[:2] / old.sha256

    def signed(by: str, replaced: dict[str, object]) -> None:
        moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        about = Binding(kind="erased", repository=REPOSITORY, time=moment, head=world.tip)
        envelope = sign(to_payload(Statement(about, {"request": "R-1", "replaced": [replaced]})), key(by))
        append(world.remote, {event_name(moment, "erased", envelope): envelope})

    signed("gate", told)
    running.one()
    assert there.exists(), "a key for gates signs no erasure"
    signed("stranger", forged)
    assert running.one().sync == "synced"
    assert (cache / artifact.sha256[:2] / artifact.sha256).exists(), "an artifact has no other in its place"
    signed("stranger", told)
    assert running.one().sync == "synced"
    assert not there.exists()

    again = start(world, folder=running.folder)
    (served,) = again.shop.shown[-1].told
    assert (again.shop.ask("m"), served.rows, again.one().sync) == (3.0, 8, "synced"), "checked at its next start"
