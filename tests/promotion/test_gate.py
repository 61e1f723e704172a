"""`gitml gate`: what is green is signed, and nothing else ever is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from conftest import gitml
from gitml.cijobs.propose import propose
from gitml.derivation.claim import claim_of
from gitml.evidence.keys import generate
from gitml.forges.base import NewPull, State
from gitml.gate.occasion import Queue
from gitml.gate.queue import judge_queue, waiting
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.promotion.gate import NO_KEY, GateOrder, gate
from gitml.registry.record import Record
from gitml.spec import Deployment, render_deployment
from promotion.gating import Gated, gated
from promotion.promoting import MemoryTown, pin, push_as, record
from sandbox.forge_kit import Kit, git

pytestmark = pytest.mark.slow

Build = Callable[..., Gated[MemoryTown]]
BOT, WHO = f"{BOT_NAME}[bot]", {"NAME": BOT_NAME, "EMAIL": BOT_EMAIL}
STAGING = "models/delay/staging.yaml"


@pytest.fixture
def build(new_gated_here: Build) -> Build:
    return new_gated_here


def opened(g: Gated[MemoryTown], branch: str) -> int:
    with g.town.hub() as hub:
        return hub.pulls.open(NewPull(branch, branch, "main")).number


def test_shut_until_the_right_people_approve_then_green_signed_and_said_once(build: Build) -> None:
    g = build()
    version, number = g.ready()
    shut = g.one(number)
    assert (shut.state, g.status(shut.head)[0], g.results()) == (State.PENDING, "pending", ["inconclusive"])
    assert "approvals" in g.status(shut.head)[1]
    g.approve(number)
    done = g.one(number)
    assert (done.state, g.status(done.head)[0], g.results()) == (State.SUCCESS, "success", ["inconclusive", "passed"])
    about = g.events("gate")[-1].statement.binding  # type: ignore[union-attr]
    assert (about.pull, about.head, about.version, about.environment) == (number, done.head, version.version, "staging")
    assert about.change is not None
    assert (about.change.path, about.change.old) == (STAGING, "")
    assert about.change.new == git(g.town.here, "rev-parse", f"{done.head}:{STAGING}").strip()
    assert about.base == g.town.tip
    again = g.one(number)
    assert (again.state, again.signed, again.known, len(g.results())) == (State.SUCCESS, "", True, 2)
    (comment,) = g.comments(number)
    assert "may be merged" in comment or "🟢" in comment
    every = g.town.forge.as_("ada").acts.statuses(done.head)
    assert len([s for s in every if s.context == "gitml/gate"]) == 2
    assert g.status(done.head, "gitml/train")[0] == "success", "the bot's branch starts no training"


def test_the_bot_s_own_promotion_is_nobody_s_work_where_it_follows_from_main(build: Build) -> None:
    """It used to wait for good, if nobody was named; and who merged the training could not approve."""
    g = build()
    g.town.home.let(BOT, "write")
    older, version = g.town.train(1), g.town.train(2)
    for one in (older, version):
        g.prove(one, "trained", "evaluated")
    with g.town.place(BOT) as place:
        (turn,) = propose(place)
    assert turn.proposed is not None
    number = turn.proposed.pull.number
    assert g.one(number).line == "delay to staging: approvals"
    g.approve(number)
    assert g.one(number).state is State.SUCCESS
    assert g.results("derived") == ["passed"], "it is signed once"
    derived = g.events("derived")[-1].statement
    assert derived is not None
    assert (derived.details["kind"], derived.details["subject"]) == ("promotion", "delay staging")
    # The same words over another version, by the same address.
    (made,) = g.town.commits(number)
    main, branch = g.town.main, turn.proposed.pull.head.branch
    ahead = made.message.replace(f"{claim_of(made.message).moment}", "2099-01-01T00:00:00Z")  # type: ignore[union-attr]
    for content, message, why in (
        (Deployment(champion=pin(older)), made.message, "gives other files"),
        (Deployment(champion=pin(version)), ahead, "yet to come"),
        (Deployment(champion=pin(version)), made.message.replace("delay staging", "delay nowhere"), "no promotion of"),
    ):
        git(main, "checkout", "-q", "--detach", "origin/main")
        (main / STAGING).write_text(render_deployment(content))
        git(main, "add", "-A")
        who = {f"GIT_{r}_{k}": v for r in ("AUTHOR", "COMMITTER") for k, v in WHO.items()}
        git(main, "commit", "-qm", message, env=who)
        push_as(g.town, branch, "ada")
        outcome = g.one(number)
        assert outcome.state is State.FAILURE
        assert why in str(outcome.judged and outcome.judged.refused)


def test_what_was_signed_before_the_file_went_away_and_came_back_is_signed_again(build: Build) -> None:
    g = build()
    one, other = g.town.train(1), g.town.train(2)
    first = Deployment(champion=pin(one))
    g.town.put("staging", first)
    _, number = g.ready(3)
    g.approve(number)
    assert g.one(number).signed
    assert g.one(number).known
    g.town.put("staging", Deployment(champion=pin(other)))
    g.town.put("staging", first)
    assert g.one(number).signed, "no agent believes what was signed on a base before that"
    assert g.results() == ["passed", "passed"]


def test_without_a_key_it_is_never_green(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.approve(number)
    done = g.one(number, key=False)
    assert (done.state, done.problem, g.status(done.head)[0]) == (State.PENDING, NO_KEY, "pending")
    assert "GITML_SIGNING_KEY" in g.status(done.head)[1]
    assert "GITML_SIGNING_KEY" in g.comments(number)[0]
    assert g.results() == []


def test_a_key_that_the_policy_does_not_name_or_not_for_this_opens_nothing(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.approve(number)
    right, (g.secret, _) = g.secret, generate()
    done = g.one(number)
    assert (done.state, g.status(done.head)[0], g.results()) == (State.ERROR, "error", [])
    g.secret = right
    keys = g.policy["keys"]
    g.rules(keys={"ci": {**keys["ci"], "purposes": ["trained", "evaluated"]}})
    done = g.one(number)
    assert (done.state, "may not sign" in done.problem, g.results()) == (State.ERROR, True, [])


def test_what_is_no_promotion_passes_unsigned_and_unsaid(build: Build) -> None:
    g = build()
    number = g.pull({"README.md": "better\n", "policy.yaml": "roles: {}\n"})
    done = g.one(number)
    assert g.status(done.head) == ("success", "not a promotion")
    assert (g.results(), g.comments(number)) == ([], [])


def test_a_promotion_that_brings_something_else_along_is_refused(build: Build) -> None:
    g = build()
    version = g.town.train(1)
    g.prove(version, "trained", "evaluated")
    state = render_deployment(Deployment(champion=pin(version)))
    places = (".github/workflows/gitml-gate.yml", ".github/CODEOWNERS", ".dvc/config", "policy.yaml", "train.py")
    numbers = {
        g.pull({STAGING: state, place: "a: {}\n"}, "with-" + place.strip(".").replace("/", "-")): place
        for place in places
    }
    for number in numbers:
        g.approve(number)
    for done in g.judge(*numbers):
        said, line = g.status(done.head)
        assert (done.state, said, numbers[done.number] in line) == (State.FAILURE, "failure", True), line
    assert g.results() == ["failed"] * len(places)
    assert "promotion is a pull request of its own" in g.comments(min(numbers))[0]


def odd(version: Record) -> dict[str, dict[str, str | None]]:
    """Deployment files that nobody may merge, by name of a branch."""
    good = render_deployment(Deployment(champion=pin(version)))
    return {
        "two-at-once": {STAGING: good, "models/delay/production.yaml": good},
        "keys-twice": {STAGING: good + good},
        "unknown-version": {STAGING: render_deployment(Deployment(champion=pin(record(99))))},
        "another-digest": {STAGING: good.replace(pin(version).digest, "0" * 64)},
        "no-environment": {"models/delay/nowhere.yaml": good},
        "no-model": {"models/other/staging.yaml": good},
        "no-yaml": {STAGING: "champion: [\n"},
        "unknown-keys": {STAGING: good + "approved: true\n"},
    }


def test_a_file_that_is_not_what_it_should_be_never_passes(build: Build) -> None:
    g = build()
    version = g.town.train(1)
    g.prove(version, "trained", "evaluated")
    numbers = {g.pull(files, name): name for name, files in odd(version).items()}
    for number in numbers:
        g.approve(number)
    for done in g.judge(*numbers):
        assert done.state in (State.FAILURE, State.PENDING), numbers[done.number]
        assert g.status(done.head)[0] in ("failure", "pending")
    found = g.results()
    assert (len(found), set(found) <= {"failed", "inconclusive"}) == (len(numbers), True), "it is all on record"


def test_links_modes_and_deletions_are_refused(build: Build) -> None:
    g = build()
    version = g.town.train(1)
    g.prove(version, "trained", "evaluated")
    g.town.put("staging", Deployment(champion=pin(version)))
    path = g.town.main / STAGING
    numbers = {}
    for name in ("link", "mode", "deleted"):
        git(g.town.main, "checkout", "-q", "-B", name, "origin/main")
        if name == "mode":
            path.chmod(0o755)
        else:
            path.unlink()
        if name == "link":
            path.symlink_to("../../gitml.yaml")
        g.commit(name)
        git(g.town.main, "checkout", "-q", "--force", "-B", "main", "origin/main")
        numbers[name] = opened(g, name)
        g.approve(numbers[name])
    for outcome in g.judge(*numbers.values()):
        assert outcome.state is not State.SUCCESS, outcome
        assert g.status(outcome.head)[0] != "success"
    assert set(g.results()) <= {"failed", "inconclusive"}


def test_a_status_posted_by_hand_is_put_right_and_a_push_after_the_approval_shuts_it_again(build: Build) -> None:
    g = build()
    _, number = g.ready()
    head = g.one(number).head
    g.post("rita", head)
    assert g.one(number).state is State.PENDING
    assert g.status(head)[0] == "pending"
    g.approve(number)
    assert g.one(number).state is State.SUCCESS
    branch = g.town.pull(number).head.branch
    git(g.town.main, "fetch", "-q", "origin", branch)
    git(g.town.main, "checkout", "-q", "-B", "more", "FETCH_HEAD")
    moved = g.commit(branch, "rita")
    assert g.status(moved) == ("", "")
    after = g.one(number)
    assert (after.head, after.state) == (moved, State.PENDING), "the approval was of another commit"
    assert g.status(head)[0] == "success", "a status stays with the commit that was judged"


def test_the_policy_of_main_decides_and_as_it_is_now(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.approve(number)
    assert g.one(number).state is State.SUCCESS
    g.rules(roles={"operations": {"people": ["rita"]}, "risk": {"people": ["olga"]}})
    assert g.one(number).state is State.PENDING, "the role was taken away after the approval"
    g.rules(roles=g.policy["roles"] | {"operations": {"people": ["OLGA"]}})
    assert g.one(number).state is State.SUCCESS, "logins differ by more than capital letters"
    assert g.results() == ["passed", "inconclusive", "passed"]


def test_a_review_that_comes_in_while_it_is_judged_is_not_overlooked(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.approve(number)
    with g.town.hub() as hub:
        (review,) = hub.reviews.list(number)
    moments = itertools.count()

    def clock() -> datetime:
        """Somebody dismisses the approval at the moment the judgement is signed."""
        if next(moments) == 2:
            g.town.home.dismiss("ada", number, review.id)
        return g.town.now

    with g.place() as place:
        (done,) = gate(replace(place, clock=clock), GateOrder((number,), official=True, key=g.key))
    assert next(moments) > 3
    assert done.state is State.PENDING
    assert g.status(done.head)[0] == "pending"
    assert g.results() == ["passed", "inconclusive"]


def test_every_open_one_and_one_that_cannot_be_judged_keeps_no_other_back(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.approve(number)
    side = g.pull({"README.md": "x\n"}, "side")
    g.town.home.move("ada", "other", g.town.tip)
    stacked = g.pull({"README.md": "y\n"}, "stacked")
    g.town.home.retarget("ada", stacked, "other")
    found = {o.number: o.state for o in g.judge()}
    assert found == {number: State.SUCCESS, side: State.SUCCESS, stacked: State.PENDING}
    assert "its base is other" in g.status(g.head(stacked))[1]


def test_histories_that_were_merged_crosswise_hide_nothing(build: Build) -> None:
    """Against one of two forks the branch changes nothing, yet merging it would bring the older deployment back."""
    g = build()
    t = g.town
    one, two = t.train(1), t.train(2)
    t.put("staging", Deployment(champion=pin(one)))
    base = t.tip
    t.put("staging", Deployment(champion=pin(two)))
    newer = t.tip
    git(t.main, "checkout", "-q", "-B", "side", base)
    side = g.commit("side")
    git(t.main, "checkout", "-q", "-B", "main", newer)
    git(t.main, "merge", "-q", "--no-edit", side)
    push_as(t, "main", "ada")
    git(t.main, "checkout", "-q", "-B", "side", side)
    git(t.main, "merge", "-q", "--no-commit", newer)
    (t.main / STAGING).write_text(render_deployment(Deployment(champion=pin(one))))
    g.commit("side")
    number = opened(g, "side")
    g.approve(number)
    assert g.one(number).state is not State.SUCCESS
    assert g.results() != ["passed"]


def test_a_merge_queue_believes_what_was_signed_of_exactly_its_changes(build: Build) -> None:
    g = build()
    _, number = g.ready()
    head, base = g.head(number), g.town.tip

    def queued() -> tuple[State, str]:
        with g.ground() as (place, known):
            done = judge_queue(place, known, Queue(base, head))
        assert g.status(head)[0] == done.state.value
        return done.state, done.line

    assert queued() == (State.FAILURE, f"{STAGING}: no signed gate lets this change pass")
    g.approve(number)
    g.one(number)
    assert queued() == (State.SUCCESS, "everything in the queue passed its own gate")
    wanted = g.town.state("staging", head)
    other = g.pull({"README.md": "z\n"})
    head = g.head(other)
    assert queued()[0] is State.SUCCESS
    # Another pull request with the same change, and more: what the first one's gate said is none of it.
    both = g.pull({STAGING: render_deployment(wanted), "train.py": "evil()\n"}, "both")
    head = g.head(both)
    state, line = queued()
    assert (state, "changes train.py as well" in line) == (State.FAILURE, True)
    # A CI system elsewhere finds what waits by the queue's branches; the head of a pull request is none of it.
    made = git(g.town.here, "commit-tree", "-p", base, "-m", "queued", f"{base}^{{tree}}").strip()
    for name, commit in (("pr-1", made), ("pr-2", head)):
        git(g.town.here, "push", "-q", str(g.town.forge.remote), f"{commit}:refs/heads/gh-readonly-queue/main/{name}")
    with g.ground() as (place, known):
        assert waiting(place) == (Queue(base, made),)
        assert judge_queue(place, known, *waiting(place)).state is State.SUCCESS


def test_on_a_laptop_it_is_a_preview_that_writes_nothing(kit: Kit, tmp_path: Path) -> None:
    g = gated(kit, tmp_path)
    _, number = g.ready()
    env = {
        "GITHUB_TOKEN": g.town.kit.token["ada"],
        "GITML_SIGNING_KEY": g.secret,
        "GITHUB_ACTIONS": "",
        "GITHUB_REPOSITORY": g.town.repo.full_name,
        "GITHUB_SERVER_URL": g.town.kit.url,
        "GITHUB_API_URL": f"{g.town.kit.url}/api/v3",
    }
    ran = gitml(g.town.here, "gate", str(number), env=env)
    assert (ran.code, "a preview" in ran.err) == (3, True), ran.out + ran.err
    assert "operations" in ran.out
    told = json.loads(gitml(g.town.here, "gate", str(number), "--json", env=env).out)[0]
    assert (told["state"], told["promotion"], told["signed"]) == ("pending", True, None)
    assert g.status(g.head(number)) == ("", "")
    assert (g.results(), g.comments(number)) == ([], [])
