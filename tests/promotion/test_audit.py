"""``gitml audit`` on real repositories: one that agrees, and that one broken in each way that has a name."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import git, packed
from evidence.evidence_kit import REPOSITORY, START, VERSION, World, key_pair, stamp, world
from gitml.errors import InconclusiveError, UsageError
from gitml.evidence.audit import Audit
from gitml.git import ledger
from gitml.promotion.audit import AuditCall, audit
from gitml.verdict import Phase

NOW = START + timedelta(days=2)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = world(tmp_path_factory.mktemp("audited"))
    made.promote("one")
    made.promote("two")
    packed(made.root.parent)
    return made


@pytest.fixture
def app(template: World, tmp_path: Path) -> World:
    """Two promotions with all of their evidence."""
    return template.copy(tmp_path)


def judged(app: World, **asked: object) -> Audit:
    app.publish()
    return audit(app.root, {}, AuditCall(repository=REPOSITORY, **asked), now=NOW)  # type: ignore[arg-type]


def kinds(result: Audit) -> list[str]:
    return sorted({finding.kind.value for finding in result.findings})


def test_all_agrees(app: World) -> None:
    result = judged(app)
    assert (result.verdict.phase, result.findings) == (Phase.SUCCESSFUL, ())
    assert [(r.gate, r.approval, r.placed, r.pull, r.by) for r in result.changes] == [
        ("passed", "passed", "promoted", 7, "ada")
    ] * 2
    assert len(result.events) == 6
    assert result.facts.head == git(app.root.parent / "server.git", "rev-parse", ledger.BRANCH)


def test_there_is_nothing_to_audit(tmp_path: Path) -> None:
    result = judged(world(tmp_path))
    assert (result.verdict.phase, result.findings) == (Phase.INCONCLUSIVE, ())


def without_evidence(app: World) -> None:
    app.deploy("three")


def with_a_gate_alone(app: World) -> None:
    app.record(app.deploy("three").model_copy(update={"kind": "gate"}))


def past_the_gate(app: World) -> None:
    about = app.promote("three")
    late = {"kind": "gate", "result": "failed", "time": stamp(app.now())}
    app.record(about.model_copy(update=late))


def without_approval(app: World) -> None:
    about = app.deploy("three")
    app.record(*(about.model_copy(update=u) for u in ({"kind": "gate"}, {"kind": "approved", "result": "failed"}, {})))


def promoted_that_failed(app: World) -> None:
    about = app.deploy("three")
    app.record(*(about.model_copy(update=u) for u in ({"kind": "gate"}, {"kind": "approved"}, {"result": "failed"})))


def respelled(app: World) -> None:
    """The evidence of a merge past a shut gate, passed and with other spacing, under honest names."""
    about = app.deploy("three")
    app.record(about.model_copy(update={"kind": "gate", "result": "failed"}))
    for kind in ("gate", "approved", "promoted"):
        passed = about.model_copy(update={"kind": kind, "time": stamp(app.now())})
        raw = json.dumps(json.loads(app.sign(passed)[1])).encode() + b"\n"
        ledger.append(app.server, {ledger.event_name(passed.time, kind, raw): raw})


def replayed(app: World) -> None:
    """Back to the first version, and to the second again: all evidence there is speaks of the first time."""
    app.promote("one")
    app.deploy("two")


def other_environment(app: World) -> None:
    about = app.deploy("three")
    app.record(
        *(about.model_copy(update={"kind": k, "environment": "staging"}) for k in ("gate", "approved", "promoted"))
    )


def other_policy(app: World) -> None:
    about = app.deploy("three")
    app.record(*(about.model_copy(update={"kind": k, "policy": "0" * 64}) for k in ("gate", "approved", "promoted")))


def deleted_deployment(app: World) -> None:
    app.git("rm", "-q", "models/m/production.yaml")
    app.git("commit", "-qm", "gone")


def symlinked(app: World) -> None:
    path = app.root / "models/m/production.yaml"
    path.unlink()
    path.symlink_to("other.yaml")
    app.git("add", "-A")
    app.git("commit", "-qm", "link")


def never_merged(app: World) -> None:
    about = app.deploy("three")
    app.git("reset", "-q", "--hard", "HEAD^")
    app.record(*(about.model_copy(update={"kind": kind}) for kind in ("gate", "approved", "promoted")))


def of_no_version(app: World) -> None:
    app.record(app.deploy("three").model_copy(update={"kind": "trained", "change": None}))
    app.git("reset", "-q", "--hard", "HEAD^")


def of_no_commit(app: World) -> None:
    about = app.promote("three")
    app.record(about.model_copy(update={"kind": "deployed", "head": "f" * 40}))


def edited(app: World) -> None:
    app.rewrite_ledger(f"sed -i s/keyid/keyID/ {app.names[1]}")


def deleted(app: World) -> None:
    app.rewrite_ledger(f"git rm -q {app.names[0]}")


def deleted_and_back(app: World) -> None:
    app.rewrite_ledger(f"git rm -q {app.names[0]}")
    app.rewrite_ledger(f"git checkout -q HEAD^ -- {app.names[0]}")


def renamed(app: World) -> None:
    app.rewrite_ledger(f"cp {app.names[0]} 2026/03/20260309T000000Z-approved-{app.names[0][-17:-5]}.json")


def foreign_content(app: World) -> None:
    app.rewrite_ledger(f"echo hi > {app.names[0][:-17]}000000000000.json")


def huge(app: World) -> None:
    app.rewrite_ledger(f"head -c 1000001 /dev/zero > {app.names[0][:-17]}000000000000.json")


def foreign_file(app: World) -> None:
    app.rewrite_ledger("echo hi > README.md")


def linked(app: World) -> None:
    app.rewrite_ledger(f"ln -s x {app.names[0][:-17]}000000000000.json")


def bypassed(app: World) -> None:
    """Another line in front of the real one; the server sees a fast-forward."""
    tree = "git commit-tree -m line HEAD^{tree}"
    app.rewrite_ledger(
        f"new=$(git -c user.name=e -c user.email=e@e commit-tree -m line -p $({tree}) -p HEAD HEAD^{{tree}});",
        "git reset -q --soft $new",
    )


def bypassed_break(app: World) -> None:
    """A line without the break, in front of the one that has it."""
    app.rewrite_ledger("git tag whole HEAD;", f"git rm -q {app.names[0]}")
    tree = "git -c user.name=e -c user.email=e@e commit-tree -m line whole^{tree}"
    app.rewrite_ledger(f"git checkout -q whole -- .; new=$({tree} -p $({tree}) -p HEAD);", "git reset -q --soft $new")


def unknown_key(app: World) -> None:
    stranger, _ = key_pair()
    about = app.deploy("three")
    app.record(*(about.model_copy(update={"kind": k}) for k in ("gate", "approved", "promoted")), key=stranger)


def other_repository(app: World) -> None:
    about = app.deploy("three")
    app.record(*(about.model_copy(update={"kind": k, "repository": "acme/other"}) for k in ("gate", "approved")))


def dated_back(app: World) -> None:
    """Signed now, with the time of last month."""
    about = app.deploy("three")
    app.record(
        *(
            about.model_copy(update={"kind": k, "time": "2026-02-01T08:00:00Z"})
            for k in ("gate", "approved", "promoted")
        )
    )


def from_the_future(app: World) -> None:
    about = app.deploy("three")
    app.record(about.model_copy(update={"kind": "gate", "time": "2036-03-01T08:00:00Z"}))


RECORD = f"models/m/versions/{VERSION}.json"


def record_edited(app: World) -> None:
    app.commit({RECORD: '{"samples": true}'}, "train")
    app.commit({RECORD: "{}"}, "tidy up")


def record_gone_and_back(app: World) -> None:
    app.commit({RECORD: '{"samples": true}'}, "train")
    app.git("rm", "-q", RECORD)
    app.git("commit", "-qm", "clean")
    app.commit({RECORD: "{}"}, "restore")


def record_gone(app: World) -> None:
    app.commit({RECORD: '{"samples": true}'}, "train")
    app.git("rm", "-q", RECORD)
    app.git("commit", "-qm", "clean")


BROKEN: dict[Callable[[World], None], set[str]] = {
    without_evidence: {"change-without-evidence", "way-unknown"},
    with_a_gate_alone: {"change-without-evidence", "way-unknown"},
    past_the_gate: {"past-a-shut-gate"},
    without_approval: {"past-a-shut-gate"},
    promoted_that_failed: {"past-a-shut-gate"},
    respelled: {"past-a-shut-gate", "not-canonical", "change-without-evidence", "way-unknown"},
    replayed: {"change-without-evidence", "way-unknown"},
    other_environment: {"change-without-evidence", "evidence-without-change", "way-unknown"},
    other_policy: {"change-without-evidence", "evidence-without-change", "way-unknown"},
    deleted_deployment: {"change-without-evidence", "way-unknown"},
    symlinked: {"change-without-evidence", "way-unknown", "no-plain-file"},
    never_merged: {"evidence-without-change"},
    of_no_version: {"evidence-without-change"},
    of_no_commit: {"evidence-without-change"},
    edited: {"event-edited", "foreign-writer"},
    deleted: {"event-deleted", "foreign-writer"},
    deleted_and_back: {"event-deleted", "event-reordered", "foreign-writer"},
    renamed: {"event-misnamed", "foreign-writer"},
    foreign_content: {"event-misnamed", "foreign-writer"},
    huge: {"event-misnamed", "foreign-writer"},
    linked: {"event-misnamed", "foreign-writer"},
    bypassed: {"ledger-bypassed"},
    bypassed_break: {"ledger-bypassed"},
    unknown_key: {"unknown-key", "change-without-evidence", "way-unknown"},
    other_repository: {"other-repository", "change-without-evidence", "way-unknown"},
    dated_back: {"event-reordered"},
    record_edited: {"record-changed"},
    record_gone_and_back: {"record-changed"},
    record_gone: {"record-changed"},
    from_the_future: {"future", "change-without-evidence", "way-unknown"},
}


@pytest.mark.parametrize(("breaks", "found"), BROKEN.items(), ids=[f.__name__ for f in BROKEN])
def test_broken(app: World, breaks: Callable[[World], None], found: set[str]) -> None:
    breaks(app)
    result = judged(app)
    assert found <= set(kinds(result)), result.findings
    assert result.verdict.phase is Phase.FAILED
    extra = set(kinds(result)) - found
    assert extra <= (
        {"change-without-evidence", "way-unknown", "foreign-writer", "event-reordered"}
        if breaks in (bypassed, bypassed_break)
        else set()
    ), result.findings


def test_a_branch_that_replaced_its_own_record_and_was_rebased_is_none_of_these(app: World) -> None:
    """Nothing was ever signed of the first one."""
    first, second = (f"models/m/versions/2026010{n}T000000Z-0000000{n}.json" for n in (1, 2))
    app.commit({first: "{}"}, "train")
    app.git("rm", "-q", first)
    app.commit({second: "{}"}, "train again")
    assert judged(app).findings == ()


@pytest.mark.parametrize("result", ["passed", "failed"])
def test_the_gate_of_another_pull_request_with_the_same_change_says_nothing_of_this_one(
    app: World, result: str
) -> None:
    """Nobody approved the other one, and it was judged after the one that was merged."""
    about = app.deploy("three")
    other = {"kind": "gate", "pull": 8, "head": "e" * 40, "result": result}
    told = ({"kind": "gate"}, other, {"kind": "approved"}, {})
    app.record(*(about.model_copy(update={**more, "time": stamp(app.now())}) for more in told))
    audited = judged(app)
    assert (audited.verdict.phase, audited.findings) == (Phase.SUCCESSFUL, ())
    assert audited.changes[-1].gate == "passed"


def test_a_change_whose_own_pull_request_no_gate_judged(app: World) -> None:
    about = app.deploy("three")
    other = {"kind": "gate", "pull": 8, "head": "e" * 40}
    app.record(*(about.model_copy(update=more) for more in (other, {"kind": "approved"}, {})))
    assert kinds(judged(app)) == ["change-without-evidence"]


def test_what_is_too_large_for_an_event_is_said_and_not_loaded(app: World) -> None:
    huge(app)
    result = judged(app)
    assert [f.message for f in result.findings if f.kind.value == "event-misnamed"] == ["is too large for an event"]
    assert max(map(len, result.facts.contents.values())) < 100_000


def test_a_key_that_came_with_what_it_signs(app: World) -> None:
    key, public = key_pair()
    path = app.root / "policy.yaml"
    before = path.read_text()
    about = app.deploy("three")
    path.write_text(app.policy({"ci": app.public, "eve": public}))
    app.git("add", "-A")
    app.git("commit", "-q", "--amend", "-m", "Promote three")
    about = about.model_copy(update={"head": app.git("rev-parse", "HEAD")})
    app.record(*(about.model_copy(update={"kind": k}) for k in ("gate", "approved", "promoted")), key=key)
    result = judged(app)
    assert before != path.read_text()
    assert "change-without-evidence" in kinds(result)
    assert any("a key that main did not name before the change" in f.message for f in result.findings)


def test_a_key_that_expired_vouches_for_what_it_signed_in_time(app: World) -> None:
    app.commit({"policy.yaml": app.policy({"ci": app.public}, until=stamp(app.now()))})
    assert kinds(judged(app)) == ["way-unknown"]  # of policy.yaml
    app.minute += 60
    about = app.promote("three")
    assert "expired-key" in kinds(judged(app))
    app.record(about.model_copy(update={"kind": "gate", "time": stamp(START + timedelta(minutes=1))}))
    assert {"expired-key"} <= set(kinds(judged(app)))


def test_nobody_dates_back_with_an_expired_key(app: World) -> None:
    """The thief of an old key signs with a time at which it counted, but the ledger has gone on since."""
    key, public = key_pair()
    keys = {"ci": app.public, "new": public}
    app.commit({"policy.yaml": app.policy(keys)})
    until = stamp(app.now())
    text = app.policy(keys).replace("    from: 2026-01-01\n", f"    from: 2026-01-01\n    until: {until}\n", 1)
    app.commit({"policy.yaml": text})
    app.minute += 180
    about = app.deploy("three")
    app.record(*(about.model_copy(update={"kind": k}) for k in ("gate", "approved", "promoted")), key=key)
    assert kinds(judged(app)) == ["way-unknown"]
    app.record(about.model_copy(update={"kind": "evaluated", "time": stamp(START)}))
    result = judged(app)
    assert {"event-reordered", "expired-key"} <= set(kinds(result))


def test_a_key_that_was_removed_is_told_from_one_that_never_was(app: World) -> None:
    _, public = key_pair()
    app.commit({"policy.yaml": app.policy({"other": public})})
    result = judged(app)
    assert {"removed-key", "change-without-evidence"} <= set(kinds(result))
    assert "unknown-key" not in kinds(result)


def test_policy_without_keys(app: World) -> None:
    app.commit({"policy.yaml": app.policy({})})
    assert {"no-policy", "removed-key"} <= set(kinds(judged(app)))


def test_a_change_that_is_dated_ahead_gets_no_longer_time_than_others(app: World) -> None:
    early = app.now() - timedelta(hours=3)
    about = app.deploy("three").model_copy(update={"kind": "gate", "time": f"{early:%Y-%m-%dT%H:%M:%SZ}"})
    app.record(about)
    app.publish()
    found = audit(app.root, {}, AuditCall(repository=REPOSITORY), now=app.now() - timedelta(hours=2))
    assert "not-recorded" not in kinds(found)
    assert "change-without-evidence" in kinds(found)


def test_recorded_a_little_later(app: World) -> None:
    about = app.deploy("three")
    app.record(about.model_copy(update={"kind": "gate"}))
    app.publish()
    asked = AuditCall(repository=REPOSITORY)
    soon = audit(app.root, {}, asked, now=app.now())
    assert (kinds(soon), soon.verdict.phase) == (["not-recorded", "way-unknown"], Phase.INCONCLUSIVE)
    assert audit(app.root, {}, asked, now=app.now() + timedelta(hours=2)).verdict.phase is Phase.FAILED
    app.record(about.model_copy(update={"kind": "approved"}))
    assert kinds(judged(app)) == ["not-recorded"]


def in_steps(app: World, *digests: str, **wrong: str) -> None:
    """A rebase brings a commit for each digest; the evidence speaks of all of them together, and of its ends."""
    abouts = [app.deploy(digest) for digest in digests]
    first, last = abouts[0].change, abouts[-1].change
    assert first
    assert last
    whole = abouts[-1].model_copy(update={"base": abouts[0].base, "change": last.model_copy(update={"old": first.old})})
    details = {"commit": wrong.get("commit") or app.git("rev-parse", "HEAD")}
    for kind in ("gate", "approved", "promoted"):
        name, raw = app.sign(whole.model_copy(update={"kind": kind}), details=details)
        ledger.append(app.server, {name: raw})


def test_a_merge_of_several_commits_is_one_change(app: World) -> None:
    in_steps(app, "three", "four", "five")
    app.promote("six")
    result = judged(app)
    assert (result.verdict.phase, result.findings) == (Phase.SUCCESSFUL, ())
    assert len(result.changes) == 4
    assert result.changes[2].commit == app.git("rev-parse", "HEAD~1")


def test_evidence_of_another_merge_makes_no_steps_one(app: World) -> None:
    in_steps(app, "three", "four", commit=app.git("rev-parse", "HEAD"))
    assert "change-without-evidence" in kinds(judged(app))
    app.promote("one")
    app.deploy("three")
    app.deploy("four")
    assert [r.phase for r in judged(app).changes[-2:]] == [Phase.FAILED] * 2


def test_only_what_came_since(app: World) -> None:
    app.deploy("three")
    since = app.git("rev-parse", "HEAD")
    app.promote("four")
    result = judged(app, since=since)
    assert (result.verdict.phase, len(result.changes), result.older) == (Phase.SUCCESSFUL, 1, 3)
    for wrong in ("nothing", git(app.root, "rev-parse", f"origin/{ledger.BRANCH}")):
        with pytest.raises(UsageError, match="--since"):
            judged(app, since=wrong)


def test_a_fresh_clone_and_a_kept_head_tell_a_rewritten_ledger(app: World, tmp_path: Path) -> None:
    kept = judged(app).facts.head
    app.promote("three")
    assert judged(app, ledger_head=kept).verdict.phase is Phase.SUCCESSFUL
    server = tmp_path / "server.git"
    # The last commit taken off, and the same events put there again in another order.
    tree = git(server, "rev-parse", f"{ledger.BRANCH}^{{tree}}")
    commit = git(server, "commit-tree", "-m", "all at once", tree)
    git(server, "update-ref", f"refs/heads/{ledger.BRANCH}", commit)
    git(tmp_path, "clone", "-q", f"file://{server}", "fresh")
    asked = AuditCall(repository=REPOSITORY, ledger_head=kept)
    result = audit(tmp_path / "fresh", {}, asked, now=NOW)
    assert "ledger-rewritten" in kinds(result)
    assert result.verdict.phase is Phase.FAILED
    git(server, "update-ref", "-d", f"refs/heads/{ledger.BRANCH}")
    git(tmp_path, "clone", "-q", f"file://{server}", "bare")
    result = audit(tmp_path / "bare", {}, asked, now=NOW)
    assert {"ledger-rewritten", "change-without-evidence"} <= set(kinds(result))
    with pytest.raises(UsageError, match="is no commit"):
        audit(tmp_path / "fresh", {}, AuditCall(REPOSITORY, "abc"), now=NOW)


def test_this_clone_remembers_the_ledger(app: World, tmp_path: Path) -> None:
    app.publish()
    asked = AuditCall(repository=REPOSITORY, fetch=True)
    assert audit(app.root, {}, asked, now=NOW).verdict.phase is Phase.SUCCESSFUL
    server = tmp_path / "server.git"
    git(server, "update-ref", f"refs/heads/{ledger.BRANCH}", git(server, "rev-parse", f"{ledger.BRANCH}~2"))
    result = audit(app.root, {}, asked, now=NOW)
    assert {"ledger-rewritten", "change-without-evidence"} <= set(kinds(result))
    assert result.facts.head == git(server, "rev-parse", ledger.BRANCH)
    git(server, "update-ref", "-d", f"refs/heads/{ledger.BRANCH}")
    assert {"ledger-rewritten", "change-without-evidence"} <= set(kinds(audit(app.root, {}, asked, now=NOW)))


def test_a_shallow_clone_is_not_enough(app: World, tmp_path: Path) -> None:
    app.publish()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tmp_path}/server.git", "shallow")
    with pytest.raises(InconclusiveError, match="shallow"):
        audit(tmp_path / "shallow", {}, AuditCall(repository=REPOSITORY), now=NOW)


def test_merges_and_replacements(app: World) -> None:
    """A merge is one change; what a clone replaces locally does not count."""
    base = app.git("rev-parse", "HEAD")
    app.git("checkout", "-qb", "topic")
    about = app.deploy("three")
    app.git("checkout", "-q", "main")
    app.commit({"README.md": "between"})
    app.git("merge", "-q", "--no-ff", "-m", "Merge", "topic")
    assert about.base == base
    app.record(*(about.model_copy(update={"kind": k}) for k in ("gate", "approved", "promoted")))
    result = judged(app)
    assert result.findings == ()
    assert result.changes[-1].commit == app.git("rev-parse", "HEAD")
    app.deploy("four")
    app.git("replace", app.git("rev-parse", "HEAD"), app.git("rev-parse", "HEAD^"))
    assert "change-without-evidence" in kinds(judged(app))


def test_an_application_in_a_folder(app: World) -> None:
    for name in ("gitml.yaml", "policy.yaml", "models"):
        (app.root / "app [1]").mkdir(exist_ok=True)
        app.git("mv", name, f"app [1]/{name}")
    app.git("commit", "-qm", "move")
    app.publish()
    result = audit(app.root / "app [1]", {}, AuditCall(repository=REPOSITORY), now=NOW)
    assert [r.path for r in result.changes] == ["app [1]/models/m/production.yaml"]
    assert "change-without-evidence" in kinds(result)
