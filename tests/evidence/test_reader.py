"""The one reader, attacked by ordinary pushes of a writer who has no key: nothing that they do makes anything count."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import git, packed
from evidence.evidence_kit import REPOSITORY, START, World, binding, enveloped, key_pair, named, stamp, world
from gitml.evidence import trust
from gitml.evidence.keys import SigningKey
from gitml.evidence.reader import EvidenceRules, Told, read
from gitml.evidence.standing import acceptance
from gitml.evidence.statement import Binding
from gitml.evidence.trust import Cause, sealed
from gitml.git import ledger
from gitml.git.ledger import Event
from gitml.spec import parse_policy

NOW = START + timedelta(days=2)
PEOPLE = {name: key_pair() for name in ("rita", "olga", "eve")}


def people_policy(app: World) -> str:
    tail = "".join(
        f"  {name}:\n    public: {public}\n    owner: {name}\n    purposes: [overridden]\n    from: 2026-01-01\n"
        for name, (_, public) in PEOPLE.items()
    )
    return app.policy(
        {"ci": app.public}, f"{tail}roles:\n  risk: {{people: [rita, olga]}}\noverride: {{role: risk, people: 2}}\n"
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = world(tmp_path_factory.mktemp("read"))
    made.commit({"policy.yaml": people_policy(made)})
    made.promote("one")
    packed(made.root.parent)
    return made


@pytest.fixture
def app(template: World, tmp_path: Path) -> World:
    """One promotion with all of its evidence."""
    return template.copy(tmp_path)


def told(app: World) -> Told:
    app.git("fetch", "-q", "origin")
    policy = parse_policy((app.root / "policy.yaml").read_bytes())
    head = app.git("rev-parse", f"origin/{ledger.BRANCH}")
    return read(app.root, head, EvidenceRules(policy, REPOSITORY, NOW))


def counting(app: World) -> list[str]:
    return [one.name for one in told(app).events if one]


def last(app: World, kind: str) -> Binding:
    return next(one.binding for one in reversed(told(app).events) if one and one.binding and one.binding.kind == kind)


def test_an_old_event_copied_under_a_later_name(app: World) -> None:
    passed = app.names[0]
    shut = last(app, "gate").model_copy(update={"result": "failed", "time": stamp(app.now())})
    app.record(shut)
    before = counting(app)
    later = passed.replace("/03/20260301", "/03/20260302")
    app.rewrite_ledger(f"cp {passed} {later}")
    assert counting(app) == before
    assert last(app, "gate").result == "failed"


def test_a_shut_gate_that_is_deleted_stays(app: World) -> None:
    shut = last(app, "gate").model_copy(update={"result": "failed", "time": stamp(app.now())})
    app.record(shut)
    app.rewrite_ledger(f"git rm -q {app.names[-1]}")
    assert app.names[-1] in counting(app)
    assert last(app, "gate").result == "failed"
    assert len(told(app).standing.broken) == 1


def spaced(raw: bytes) -> bytes:
    return json.dumps(json.loads(raw)).encode() + b"\n"


def url_safe(raw: bytes) -> bytes:
    data = json.loads(raw)
    data["signatures"][0]["sig"] = data["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    return json.dumps({**data, "signatures": data["signatures"]}, separators=(",", ":")).encode() + b" \n"


def twice(raw: bytes) -> bytes:
    data = json.loads(raw)
    return json.dumps({**data, "signatures": data["signatures"] * 2}, separators=(",", ":")).encode() + b"\n"


def without_hint(raw: bytes) -> bytes:
    data = json.loads(raw)
    data["signatures"][0]["keyid"] = ""
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def with_more(raw: bytes) -> bytes:
    return json.dumps({**json.loads(raw), "more": 1}, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("change", [spaced, url_safe, twice, without_hint, with_more])
def test_other_bytes_for_the_same_payload_under_an_honest_name(app: World, change: Callable[[bytes], bytes]) -> None:
    about = last(app, "gate")
    raw = change(enveloped(about, app.key, {"numbers": [1.5]}))
    name = named(about, raw)
    ledger.append(app.server, {name: raw})
    assert name not in counting(app)
    (found,) = [one for one in told(app).events if one.name == name]
    assert found.cause is Cause.NOT_CANONICAL


def test_a_payload_that_is_not_in_the_one_form(app: World) -> None:
    from gitml.evidence.dsse import sign, unpack

    about = last(app, "gate")
    payload = json.loads(unpack(enveloped(about, app.key)).payload)
    raw = sign(json.dumps(payload).encode(), app.key)
    found = sealed(Event(named(about, raw), raw))
    assert not isinstance(found, tuple)
    assert found.cause is Cause.NOT_CANONICAL


def test_the_order_is_that_of_the_signed_times(app: World) -> None:
    about = last(app, "gate")
    for seconds in (50, 30, 40):
        app.record(about.model_copy(update={"time": stamp(START + timedelta(hours=1, seconds=seconds))}))
    times = [one.binding.time for one in told(app).events if one.binding]
    assert times == sorted(times)


def test_four_thousand_copies_are_read_once(app: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie under every second of an hour; the one content is loaded and judged cheaply."""
    (blob,) = {one.event.blob for one in told(app).events if one.name == app.names[0]}
    digest = app.names[0][-17:-5]
    moments = (START + timedelta(seconds=n) for n in range(4000))
    names = [f"2026/03/{moment:%Y%m%dT%H%M%SZ}-gate-{digest}.json" for moment in moments]
    tip = app.git("ls-remote", "origin", ledger.BRANCH).split()[0]
    rows = "".join(f"M 100644 {blob} {name}\n" for name in names)
    stream = f"commit refs/heads/{ledger.BRANCH}\ncommitter e <e> 0 +0000\ndata 1\nx\nfrom {tip}\n{rows}\n"
    import subprocess

    server = Path(app.server.url.removeprefix("file://"))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=server, input=stream.encode(), check=True)
    opened: list[bytes] = []
    real = trust.read_payload
    monkeypatch.setattr(trust, "read_payload", lambda raw: opened.append(raw) or real(raw))
    before = counting(app)
    assert [name for name in before if digest in name] == [app.names[0]]
    assert len(opened) == len(set(opened)) == 3, "2,000 names of one look of 700 kB took 82 s"


