"""What an agent tells, pins by hand, and how reports become evidence and the next promotion; against the sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.kit import REPOSITORY, World, key, keys, policy
from agent.running import start, version
from conftest import write
from gitml.agent.failures import SAID, Failure
from gitml.agent.messages import VersionCount
from gitml.agent.pin import LocalPin, check_times, find_record, unpin, write_pin
from gitml.agent.report import DeploymentsPage, News
from gitml.agent.source import Mirror, Moved, Seen, look
from gitml.agent.state import stamp
from gitml.agent.usage import Usage
from gitml.cijobs.collect import collect
from gitml.cijobs.propose import propose
from gitml.errors import GitmlError, OutsideError, RefError, UsageError
from gitml.evidence.dsse import sign, unpack
from gitml.evidence.served import served_hours
from gitml.evidence.statement import Binding, Statement, parse_payload, to_payload
from gitml.evidence.trust import believe
from gitml.forges.settings import Settings
from gitml.forges.table import connect
from gitml.git import ledger
from gitml.git.ledger import event_name
from gitml.git.orphan import Remote
from gitml.promotion.live import live
from gitml.refs import parse
from gitml.retries import Patience
from gitml.spec import Deployment, parse_policy
from promotion.promoting import Town, pin, town
from sandbox.forge_kit import Kit

Build = Callable[..., Town]


def reports(folder: Path) -> list[Statement]:
    return [parse_payload(unpack(path.read_bytes()).payload) for path in sorted(folder.glob("*.json"))]


def test_a_deployment_is_told_once_signed_and_bound_to_its_change(world: World) -> None:
    running = start(world)
    for _ in range(3):
        running.one()
    (path,) = (running.folder / "outbox").glob("*.json")
    found = believe(path.read_bytes(), parse_policy(policy().encode()).keys, REPOSITORY, datetime.now(UTC))
    assert (found.why_not, found.signer) == ("", "agent")
    assert found.statement is not None
    about = found.statement.binding
    assert (about.kind, about.environment, about.version, about.result) == (
        "deployed",
        "production",
        version(world, 1.0),
        "passed",
    )
    assert about.change is not None
    assert about.change.path == "models/m/production.yaml"
    assert found.statement.details["checked"] == {version(world, 1.0): {"sample_rows": 10, "largest_difference": 0.0}}
    again = start(world)
    again.one()
    assert len(list((running.folder / "outbox").glob("*.json"))) == 1


def test_a_deployment_that_fails_is_told_once(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    world.artifact(version(world, 2.0)).unlink()
    for _ in range(3):
        running.one()
    told = [s for s in reports(running.folder / "outbox") if s.binding.result == "failed"]
    assert [s.binding.version for s in told] == [version(world, 2.0)]
    assert told[0].details["failure"] == "outside"
    assert "is on no DVC remote" in running.agent.view.models[0].reason, "here, and in what is signed a sentence"
    assert told[0].details["reason"] == f"not applied: {SAID[Failure.OUTSIDE]}"


def test_each_hour_is_told_signed_and_nothing_of_it_is_lost_while_the_disk_is_full(world: World) -> None:
    running = start(world)
    running.one()
    key_ = ("m", version(world, 1.0), "champion")
    count = VersionCount.none(*key_).model_copy(update={"errors": 2, "buckets": (7, *([0] * 14))})
    running.shop.usage = Usage(1800.0, 1700.0, 1, 12.5, 90_000_000, {key_: count})
    assert running.one().sync == "synced"
    assert [s.binding.kind for s in reports(running.folder / "outbox")] == ["deployed"]
    running.clock.ahead = 3600.0
    outbox = running.folder / "outbox"
    outbox.rename(running.folder / "kept")
    outbox.write_text("in the way")
    running.one()
    assert any("not written to the outbox" in note for note in running.notes)
    outbox.unlink()
    running.shop.usage = Usage(1800.0, 1800.0, 0, 1.5, 80_000_000, {key_: count})
    running.one()
    (path,) = outbox.glob("*.json")
    trusted = parse_policy(policy().encode()).keys
    (hour,) = served_hours([believe(path.read_bytes(), trusted, REPOSITORY, running.clock())])
    told = hour.details
    assert (hour.environment, told.watched, told.up, told.restarts, told.memory) == (
        "production", 3600.0, 3500.0, 1, 90_000_000,
    )  # fmt: skip
    assert [(one.version, one.requests, one.errors) for one in told.counts] == [(version(world, 1.0), 18, 4)]
    running.agent.end()
    assert len(list(outbox.glob("*.json"))) == 1, "of an hour in which nothing served nothing is told"


@pytest.mark.parametrize("url", [False, True])
def test_the_outbox_is_brought_to_a_folder_or_url_when_it_is_there(world: World, url: bool) -> None:
    target = world.folder / "shared"
    target.write_text("in the way")
    running = start(world, outbox=f"file://{target}" if url else str(target))
    running.one()
    assert running.agent.view.outbox == 1
    assert any("the outbox" in note for note in running.notes)
    target.unlink()
    running.one()
    assert running.agent.view.outbox == 0
    assert len(reports(target)) == 1


def test_without_a_key_nothing_is_signed_and_models_are_served(world: World) -> None:
    running = start(world, key=None)
    assert running.one().sync == "synced"
    assert not (running.folder / "outbox").exists()


def pinned(world: World, slope: float, **more: Any) -> LocalPin:
    record = world.versions[version(world, slope)]
    now = datetime.now(UTC)
    facts = {
        "model": "m",
        "version": record.version,
        "digest": record.files[record.artifact].sha256,
        "owner": "olga",
        "reason": "forge is down",
        "since": stamp(now),
        "until": stamp(now + timedelta(hours=2)),
    }
    return LocalPin(**{**facts, **more})


def test_a_local_pin_is_served_while_the_forge_is_down_and_reported_afterwards(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    running.one()
    world.forge.rename(world.folder / "away")
    write_pin(running.folder, pinned(world, 1.0))
    seen = running.one()
    assert (seen.sync, seen.health) == ("unknown", "suspended")
    assert seen.reason.startswith(f"pinned to {version(world, 1.0)} by olga until ")
    assert running.shop.ask("m") == 3.0
    again = start(world)
    assert again.shop.ask("m") == 3.0, "a restart keeps the pin"
    again.clock.ahead = 3 * 3600.0
    (world.folder / "away").rename(world.forge)
    assert again.one().sync == "synced"
    assert again.shop.ask("m") == 6.0, "over is over"
    told = [s for s in reports(running.folder / "outbox") if "pin" in s.details]
    assert [s.details["pin"]["event"] for s in told] == ["begun", "ended"]
    assert {s.binding.by for s in told} == {"olga"}
    assert {s.binding.version for s in told} == {""}, "no rollback may rest on what nobody approved"


def test_a_pin_is_served_though_the_mirror_is_damaged(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    running.one()
    mirror = running.folder / "mirror.git"
    (mirror / "objects").rename(mirror / "lost")
    seen = running.one()
    assert (seen.sync, seen.health, running.shop.ask("m")) == ("unknown", "healthy", 6.0)
    write_pin(running.folder, pinned(world, 2.0, reason="main cannot be read"))
    assert running.one().health == "suspended"


def test_a_pin_is_ended_by_hand(world: World) -> None:
    running = start(world)
    running.one()
    world.promote(version(world, 2.0))
    write_pin(running.folder, pinned(world, 1.0))
    assert running.one().sync == "out of sync"
    unpin(running.folder, "m", datetime.now(UTC))
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0
    with pytest.raises(RefError, match="is not pinned here"):
        unpin(running.folder, "m", datetime.now(UTC))


def test_a_pin_that_cannot_be_loaded_leaves_what_serves(world: World) -> None:
    running = start(world)
    running.one()
    world.artifact(version(world, 2.0)).unlink()
    write_pin(running.folder, pinned(world, 2.0))
    seen = running.one()
    assert seen.health == "degraded"
    assert "is on no DVC remote" in seen.reason
    assert running.shop.ask("m") == 3.0


@pytest.mark.parametrize("text", ["", "{}", '{"model": "other"}'])
def test_a_file_that_is_no_pin_pins_nothing(world: World, text: str) -> None:
    running = start(world)
    write(running.folder, {"pins/m.json": text})
    assert running.one().sync == "synced"


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "ends in the future"),
        ({"until": "2099-01-01T00:00:00Z"}, "at most 14 days"),
        ({"owner": " "}, "owner and a reason"),
        ({"reason": ""}, "owner and a reason"),
    ],
)
def test_a_pin_has_an_owner_a_reason_and_a_near_end(world: World, more: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        check_times(pinned(world, 1.0, **more), datetime.now(UTC))


def test_a_clock_set_back_does_not_make_a_pin_last(world: World) -> None:
    one = pinned(world, 1.0)
    now = datetime.now(UTC)
    assert one.is_active(now)
    assert not one.is_active(now - timedelta(days=30))


def test_a_pin_names_a_version_that_the_mirror_knows(world: World) -> None:
    running = start(world)
    running.one()
    mirror, commit = running.agent.setup.mirror, running.agent.state.verified
    short = version(world, 2.0).rpartition("-")[2]
    assert find_record(mirror, commit, parse(f"m@{short}")).version == version(world, 2.0)
    assert find_record(mirror, commit, parse("m")).version == version(world, 3.0)
    for wrong in ("m@00000000", "other@latest", "m@production"):
        with pytest.raises(RefError):
            find_record(mirror, commit, parse(wrong))


def test_a_pin_compares_every_digit_of_the_digest(world: World) -> None:
    name = version(world, 2.0)
    digest = world.versions[name].digest
    mirror = Mirror(world.folder / "mirror.git", world.remote, "main")
    mirror.prepare()
    commit = mirror.fetch().main
    assert find_record(mirror, commit, parse(f"m@{digest[:16]}")).version == name
    assert find_record(mirror, commit, parse(f"m@{digest}")).version == name
    with pytest.raises(RefError):
        find_record(mirror, commit, parse(f"m@{digest[:8]}deadbeef"))


def test_a_pin_refuses_the_record_of_another_version(world: World) -> None:
    name, other = version(world, 2.0), version(world, 1.0)
    write(world.clone, {f"models/m/versions/{name}.json": world.versions[other].to_json()})
    world.push("edited")
    mirror = Mirror(world.folder / "mirror.git", world.remote, "main")
    mirror.prepare()
    with pytest.raises(GitmlError, match=f"is the record of m {other}"):
        find_record(mirror, mirror.fetch().main, parse(f"m@{name}"))


@pytest.fixture
def build(kit: Kit, tmp_path: Path) -> Build:
    return lambda **more: town(kit, tmp_path, **more)


def agents_key(t: Town, **more: Any) -> None:
    there = {"public": keys()["agent"][1], "owner": "production", "purposes": ["deployed"], "from": "2020-01-01"}
    t.policy(keys={"agent": there}, **more)


HOUR = {
    "format": 1, "agent": "here", "since": "2026-02-28T11:00:00Z", "until": "2026-02-28T12:00:00Z", "watched": 3600.0,
    "up": 3600.0, "restarts": 0, "cpu": 8.5, "memory": 90_000_000, "bounds": [0.1], "counts": [],
}  # fmt: skip


def report(
    t: Town, outbox: Path, *, by: str = "agent", kind: str = "deployed", details: Any = None, **more: Any
) -> str:
    """A statement in the outbox, as an agent leaves it; its name in the ledger."""
    parts: dict[str, Any] = {
        "kind": kind,
        "repository": t.repo.full_name,
        "time": f"{t.now:%Y-%m-%dT%H:%M:%SZ}",
        "model": "delay",
        "environment": "staging",
        "head": t.tip,
        **more,
    }
    envelope = sign(to_payload(Statement(Binding(**parts), details or {})), key(by))
    name = event_name(parts["time"], kind, envelope)
    outbox.mkdir(exist_ok=True)
    (outbox / name.rpartition("/")[2]).write_bytes(envelope)
    return name


@pytest.mark.nightly
def test_reports_become_evidence_once_and_open_the_next_promotion(build: Build, tmp_path: Path) -> None:
    t = build()
    environments = {
        "staging": {"approvals": {"operations": 1}},
        "production": {"approvals": {"operations": 1}, "propose": True},
    }
    agents_key(t, environments=environments)
    one = t.train(1)
    t.put("staging", Deployment(champion=pin(one)))
    outbox = tmp_path / "outbox"
    name = report(t, outbox, version=one.version, artifact=pin(one).digest)
    with t.place() as place:
        done = collect(place, str(outbox))
        assert (done.added, dict(done.refused), done.verdict.exit_code) == ((name,), {}, 0)
        again = collect(place, str(outbox))
        assert (again.added, again.known) == ((), (name,))
        opened = [turn for turn in propose(place, None) if turn.environment == "production"]
        assert opened[0].proposed is not None
        assert opened[0].proposed.version == one.version
        pruned = collect(place, f"file://{outbox}", prune=True)
        assert len(pruned.removed) == 1
        assert list(outbox.iterdir()) == []
        head = ledger.fetch(place.root, place.remote)
        assert [event.name for event in ledger.read(place.root, head or "")] == [name]


def test_what_no_agent_of_ours_said_stays_out_of_the_ledger(build: Build, tmp_path: Path) -> None:
    t = build()
    agents_key(t)
    outbox = tmp_path / "outbox"
    good = report(t, outbox)
    stranger = report(t, outbox, by="stranger")
    elsewhere = report(t, outbox, repository="eve/other")
    other_kind = report(t, outbox, kind="approved")
    not_on_main = report(t, outbox, head="1" * 40)
    renamed = f"20260301T120000Z-deployed-{'0' * 12}.json"
    (outbox / renamed).write_bytes((outbox / good.rpartition("/")[2]).read_bytes())
    (outbox / "torn.json").write_text("{")
    (outbox / "note.txt").write_text("no statement")
    hour = report(t, outbox, kind="served", model="", details=HOUR)
    longer = report(t, outbox, kind="served", model="", details={**HOUR, "up": 9e9})
    with t.place() as place:
        done = collect(place, str(outbox), prune=True)
        assert collect(place, str(outbox)).added == ()
        kept = {name: ledger.fetch(place.root, place.remote, name) for name in (ledger.BRANCH, ledger.SERVED)}
        there = {name: [e.name for e in ledger.read(place.root, head or "")] for name, head in kept.items()}
    assert there == {ledger.BRANCH: [good], ledger.SERVED: [hour]}
    assert done.added == tuple(sorted((good, hour)))
    refused = dict(done.refused)
    for name, word in (
        (stranger, "does not name"),
        (elsewhere, "is about the repository eve/other"),
        (other_kind, "approved"),
        (not_on_main, "not on the default branch"),
        (longer, "contradicts itself: served: Value error, its server answered longer than it was looked at"),
        (renamed, "something else than it says"),
        ("torn.json", "no name of an event"),
    ):
        assert word in refused.pop(name.rpartition("/")[2])
    assert refused == {}
    assert done.verdict.exit_code == 1
    assert good.rpartition("/")[2] not in {path.name for path in outbox.iterdir()}


def test_an_outbox_that_is_not_there_is_empty(build: Build, tmp_path: Path) -> None:
    t = build()
    agents_key(t)
    with t.place() as place:
        assert collect(place, str(tmp_path / "none")).verdict.exit_code == 0


def test_the_forges_page_shows_what_runs_and_its_absence_stops_nothing(build: Build, world: World) -> None:
    t = build()
    settings = Settings(f"{t.kit.url}/api/v3", t.kit.url, t.repo.full_name, t.kit.token["ada"])
    quick = Patience(tries=1, total=2, answer=2.0)
    with connect(settings, patience=quick) as forge:
        notes: list[str] = []
        page = DeploymentsPage(forge.deployments, "", notes.append)
        running = start(world, page=page)
        assert running.one().sync == "synced"
        # The sandbox does not know the commits of another repository.
        assert any("not reported to the forge" in note for note in notes)
        assert running.shop.ask("m") == 3.0
        one = t.train(1)
        moved = Moved(path="models/delay/staging.yaml", old="", new="1" * 40, commit=t.tip, parent="")
        for result in ("failed", "passed"):
            news = News("staging", "delay", moved, Deployment(champion=pin(one)), result, result, stamp(t.now), 0.1)
            assert page.tell(news, "here")
            seen = live(forge, "delay", "staging", notes.append)
            assert seen is not None
            assert (seen.version, seen.is_up) == (one.version, result == "passed")


def test_main_is_followed_over_http_with_a_token_that_no_error_shows(build: Build, tmp_path: Path) -> None:
    t = build()
    url, token = f"{t.kit.url}/{t.repo.full_name}.git", t.kit.token["ada"]
    mirror = Mirror(tmp_path / "mirror.git", Remote(url, token), "main")
    mirror.prepare()
    assert mirror.fetch().main == t.tip
    t.train(1)
    seen = look(mirror, Seen(main=mirror.heads().main))
    assert (seen.main, seen.ledger) == (t.tip, "")
    assert token not in (mirror.folder / "config").read_text(encoding="utf-8")
    for wrong in (Remote(f"{t.kit.url}/ada/nothing.git", token), Remote("http://127.0.0.1:1/ada/flights.git", token)):
        with pytest.raises(OutsideError) as caught:
            Mirror(tmp_path / "mirror.git", wrong, "main").fetch()
        assert token not in caught.value.message
    assert mirror.heads().main == t.tip


def test_neither_state_nor_notes_show_a_password_of_a_url(world: World) -> None:
    outbox = start(world, outbox="ftp://olga:hunter2-outbox@127.0.0.1:1/box")
    outbox.one()
    lost = start(world, remote=Remote("http://x:hunter2-from@127.0.0.1:1/a/b"))
    lost.agent.round()
    for running, word in ((outbox, "outbox"), (lost, "127.0.0.1")):
        told = json.dumps(running.agent.view.to_dict()) + "\n".join(running.notes)
        assert word in told
        assert "hunter2" not in told
