"""What every forge has to do for gitml: one suite, run against each. A new adapter is one more row of ``HOMES``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from forges.homes import BOT, Home, memory_home, new_branch, pull, sandbox_home, tip
from gitml.errors import FailedError, GitmlError
from gitml.forges.base import NewPull, OnCommit, OnPull, Relation, State, Status
from gitml.forges.governed import POSTED_LAST, DeploymentState, NewDeployment, Protection, Reviewers
from gitml.forges.table import connect
from gitml.http import HttpError

HOMES: Mapping[str, Callable[..., Home]] = {
    "memory": lambda request, folder, **how: memory_home(folder / "forge", **how),
    "github": lambda request, folder, **how: sandbox_home(request.getfixturevalue("kit"), **how),
}


@pytest.fixture(params=["memory", pytest.param("github", marks=pytest.mark.slow)])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Home]:
    def make(**how: object) -> Home:
        made = HOMES[request.param](request, tmp_path, **how)
        made.write("ada", "README.md", "# hello\n")
        return made

    return make


@pytest.fixture
def home(build: Callable[..., Home]) -> Home:
    """With one commit on main."""
    return build()


def test_pull_requests(home: Home) -> None:
    made = pull(home, "topic/deep", draft=True)
    pull(home, "other")
    with home.as_() as hub:
        (found,) = hub.pulls.of_branch("topic/deep")
        assert (found.number, found.is_draft, found.is_open, found.author) == (made.number, True, True, "ada")
        assert (found.head.branch, found.head.commit, found.base.branch) == ("topic/deep", made.head.commit, "main")
        assert (found.head.repository, found.base.repository) == (home.repository, home.repository)
        assert found.base.commit == tip(home)
        assert hub.pulls.of_commit(made.head.commit) == (found,)
        assert hub.pulls.of_branch("nowhere") == ()
        assert hub.pulls.of_branch("topic/deep", "eve") == ()
        assert [(f.path, f.change) for f in hub.pulls.files(found.number)] == [("topic/deep.txt", "added")]
        hub.pulls.label(found.number, ["gitml:commit", "x"])
        hub.pulls.label(found.number, ["x"])
        assert sorted(hub.pulls.get(found.number).labels) == ["gitml:commit", "x"]
        edited = hub.pulls.edit(found.number, title="better")
        assert (edited.title, edited.body) == ("better", "")
        assert hub.pulls.edit(found.number, body="why").title == "better"
        assert [(p.number, p.title) for p in hub.pulls.all_open()] == [(1, "better"), (2, "About other")]
        hub.merges.close(found.number)
        assert hub.pulls.of_branch("topic/deep") == ()
        (closed,) = hub.pulls.of_branch("topic/deep", closed=True)
        assert (closed.is_open, closed.is_merged) == (False, False)
        with pytest.raises(HttpError) as caught:
            hub.pulls.get(9999)
        assert caught.value.status == 404
        with pytest.raises(HttpError) as caught:
            hub.pulls.of_commit("f" * 40)
        assert caught.value.status in (404, 422)


def test_one_pull_request_for_a_branch_and_a_base(home: Home) -> None:
    new_branch(home, "retrain")
    new = NewPull("Retrain", "retrain", "main", "because")
    with home.as_() as hub:
        with pytest.raises(HttpError):
            hub.pulls.open(new)
        home.write("ada", "lock", "1", "retrain")
        first = hub.pulls.open(new)
        assert (first.title, first.body) == ("Retrain", "because")
        assert hub.pulls.open(replace(new, title="Again")) == first
        assert [p.number for p in hub.pulls.all_open()] == [first.number]
        for side in (replace(new, head="nowhere"), replace(new, base="nowhere")):
            with pytest.raises(HttpError):
                hub.pulls.open(side)


def test_renamed_files_are_told_by_both_names(home: Home) -> None:
    home.write("ada", "old.txt", "".join(f"line {i}\n" for i in range(50)))
    new_branch(home, "rename")
    with home.as_() as hub:
        content = hub.commits.file("old.txt")
        assert content is not None
        home.write("ada", "README.md", "# changed\n", "rename")
        number = hub.pulls.open(NewPull("x", "rename", "main")).number
        assert [(f.path, f.change, f.before) for f in hub.pulls.files(number)] == [("README.md", "modified", "")]


def test_a_pull_request_follows_its_branches(home: Home) -> None:
    made = pull(home)
    second = home.write("olga", "more.txt", "1", "feature")
    with home.as_() as hub:
        now = hub.pulls.get(made.number)
        assert (now.head.commit, now.base.commit) == (second, tip(home))
        assert [p.number for p in hub.pulls.of_commit(made.head.commit)] == [made.number]
        assert hub.pulls.of_commit(tip(home)) == ()
        home.move("ada", "feature", None)
        assert not hub.pulls.get(made.number).is_open
        home.move("ada", "feature", second)
        assert not hub.pulls.get(made.number).is_open
        home.reopen("ada", made.number)
        assert hub.pulls.get(made.number).is_open
        home.move("ada", "feature", tip(home))
        gone = hub.pulls.get(made.number)
        assert (gone.is_open, gone.is_merged) == (False, False), "nothing is left to merge"


def test_what_reached_the_base_by_a_push_is_merged(home: Home) -> None:
    made = pull(home)
    home.move("olga", "main", made.head.commit)
    with home.as_() as hub:
        found, merged = hub.pulls.get(made.number), hub.merges.merged(made.number)
        assert (found.is_open, found.is_merged) == (False, True)
        assert merged is not None
        assert (merged.by.login, merged.commit) == ("olga", made.head.commit)
        assert [p.number for p in hub.pulls.of_commit(made.head.commit)] == [made.number]


def test_pull_requests_of_forks(home: Home) -> None:
    fork = home.fork("eve")
    head = home.write_fork("eve", "from-eve.txt", "x")
    opened = home.open_from_fork("eve", NewPull("From afar", "main", "main"))
    with home.as_() as hub:
        found = hub.pulls.get(opened.number)
        assert (found.head.repository, found.head.branch, found.head.commit) == (fork, "main", head)
        assert (found.author, hub.pulls.of_branch("main")) == ("eve", ())
        assert [p.number for p in hub.pulls.of_branch("main", "eve")] == [opened.number]
        assert [p.number for p in hub.pulls.all_open()] == [opened.number]
        assert hub.merges.under("") == ()
        assert [f.path for f in hub.pulls.files(opened.number)] == ["from-eve.txt"]
        assert [c.commit for c in hub.merges.commits(opened.number)] == [head]
        newer = home.write_fork("eve", "more.txt", "x")
        assert hub.pulls.get(opened.number).head.commit == newer
        assert [p.by.login for p in hub.merges.pushes("main", fork)][:2] == ["eve", "eve"]
        assert newer not in [p.after for p in hub.merges.pushes("main")]
        assert hub.commits.branch("main") is not None
        hub.merges.merge(opened.number, newer)
        assert hub.commits.file("more.txt") == b"x"


def test_commits_and_branches(home: Home) -> None:
    odd = "a#b%2F&x=é/c"
    base = new_branch(home, odd)
    head = home.write("ada", "x", "1", odd)
    with home.as_() as hub:
        assert hub.commits.compare(base, head) is Relation.AHEAD
        assert hub.commits.compare(head, base) is Relation.BEHIND
        assert hub.commits.compare(head, head) is Relation.SAME
        assert hub.commits.compare(head, "f" * 40) is None
        assert hub.commits.branch(odd) is not None
        home.write("ada", "y", "1")
        assert hub.commits.compare("main", head) is Relation.DIVERGED
        branch = hub.commits.branch(odd)
        assert branch is not None
        assert (branch.name, branch.commit, branch.is_protected) == (odd, head, False)
        assert hub.commits.branch("nowhere") is None
        assert hub.commits.file("x", odd) == hub.commits.file("x", head) == b"1"
        assert hub.commits.file("x") is None
        assert hub.commits.file("nothing") is None
        assert hub.commits.file("x", "f" * 40) is None
        about = hub.about()
        assert (about.name, about.default_branch, about.is_private) == (home.repository, "main", False)
        assert about.may_write
    with home.as_("eve") as stranger:
        assert stranger.about().may_write is False


def test_the_newest_status_of_each_context_counts(home: Home) -> None:
    head = tip(home)
    with home.as_() as hub:
        posted = hub.commits.post(head, Status("gitml/train", State.PENDING, "w\n" * 300))
        assert (posted.author, len(posted.description), posted.description[:3]) == ("ada", 140, "w w")
        hub.commits.post(head, Status("other", State.ERROR))
        good = hub.commits.post(head, Status("gitml/train", State.SUCCESS, "good", "https://x.example/1"))
        newest = {status.context: status for status in hub.commits.statuses(head)}
        assert newest["gitml/train"] == good
        assert (good.description, good.url, newest["other"].state) == ("good", "https://x.example/1", State.ERROR)
        assert hub.commits.statuses(home.write("ada", "x", "1")) == ()
    with home.as_job() as job:
        assert job.commits.post(head, Status("gitml/train", State.SUCCESS)).author == "github-actions[bot]"
    with home.as_("eve") as stranger, pytest.raises(HttpError) as caught:
        stranger.commits.post(head, Status("gitml/train", State.SUCCESS))
    assert caught.value.status in (403, 404)


@pytest.mark.parametrize("kind", ["pull", "commit"])
def test_comments(home: Home, kind: str) -> None:
    place = OnPull(pull(home).number) if kind == "pull" else OnCommit(tip(home))
    with home.as_() as hub, home.as_(BOT) as bot:
        made = hub.comments.add(place, "hello")
        other = bot.comments.add(place, "I am a bot")
        changed = hub.comments.edit(place, made.id, "bye")
        assert changed is not None
        assert [(c.body, c.author) for c in bot.comments.list(place)] == [("bye", "ada"), ("I am a bot", BOT)]
        assert changed.created == made.created
        hub.comments.delete(place, other.id)
        hub.comments.delete(place, made.id)
        hub.comments.delete(place, made.id)
        assert hub.comments.edit(place, made.id, "x") is None
        assert hub.comments.list(place) == ()
        with pytest.raises(HttpError):
            hub.comments.add(place, "")


def test_who_the_token_is(home: Home) -> None:
    with home.as_() as hub, home.as_job() as job, home.as_(BOT) as app:
        assert (hub.me(), job.me(), app.me()) == ("ada", "", "")
    with connect(replace(home.settings(BOT), bot=BOT)) as told:
        assert told.me() == BOT


def test_reviews_name_person_commit_and_time(home: Home) -> None:
    made = pull(home)
    number, first = made.number, made.head.commit
    home.review("olga", number)
    second = home.write("ada", "more.txt", "1", "feature")
    home.review("rita", number, "CHANGES_REQUESTED")
    home.review("olga", number, "APPROVED", second)
    olga, rita = home.person("olga"), home.person("rita")
    with home.as_() as hub:
        found = hub.reviews.list(number)
        assert [(r.person, r.state, r.commit) for r in found] == [
            (olga, "APPROVED", first),
            (rita, "CHANGES_REQUESTED", second),
            (olga, "APPROVED", second),
        ]
        assert all(r.time.endswith("Z") for r in found)
        home.dismiss("ada", number, found[0].id)
        assert [r.state for r in hub.reviews.list(number)] == ["DISMISSED", "CHANGES_REQUESTED", "APPROVED"]
        home.review("eve", number, "COMMENTED")
        assert hub.reviews.list(number)[-1].state == "COMMENTED"


def test_nobody_approves_their_own_pull_request(home: Home) -> None:
    number = pull(home).number
    with pytest.raises((AssertionError, HttpError), match="own pull request"):
        home.review("ada", number)
    with home.as_() as hub:
        assert hub.reviews.list(number) == ()


def test_whoever_may_not_be_asked_is_skipped_and_the_others_are_asked(home: Home) -> None:
    number = pull(home).number
    with home.as_() as hub:
        asked = hub.reviews.ask(number, Reviewers(("olga", "nobody-here", "ada", "eve"), ("other/crew", "ada/risk")))
        assert asked.done == Reviewers(("olga",))
        assert set(asked.skipped) == {"nobody-here", "ada", "eve", "other/crew", "ada/risk"}
        assert "author" in asked.skipped["ada"]
        assert "collaborator" in asked.skipped["eve"]
        assert hub.reviews.asked(number) == Reviewers(("olga",))
        assert hub.reviews.ask(number, Reviewers(("OLGA", "rita"))).skipped == {}
        assert set(hub.reviews.asked(number).people) == {"olga", "rita"}
        assert hub.reviews.ask(number, Reviewers()).done == Reviewers()
        home.review("olga", number)
        assert hub.reviews.asked(number) == Reviewers(("rita",))


def test_teams(build: Callable[..., Home]) -> None:
    home = build(guild=True)
    number = pull(home).number
    with home.as_() as hub:
        assert hub.people.members("guild/risk") == (hub.people.find("OLGA"), hub.people.find("rita"))
        assert hub.people.members("guild/nothing") is None
        asked = hub.reviews.ask(number, Reviewers(teams=("guild/risk", "guild/none")))
        assert (asked.done.teams, set(asked.skipped)) == (("guild/risk",), {"guild/none"})
        assert hub.reviews.asked(number).teams == ("guild/risk",)
    with home.as_("eve") as stranger, home.as_job() as job:
        assert stranger.people.members("guild/risk") is None
        assert job.people.members("guild/risk") is None


def test_people(home: Home) -> None:
    with home.as_() as hub:
        assert hub.people.find("Olga") == home.person("olga")
        assert hub.people.find("no-such-person") is None
        logins = ("ada", "olga", "eve", "no-such-person")
        assert [hub.people.permission(p) for p in logins] == ["admin", "write", "read", "none"]
        home.let("eve", "maintain")
        assert hub.people.permission("EVE") == "maintain"


def test_a_merge_takes_the_expected_head_or_nothing(home: Home) -> None:
    made = pull(home)
    number, first, base = made.number, made.head.commit, tip(home)
    with home.as_() as hub:
        hub.guards.protect("main", Protection(pull_request=True, approvals=1, admins=True))
        assert hub.merges.readiness(number).author == home.person("ada")
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(number, first)
        second = home.write("ada", "more.txt", "1", "feature")
        home.review("olga", number)
        with pytest.raises(FailedError, match=f"is at {second[:12]} by now"):
            hub.merges.merge(number, first)
        assert hub.merges.merged(number) is None
        commit = hub.merges.merge(number, second, title="Promote it", message="At last")
        merged = hub.merges.merged(number)
        assert merged is not None
        assert (merged.commit, merged.by.login, tip(home)) == (commit, "ada", commit)
        assert hub.merges.commit(commit).message == "Promote it\n\nAt last"
        assert hub.merges.commit(commit).author == home.person("ada")
        assert [p.number for p in hub.pulls.of_commit(commit)] == [number]
        pull_now, (push, *_) = hub.pulls.get(number), hub.merges.pushes("main")
        assert (pull_now.is_open, pull_now.is_merged, pull_now.base.commit) == (False, True, base)
        assert (push.by.login, push.before, push.after, push.kind) == ("ada", base, commit, "pr_merge")
        with pytest.raises(GitmlError):
            hub.merges.merge(number, second)
        assert [f.path for f in hub.pulls.files(number)] == ["feature.txt", "more.txt"]


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_one_line_of_commits_without_a_merge(home: Home, method: str) -> None:
    made = pull(home)
    head = home.write("olga", "more.txt", "1", "feature")
    before = home.write("rita", "meanwhile.txt", "1")
    with home.as_() as hub:
        commit = hub.merges.merge(made.number, head, method=method)
        assert tip(home) == commit
        assert hub.commits.compare(before, commit) is Relation.AHEAD
        assert hub.commits.compare(head, commit) is Relation.DIVERGED
        assert [hub.commits.file(name) for name in ("more.txt", "feature.txt", "meanwhile.txt")] == [
            b"1",
            b"new\n",
            b"1",
        ]
        assert [p.number for p in hub.pulls.of_commit(commit)] == [made.number]
        assert hub.commits.author(commit) == ("ada" if method == "squash" else "olga")
        words = hub.merges.commit(commit).message
        assert f"(#{made.number})" in words if method == "squash" else words == "write more.txt"


def test_readiness(home: Home) -> None:
    made = pull(home, draft=True)
    with home.as_() as hub:

        def said(number: int) -> tuple[bool | None, str]:
            """A forge may take a moment to work it out."""
            for _ in range(100):
                ready = hub.merges.readiness(number)
                if ready.mergeable is not None:
                    break
                time.sleep(0.05)
            return ready.mergeable, ready.state

        assert said(made.number) == (True, "draft")
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(made.number, made.head.commit)
        two = pull(home, "two")
        assert said(two.number) == (True, "clean")
        hub.commits.post(two.head.commit, Status("ci", State.FAILURE))
        assert said(two.number) == (True, "unstable")
        home.write("ada", "two.txt", "another\n")
        assert said(two.number) == (False, "dirty")
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(two.number, two.head.commit)
        three = pull(home, "three")
        hub.guards.protect("main", Protection({"ci": None}))
        assert said(three.number) == (True, "blocked")
        for state in (State.PENDING, State.FAILURE):
            hub.commits.post(three.head.commit, Status("ci", state))
            with home.as_("olga") as olga, pytest.raises(FailedError, match="cannot be merged"):
                olga.merges.merge(three.number, three.head.commit)
        hub.commits.post(three.head.commit, Status("ci", State.SUCCESS))
        assert said(three.number) == (True, "clean")
        with home.as_("eve") as stranger, pytest.raises(GitmlError):
            stranger.merges.merge(three.number, three.head.commit)
        hub.merges.close(three.number)
        ready = hub.merges.readiness(three.number)
        assert (ready.is_open, ready.head) == (False, three.head.commit)


def test_a_request_for_changes_and_a_stale_approval_stand_in_the_way(home: Home) -> None:
    made = pull(home)
    rule = Protection(pull_request=True, approvals=1, dismiss_stale=True, admins=True)
    with home.as_() as hub:
        hub.guards.protect("main", rule)
        home.review("olga", made.number)
        home.review("rita", made.number, "CHANGES_REQUESTED")
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(made.number, made.head.commit)
        home.review("rita", made.number)
        head = home.write("ada", "more.txt", "1", "feature")
        assert [r.state for r in hub.reviews.list(made.number)] == ["DISMISSED", "CHANGES_REQUESTED", "DISMISSED"]
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(made.number, head)
        home.review("olga", made.number)
        home.review("rita", made.number)
        hub.merges.merge(made.number, head)


def test_an_administrator_passes_where_the_rule_lets_them(home: Home) -> None:
    one, two = pull(home, "one"), pull(home, "two")
    with home.as_() as hub, home.as_("olga") as olga:
        hub.guards.protect("main", Protection(pull_request=True, approvals=1))
        with pytest.raises(FailedError, match="cannot be merged"):
            olga.merges.merge(one.number, one.head.commit)
        hub.merges.merge(one.number, one.head.commit)
        hub.guards.protect("main", Protection(admins=True))
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(two.number, two.head.commit)
        home.unprotect()
        hub.merges.merge(two.number, two.head.commit)


def test_the_last_push_needs_somebody_elses_approval(home: Home) -> None:
    made = pull(home)
    with home.as_() as hub:
        hub.guards.protect("main", Protection(pull_request=True, approvals=1, last_push=True, admins=True))
        head = home.write("olga", "more.txt", "1", "feature")
        home.review("olga", made.number)
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(made.number, head)
        home.review("rita", made.number)
        hub.merges.merge(made.number, head)


def test_an_overtaken_one_is_closed_with_a_comment_once(home: Home) -> None:
    pull(home, "feature")
    one = pull(home, "gitml/promote/delay/staging").number
    two = pull(home, "gitml/promote/delay/production").number
    with home.as_() as hub:
        assert [p.number for p in hub.merges.under("gitml/promote/")] == [one, two]
        hub.merges.close(one, "overtaken by #9")
        hub.merges.close(one, "overtaken by #9")
        assert [c.body for c in hub.comments.list(OnPull(one))] == ["overtaken by #9"]
        assert [p.number for p in hub.merges.under("gitml/promote/")] == [two]


def test_who_wrote_and_who_pushed(home: Home) -> None:
    home.known_by("ada", "ada@example.org")
    base = new_branch(home, "feature")
    words = "One\n\nCo-authored-by: Rita R <rita@example.org>\nCO-AUTHORED-BY:  Olga <o@x.org>"
    first = home.write("ada", "a.txt", "1", "feature", message=words, by="Ada <ada@example.org>")
    head = home.write("olga", "b.txt", "2", "feature", by="Eve <eve@example.org>")
    with home.as_() as hub:
        number = hub.pulls.open(NewPull("x", "feature", "main")).number
        one, two = hub.merges.commits(number)
        assert (one.commit, one.message, two.commit) == (first, words, head)
        assert [(c.name, c.email) for c in one.claims] == [
            ("Ada", "ada@example.org"),
            ("Rita R", "rita@example.org"),
            ("Olga", "o@x.org"),
        ]
        assert (one.author, one.committer, two.author) == (home.person("ada"), home.person("ada"), None)
        assert hub.merges.commit(first) == one
        assert (hub.commits.author(first), hub.commits.author(head), hub.commits.author("f" * 40)) == ("ada", "", "")
        newest, older, created = hub.merges.pushes("feature")
        assert (newest.by, newest.before, newest.after, newest.kind) == (home.person("olga"), first, head, "push")
        assert (older.by.login, created.by.login, created.kind) == ("ada", "ada", "branch_creation")
        assert (created.before, created.after) == ("0" * 40, base)
        assert newest.time.endswith("Z")
        home.move("rita", "feature", first)
        assert hub.merges.pushes("feature")[0].kind == "force_push"
        home.move("rita", "feature", None)
        gone = hub.merges.pushes("feature")[0]
        assert (gone.by.login, gone.after, gone.kind) == ("rita", "0" * 40, "branch_deletion")
        assert hub.merges.pushes("nowhere") == ()


def test_the_addresses_that_the_forge_gives_are_its_accounts(home: Home) -> None:
    olga = home.person("olga")
    made = home.write("ada", "x", "1", by=f"O <{olga.id}+olga@users.noreply.localhost>")
    with home.as_() as hub:
        assert hub.commits.author(made) == "olga"


def test_deployments(home: Home) -> None:
    main = tip(home)
    new = NewDeployment(main, "staging", "deploy:delay", "delay@12345678", {"version": "v", "model": "delay"})
    with home.as_() as hub:
        hub.commits.post(main, Status("gitml/train", State.FAILURE))
        made = hub.deployments.create(new)
        other = hub.deployments.create(replace(new, task="deploy:price"))
        for one in (made, other):
            hub.deployments.say(one.id, DeploymentState("in_progress"))
            hub.deployments.say(one.id, DeploymentState("success", "loaded " + "x" * 200, "https://x.example/log"))
        assert (made.payload, made.by, made.commit) == ({"version": "v", "model": "delay"}, "ada", main)
        assert hub.deployments.list("staging", "deploy:delay") == (made,)
        assert [d.id for d in hub.deployments.list("staging")] == [other.id, made.id]
        assert [d.id for d in hub.deployments.list(most=1)] == [other.id]
        assert hub.deployments.list("production") == ()
        # The second one's success did not end the first one.
        newest, started = hub.deployments.states(made.id)
        assert (newest.state, len(newest.description), newest.by) == ("success", 140, "ada")
        assert (newest.url, started.state) == ("https://x.example/log", "in_progress")
        assert len(hub.deployments.states(made.id, most=1)) == 1
        with pytest.raises(HttpError):
            hub.deployments.create(replace(new, commit="f" * 40))


def test_protection_is_raised_and_never_lowered(home: Home) -> None:
    with home.as_() as hub:
        assert hub.guards.protection("main") is None
        wanted = Protection({"gitml/gate": None}, pull_request=True, approvals=1, dismiss_stale=True, admins=True)
        assert hub.guards.protect("main", wanted) == wanted
        main = hub.commits.branch("main")
        assert main is not None
        assert main.is_protected
        more = Protection({"ci": None}, pull_request=True, approvals=2, last_push=True)
        both = replace(wanted, checks={"gitml/gate": None, "ci": None}, approvals=2, last_push=True)
        assert hub.guards.protect("main", more) == both
        assert hub.guards.protect("main", Protection()) == both
        assert hub.guards.protection("main") == both
        rules = dict(hub.commits.rules("main"))
        assert {"deletion", "non_fast_forward", "pull_request", "required_status_checks"} <= set(rules)
        assert rules["pull_request"]["required_approving_review_count"] == 2
        listed = rules["required_status_checks"]["required_status_checks"]
        assert [c["context"] for c in listed] == ["gitml/gate", "ci"]  # type: ignore[attr-defined]
        assert hub.commits.rules("other") == ()
        with pytest.raises((AssertionError, HttpError)):
            home.write("ada", "x", "1")
        home.unprotect()
        assert hub.guards.protection("main") is None
    with home.as_("olga") as olga, pytest.raises(HttpError):
        olga.guards.protect("main", Protection())


def test_a_status_is_pinned_to_the_app_that_posted_it_last_and_stays_so(home: Home) -> None:
    home.let(BOT, "write")
    app = home.person(BOT).id
    wanted = Protection({"gitml/train": None, "gitml/gate": POSTED_LAST}, pull_request=True)
    with home.as_() as hub, home.as_(BOT) as bot:
        assert dict(hub.guards.protect("main", wanted).checks) == {"gitml/train": None, "gitml/gate": None}
        for context in wanted.checks:
            bot.commits.post(tip(home), Status(context, State.SUCCESS))
        pinned = {"gitml/train": None, "gitml/gate": app}
        assert dict(hub.guards.protect("main", wanted).checks) == pinned
        hub.commits.post(tip(home), Status("gitml/gate", State.SUCCESS))
        assert dict(hub.guards.protect("main", wanted).checks) == pinned
        assert dict(hub.guards.protect("main", Protection({"gitml/gate": None})).checks) == pinned
        made = pull(home)
        for hand, context in ((bot, "gitml/train"), (hub, "gitml/gate")):
            hand.commits.post(made.head.commit, Status(context, State.SUCCESS))
        assert hub.merges.readiness(made.number).state == "blocked", "the right words of the wrong account"
        bot.commits.post(made.head.commit, Status("gitml/gate", State.SUCCESS))
        assert hub.merges.readiness(made.number).state == "clean"


def test_the_environment_that_holds_the_key(home: Home) -> None:
    with home.as_() as hub:
        assert hub.guards.environment("gitml") is None
        assert hub.guards.set_environment("gitml", ["main"]).branches == ("main",)
        assert hub.guards.set_environment("gitml", ["release"]).branches == ("main", "release")
        home.open_environment("gitml")
        opened = hub.guards.environment("gitml")
        assert opened is not None
        assert opened.branches is None
        assert hub.guards.set_environment("gitml", ["main"]).branches == ("main",)
        assert hub.guards.secrets("gitml") == ()
        home.secret("gitml", "GITML_SIGNING_KEY")
        assert hub.guards.secrets("gitml") == ("GITML_SIGNING_KEY",)
        assert hub.guards.secrets("") == ()


def test_what_jobs_may_do(home: Home) -> None:
    new_branch(home, "feature")
    home.write("ada", "x", "1", "feature")
    new = NewPull("x", "feature", "main")
    with home.as_() as hub, home.as_job() as job:
        assert not hub.guards.jobs_may_open()
        with pytest.raises(HttpError) as caught:
            job.pulls.open(new)
        assert caught.value.status == 403
        hub.guards.let_jobs_open(yes=True)
        assert hub.guards.jobs_may_open()
        assert job.pulls.open(new).author == "github-actions[bot]"
        with pytest.raises(HttpError):
            job.guards.protect("main", Protection())


def test_runs_that_are_not_there(home: Home) -> None:
    with home.as_() as hub:
        assert hub.runs.of_commit(tip(home)) == ()
        assert not hub.runs.rerun(77)
        for ask in (lambda: hub.runs.get(77), lambda: hub.runs.start("gitml-train.yml", "main")):
            with pytest.raises(HttpError) as caught:
                ask()
            assert caught.value.status == 404


def test_approvals_of_another_difference_go_stale(home: Home) -> None:
    new_branch(home, "other")
    home.write("ada", "meanwhile.txt", "1")
    made = pull(home)
    rule = Protection(pull_request=True, approvals=1, dismiss_stale=True, admins=True)
    with home.as_() as hub:
        for branch in ("main", "other"):
            hub.guards.protect(branch, rule)
        home.review("olga", made.number)
        home.retarget("ada", made.number, "other")
        assert hub.pulls.get(made.number).base.branch == "other"
        assert [r.state for r in hub.reviews.list(made.number)] == ["DISMISSED"]
        assert [f.path for f in hub.pulls.files(made.number)] == ["feature.txt", "meanwhile.txt"]