def accept(app: World, who: str, *, by: str = "", key: SigningKey | None = None) -> None:
    broken = told(app).standing.broken
    about = Binding.model_validate(
        {
            "kind": "overridden",
            "repository": REPOSITORY,
            "time": stamp(app.now()),
            "head": broken[0].good,
            "by": by or who,
        }
    )
    raw = enveloped(about, key or PEOPLE[who][0], acceptance(broken, "olga cleaned up"))
    ledger.append(app.server, {named(about, raw): raw})


def broken(app: World) -> str:
    """An event is deleted, then an honest promotion is recorded; the name of its gate."""
    app.rewrite_ledger(f"git rm -q {app.names[0]}")
    app.promote("two")
    return app.names[-3]


@pytest.mark.slow
def test_what_comes_after_a_break_counts_when_two_people_accepted_it(app: World) -> None:
    old = counting(app)
    gate = broken(app)
    assert counting(app) == old
    (found,) = [one for one in told(app).events if one.name == gate]
    assert found.cause is Cause.AFTER_BREAK
    accept(app, "rita")
    assert gate not in counting(app)
    accept(app, "rita")
    accept(app, "eve", by="olga")
    accept(app, "eve")
    accept(app, "olga", by="rita")
    assert gate not in counting(app), "two signatures of one person, of nobody with the role, in another's name"
    accept(app, "olga")
    assert gate in counting(app)
    assert set(old) < set(counting(app))
    assert told(app).standing.broken == ()
    app.rewrite_ledger(f"git rm -q {app.names[1]}")
    app.promote("three")
    assert app.names[-3] not in counting(app), "the next break has to be accepted by itself"


def test_a_break_that_is_accepted_was_on_this_line(app: World) -> None:
    """What people accepted once opens no other break, and no other ledger."""
    broken(app)
    first = told(app).standing.broken
    accept(app, "rita")
    accept(app, "olga")
    git(app.root, "fetch", "-q", "origin", ledger.BRANCH)
    app.rewrite_ledger(f"git rm -q {app.names[2]}")
    assert [b.commit for b in told(app).standing.broken] != [b.commit for b in first]
    assert len(told(app).standing.broken) == 1


def rollback(app: World, about: Binding, **more: Any) -> str:
    """Evidence of a gate that lets a version back in; its name."""
    changed = about.model_copy(update={"kind": "gate", "time": stamp(app.now()), "pull": 9, **more})
    name, raw = app.sign(changed, details={"move": "rollback"})
    ledger.append(app.server, {name: raw})
    return name


def test_rollbacks_to_what_was_approved_pass_meanwhile(app: World) -> None:
    first = last(app, "approved")
    broken(app)
    assert rollback(app, first) in counting(app)
    assert rollback(app, first, version="20260301T070000Z-ffffffff") not in counting(app)
    assert rollback(app, first, environment="staging") not in counting(app)
    assert rollback(app, first, artifact="f" * 64) not in counting(app)


def copied(app: World, ledger_tip: str, *, broken: bool) -> None:
    """A writer merges a root of their own, which has all events; on it they came after a break, or the true break never
    was."""
    tree = app.git("rev-parse", f"{ledger_tip}^{{tree}}")
    root = app.git("commit-tree", tree, "-m", "copy")
    if broken:
        first = app.git("rev-list", "--max-parents=0", ledger_tip)
        root = app.git("commit-tree", f"{first}^{{tree}}", "-m", "one event")
        for taken in (app.git("hash-object", "-t", "tree", "-w", "/dev/null"), tree):
            root = app.git("commit-tree", taken, "-p", root, "-m", "deletes it, and adds all")
    made = app.git("commit-tree", tree, "-p", root, "-p", ledger_tip, "-m", "merge")
    app.git("push", "-q", "origin", f"{made}:refs/heads/{ledger.BRANCH}")


