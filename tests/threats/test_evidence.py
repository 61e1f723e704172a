"""A writer pushes to the ledger what they like. It convinces nobody: not `gitml merge`, and no agent."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from gitml.errors import GitmlError
from gitml.evidence import dsse
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import SignedChange, Statement, parse_payload, to_payload
from gitml.forges.base import State
from gitml.git import ledger
from gitml.git.orphan import Remote
from gitml.promotion.gate import GateOutcome
from sandbox.forge_kit import git
from threats.kit import PRODUCTION, STAGING, Scene, Template, identity, template

pytestmark = pytest.mark.slow

# The private halves of these leaked. One was for reports only, one is over, one was never anybody's.
LEAKED = {name: generate(name) for name in ("reports", "old", "stranger")}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Template:
    about = {"owner": "CI", "from": "2026-01-01"}
    keys = {
        "reports": {**about, "public": LEAKED["reports"][1], "purposes": ["deployed", "trained", "evaluated"]},
        "old": {**about, "public": LEAKED["old"][1], "purposes": ["gate", "approved"], "until": "2026-02-01"},
    }
    return template(tmp_path_factory.mktemp("threats") / "made", keys)


def leaked(name: str) -> SigningKey:
    return signing_key(LEAKED[name][0])


def edited(statement: Statement, key: SigningKey) -> bytes:
    """What the key signed says "failed"; the payload was put right afterwards."""
    shut = Statement(statement.binding.model_copy(update={"result": "failed"}), statement.details)
    envelope = json.loads(dsse.sign(to_payload(shut), key))
    envelope["payload"] = base64.b64encode(to_payload(statement)).decode()
    return json.dumps(envelope).encode()


def honest(statement: Statement, key: SigningKey) -> bytes:
    return dsse.sign(to_payload(statement), key)


ELSEWHERE = SignedChange(path=PRODUCTION, old="", new="1" * 40)
Sign = Callable[[Statement, SigningKey], bytes]
# Which key signs, how, and what the statement says otherwise than honest evidence of this change would.
FORGED: dict[str, tuple[str, Sign, dict[str, Any]]] = {
    "unknown key": ("stranger", honest, {}),
    "wrong purpose": ("reports", honest, {}),
    "expired key": ("old", honest, {}),
    "edited": ("", edited, {}),
    "other repository": ("", honest, {"repository": "ada/other"}),
    "other pull request": ("", honest, {"pull": 999, "head": "1" * 40}),
    "other environment": ("", honest, {"environment": "production", "change": ELSEWHERE}),
    "other model": (
        "",
        honest,
        {"model": "evil", "change": ELSEWHERE.model_copy(update={"path": "models/evil/x.yaml"})},
    ),
    "other forge": ("", honest, {"host": "forge.example"}),
    "from the future": ("", honest, {"time": "2027-01-01T00:00:00Z"}),
}


def of(outcome: GateOutcome, scene: Scene) -> Statement:
    """What the gate said last of the pull request."""
    found = [b.statement for b in scene.g.events("gate") if b.statement and b.statement.binding.pull == outcome.number]
    return found[-1]


@pytest.mark.nightly
def test_forged_and_replayed_evidence(scene: Scene) -> None:
    """Of each kind a gate that passed and an approval: whoever believed one of them would follow."""
    remote = Remote(scene.town.kit.remote(scene.town.repo, "rita"))
    tip, numbers = scene.tip, [scene.branch(f"forged-{n}") for n in range(len(FORGED))]
    outcomes = scene.g.judge(*numbers)
    events: dict[str, bytes] = {}
    for outcome, (name, sign, more) in zip(outcomes, FORGED.values(), strict=True):
        key = leaked(name) if name else scene.g.key
        for kind in ("gate", "approved"):
            about = of(outcome, scene).binding.model_copy(
                update={"kind": kind, "result": "passed", "time": "2026-03-01T12:00:30Z", **more}
            )
            raw = sign(Statement(about, {}), key)
            assert parse_payload(dsse.unpack(raw).payload).binding.result == "passed", "well-formed, as far as it goes"
            events[ledger.event_name(about.time, kind, raw)] = raw
    ledger.append(remote, events)
    for outcome in outcomes:
        scene.lie(outcome.head)
        scene.stays(outcome.number, tip)
    again = {o.number: o.state.value for o in scene.g.judge(*numbers)}
    assert set(again.values()) == {"pending"}
    scene.unguarded()
    before = scene.accepted()
    for number in numbers:
        scene.forced(number, tip, before)


@pytest.mark.nightly
def test_only_who_has_the_key_of_ci_is_believed(scene: Scene) -> None:
    """The same forgery with the right key gets through: nothing else than the key stopped the others."""
    number = scene.branch("stolen")
    about = of(scene.g.one(number), scene).binding
    events = {}
    for kind in ("gate", "approved"):
        made = about.model_copy(update={"kind": kind, "result": "passed", "time": "2026-03-01T12:00:30Z"})
        raw = honest(Statement(made, {}), scene.g.key)
        events[ledger.event_name(made.time, kind, raw)] = raw
    scene.unguarded()
    assert scene.click(number) == 200
    assert STAGING not in scene.accepted()
    ledger.append(Remote(scene.town.kit.remote(scene.town.repo, "rita")), events)
    assert scene.accepted()[STAGING] == scene.tip


@pytest.mark.nightly
def test_evidence_of_a_merge_is_worth_nothing_for_the_same_change_later(scene: Scene) -> None:
    """The version is promoted, main goes back, and the same bytes are pushed once more."""
    old = (scene.town.main / STAGING).read_text()
    number = scene.opened()
    scene.g.approve(number)
    scene.open(number)
    judged = scene.accepted()[STAGING]
    scene.unguarded()
    new = scene.pinned()
    scene.town.push({STAGING: old}, "back")
    assert STAGING not in scene.accepted(), "nobody approved that either"
    scene.town.push({STAGING: new}, "again")
    scene.record()
    assert scene.accepted()[STAGING] == judged, "what nobody judged went back and forth: the merge counts, no push does"


@pytest.mark.nightly
def test_a_ledger_full_of_rubbish_keeps_nobody_from_an_honest_promotion(scene: Scene) -> None:
    remote = Remote(scene.town.kit.remote(scene.town.repo, "rita"))
    rubbish = [b"", b"{}", b"\xff\xfe", b"[" * 10_000, b'{"payload": 1}']
    ledger.append(remote, {ledger.event_name("2026-03-01T12:00:00Z", "gate", raw): raw for raw in rubbish})
    number = scene.opened()
    with pytest.raises(GitmlError):
        scene.merged(number)
    scene.g.approve(number)
    scene.open(number)


def steps(scene: Scene, branch: str, *texts: str) -> int:
    """A pull request with one commit for each text of the deployment file."""
    main = scene.town.main
    git(main, "fetch", "-q", "origin", "main")
    git(main, "checkout", "-q", "--force", "-B", "attack", "origin/main")
    for number, text in enumerate(texts):
        (main / STAGING).write_text(text)
        env = {**identity("ada", "AUTHOR"), **identity("ada", "COMMITTER")}
        git(main, "commit", "-qam", f"{branch} {number}", env=env)
    scene.pushed(branch, "ada")
    number = int(scene.town.ada.post("pulls", title=branch, head=branch, base="main")["number"])
    scene.g.approve(number)
    assert scene.g.one(number).state is State.SUCCESS
    return number


def told(scene: Scene, kind: str, commit: str) -> Statement:
    """What CI recorded of the merge that ends there."""
    found = [b.statement for b in scene.g.events(kind) if b and b.statement]
    (only,) = [s for s in found if s.details["commit"] == commit]
    return only


@pytest.mark.nightly
def test_several_commits_are_one_change_however_they_are_merged_and_only_once(scene: Scene) -> None:
    """After an honest rebase main goes back, and the same commits come again, with evidence made up beside the old."""
    for method in ("squash", "rebase"):
        old, base = (scene.town.main / STAGING).read_text(), scene.tip
        texts = [scene.pinned(f"{method} {step}") for step in range(2)]
        done = scene.merged(steps(scene, method, *texts), method=method)
        scene.record()
        assert scene.accepted()[STAGING] == done.commit, method
        for true in (told(scene, kind, done.commit) for kind in ("promoted", "approved")):
            assert (true.binding.base, true.binding.result) == (base, "passed")
        git(scene.town.main, "pull", "-q", "--ff-only", "origin", "main")
    said = len(scene.g.events())
    scene.unguarded()
    for text in (old, *texts):
        scene.town.push({STAGING: text}, "again")
    scene.record()
    assert len(scene.g.events()) == said, "no step of the merge is recorded a second time, nor what was pushed"
    assert scene.accepted()[STAGING] == done.commit, "the merge that was judged left the file as it is again"
    events = {}
    for start in (base, done.commit):
        about = true.binding.model_copy(update={"base": start, "time": "2026-03-01T12:00:40Z"})
        for key in (leaked("stranger"), leaked("reports")):
            raw = honest(Statement(about, {**true.details, "commit": scene.tip}), key)
            events[ledger.event_name(about.time, "approved", raw)] = raw
    ledger.append(Remote(scene.town.kit.remote(scene.town.repo, "rita")), events)
    assert scene.accepted()[STAGING] == done.commit


@pytest.mark.nightly
def test_what_another_pull_request_brought_is_no_step_of_this_one(scene: Scene) -> None:
    """Half of it came to main by itself: what is left was judged on a file that is gone, and merges without a clash."""
    half, whole = (f"# a note\n{text}" for text in ((scene.town.main / STAGING).read_text(), scene.pinned()))
    both, first = steps(scene, "both", half, whole), steps(scene, "first", half)
    scene.unguarded()
    for number in (first, both):
        order = {"merge_method": "rebase"}
        assert scene.town.ada.call("PUT", f"pulls/{number}/merge", json=order).status_code == 200
    scene.record()
    assert STAGING not in scene.accepted()
    about = told(scene, "promoted", scene.tip).binding
    assert (about.result, about.base) == ("failed", told(scene, "promoted", about.base).details["commit"])


def shut_again(scene: Scene, branch: str) -> tuple[int, str, str]:
    """A pull request whose gate passed, and then shut because the approval was taken back; both events."""
    number = scene.branch(branch)
    scene.g.approve(number)
    passed = scene.g.one(number)
    assert passed.state is State.SUCCESS
    scene.town.as_("olga").review(number, "REQUEST_CHANGES")
    shut = scene.g.one(number)
    assert shut.state is not State.SUCCESS
    return number, passed.signed, shut.signed


def by_hand(scene: Scene, script: str) -> None:
    """An ordinary push to the ledger by a writer."""
    folder = scene.folder / "ledger"
    url = scene.town.kit.remote(scene.town.repo, "rita")
    who = "git -c user.name=rita -c user.email=rita@example.org"
    words = f"{script}; git add -A; {who} commit -qm tidy; git push -q origin HEAD:{ledger.BRANCH}"
    git(scene.folder, "clone", "-q", "--single-branch", "--branch", ledger.BRANCH, url, str(folder))
    subprocess.run(["sh", "-ec", words], cwd=folder, check=True)


@pytest.mark.nightly
@pytest.mark.parametrize("how", ["copied", "deleted"])
def test_a_gate_that_shut_again_stays_shut_whatever_is_pushed_to_the_ledger(scene: Scene, how: str) -> None:
    """By an ordinary push: the passed gate under a later name, or the shut one gone."""
    number, passed, shut = shut_again(scene, how)
    later = re.sub(r"/\d{8}T\d{6}Z", "/20260301T235900Z", passed)
    by_hand(scene, f"cp {passed} {later}" if how == "copied" else f"git rm -q {shut}")
    tip, head = scene.tip, scene.g.head(number)
    scene.lie(head)
    scene.stays(number, tip)
    scene.unguarded()
    scene.forced(number, tip)


@pytest.mark.nightly
def test_no_line_of_a_writer_accepts_a_break_for_people(scene: Scene) -> None:
    """A root with a copy of all events is merged in front: for new clones nothing on it came after the break."""
    by_hand(scene, "git rm -q $(git ls-files | grep -m 1 -- -gate-)")
    number, tip = scene.branch("after"), scene.tip
    scene.g.approve(number)
    outcome = scene.g.one(number)
    assert outcome.signed
    scene.lie(outcome.head)
    scene.stays(number, tip)
    assert of(outcome, scene).binding.ledger, "how far its signer had read"
    folder, url = scene.folder / "ledger", scene.town.kit.remote(scene.town.repo, "rita")
    git(folder, "pull", "-q", url, ledger.BRANCH)
    root = git(folder, "commit-tree", "HEAD^{tree}", "-m", "copy").strip()
    made = git(folder, "commit-tree", "HEAD^{tree}", "-p", root, "-p", "HEAD", "-m", "merge").strip()
    git(folder, "push", "-q", url, f"{made}:refs/heads/{ledger.BRANCH}")
    scene.stays(number, tip)
    scene.unguarded()
    scene.forced(number, tip)