def tip(app: World) -> str:
    app.git("fetch", "-q", "origin")
    return app.git("rev-parse", f"origin/{ledger.BRANCH}")


def test_no_copy_on_another_line_takes_two_people_s_place(app: World) -> None:
    gate = broken(app)
    copied(app, tip(app), broken=False)
    assert gate not in counting(app)
    accept(app, "rita")
    accept(app, "olga")
    assert gate in counting(app)


def test_no_break_of_a_copy_takes_back_what_was_signed_on_a_whole_ledger(app: World) -> None:
    """Signers say how far they had read: that no writer can put behind anything."""
    about = last(app, "approved")
    for kind in ("gate", "approved"):
        app.record(about.model_copy(update={"kind": kind, "time": stamp(app.now()), "ledger": tip(app)}))
    good, signed = tip(app), app.names[-2:]
    copied(app, good, broken=True)
    assert len(told(app).standing.broken) == 1
    assert set(signed) <= set(counting(app))
    assert rollback(app, about, ledger=tip(app)) in counting(app)
    after = about.model_copy(update={"time": stamp(app.now()), "ledger": tip(app)})
    app.record(after)
    assert app.names[-1] not in counting(app)
    app.record(after.model_copy(update={"time": stamp(app.now()), "ledger": good}))
    assert app.names[-1] in counting(app), "who signed had read a whole ledger"


def test_rubbish_may_be_cleaned_up(app: World) -> None:
    """What never counted is no loss; what goes with it, in the same commit, is."""
    rubbish = app.names[0][:-17] + hashlib.sha256(b"{}").hexdigest()[:12] + ".json"
    app.rewrite_ledger(f"printf '{{}}' > {rubbish}")
    app.rewrite_ledger(f"git rm -q {rubbish}")
    assert [b.what for b in told(app).standing.line.breaks] == [f"deleted {rubbish}"]
    assert told(app).standing.broken == ()
    app.rewrite_ledger(f"printf '{{}}' > {rubbish}")
    app.rewrite_ledger(f"git rm -q {rubbish} {app.names[0]}")
    assert len(told(app).standing.broken) == 1


def test_a_training_with_files_that_look_like_events_breaks_nothing(app: World) -> None:
    """Rubbish under a good name, and a copy of an event that the ledger has: a reviewed pull request brought both."""
    copy = app.names[0]
    raw = next(one.event.content for one in told(app).events if one.name == copy)
    rubbish = copy[:-17] + hashlib.sha256(b"{}").hexdigest()[:12] + ".json"
    head = app.commit({copy: raw.decode(), rubbish: "{}"}, "train")
    app.publish()
    about = last(app, "gate").model_copy(update={"kind": "trained", "time": stamp(app.now()), "change": None})
    app.record(about, parents=(head,))
    after = last(app, "gate").model_copy(update={"time": stamp(app.now())})
    app.record(after)
    assert told(app).standing.line.breaks
    assert told(app).standing.broken == ()
    assert app.names[-1] in counting(app)


@pytest.mark.slow
def test_a_flood_of_large_events_that_nobody_vouches_for_fills_no_reader_s_memory(
    app: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A megabyte of one letter costs a kilobyte on the forge, and each file may be another one."""
    stranger, _ = key_pair()
    before = counting(app)
    for number in range(16):
        about = binding(time=stamp(START))
        envelope = enveloped(about, stranger, {"number": number, "words": "x" * 400_000})
        place = tmp_path / "flood" / named(about, envelope)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(envelope)
    app.rewrite_ledger(f"cp -r {tmp_path}/flood/* .")
    app.git("fetch", "-q", "origin")
    monkeypatch.setattr(ledger, "_AT_ONCE", 1_000_000)
    rules = EvidenceRules(parse_policy((app.root / "policy.yaml").read_bytes()), REPOSITORY, NOW)
    head = app.git("rev-parse", f"origin/{ledger.BRANCH}")
    tracemalloc.start()
    found = read(app.root, head, rules, whole=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000, "of 9 MB"
    assert [one.name for one in found.events if one] == before
    refused = [one for one in found.events if not one]
    assert {one.cause for one in refused} == {Cause.UNKNOWN_KEY}
    assert len({one.event.digest for one in refused}) == 16


def test_of_two_judgements_of_one_second_the_one_that_shut_is_the_newer_whatever_its_run_is_called(app: World) -> None:
    """The name of the run decides the bytes, so the name, and whoever calls the job can try names until one fits."""
    gate = last(app, "gate").model_copy(update={"time": stamp(app.now())})
    shut = gate.model_copy(update={"result": "failed", "run": "http://ci/0"})
    app.record(shut, *(gate.model_copy(update={"run": f"http://ci/{number}"}) for number in range(1, 9)))
    events = [one for one in told(app).events if one.kind == "gate" and one.binding and one.binding.time == gate.time]
    assert (len(events), events[-1].result) == (9, "failed")
    assert last(app, "gate").result == "failed"
