"""What every forge has to do for gitml: pull requests, comments, commits, reviews, people, runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from conftest import commit, git, write
from forges.conformance import Build, needs
from forges.homes import BOT, JOBS, Home, new_branch, pull, tip
from gitml.forges.base import NewPull, OnCommit, OnPull, Relation, State, Status
from gitml.forges.governed import Protection, Reviewers
from gitml.forges.table import adapter, connect
from gitml.http import HttpError


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
        assert [(one.label, one.by) for one in hub.pulls.labelled(found.number)] == [
            ("gitml:commit", "ada"),
            ("x", "ada"),
        ]
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


def test_a_draft_becomes_ready_once_and_for_those_alone_who_may(home: Home) -> None:
    made = pull(home, draft=True)
    with home.as_("eve") as hub, pytest.raises(HttpError) as caught:
        hub.pulls.ready(made.number)
    assert caught.value.status in (403, 404)
    with home.as_() as hub:
        assert hub.pulls.get(made.number).is_draft
        assert not hub.pulls.ready(made.number).is_draft
        assert hub.pulls.ready(made.number) == hub.pulls.get(made.number)
        assert not hub.pulls.get(made.number).is_draft
    other = pull(home, "other", draft=True)
    with home.as_job() as job:
        assert not job.pulls.ready(other.number).is_draft


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


def test_what_plain_git_pushes_is_seen(home: Home, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", home.remote("olga"), str(clone))
    git(clone, "checkout", "-q", "-b", "feature")
    write(clone, {"deep/old.txt": "".join(f"line {i}\n" for i in range(50)), "gone.txt": "x", "README.md": "new\n"})
    first = commit(clone, "files")
    git(clone, "push", "-q", "origin", "feature", "feature:base")
    home.pushed("olga")
    git(clone, "mv", "deep/old.txt", "deep/new.txt")
    git(clone, "rm", "-q", "gone.txt")
    write(clone, {"README.md": "newer\n"})
    head = commit(clone, "renamed")
    git(clone, "push", "-q", home.remote("rita"), "feature")
    home.pushed("rita")
    with home.as_() as hub:
        made = hub.pulls.open(NewPull("x", "feature", "base"))
        assert (made.head.commit, made.base.commit) == (head, first)
        assert [p.by.login for p in hub.merges.pushes("feature")] == ["rita", "olga"]
        assert sorted((f.path, f.change, f.before) for f in hub.pulls.files(made.number)) == [
            ("README.md", "modified", ""),
            ("deep/new.txt", "renamed", "deep/old.txt"),
            ("gone.txt", "removed", ""),
        ]
        git(clone, "fetch", "-q", "origin", adapter(home.settings().forge).pull_ref(made.number))
        assert git(clone, "rev-parse", "FETCH_HEAD") == head


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
        said = (JOBS, BOT) if "job tokens" in home.lacks else ("", "")
        assert (hub.me(), job.me(), app.me()) == ("ada", *said)
    with connect(replace(home.settings(BOT), bot=BOT)) as told:
        assert told.me() == BOT


def test_reviews_name_person_commit_and_time(home: Home) -> None:
    needs(home, "dismissals")
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
        told = hub.reviews.list(number)
        assert [r.state for r in told] == ["DISMISSED", "CHANGES_REQUESTED", "APPROVED"]
        assert [(bool(r.dismissed), r.was) for r in told] == [(True, found[0].state), (False, ""), (False, "")]
        assert told[0].time <= told[0].dismissed
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


def test_teams(build: Build) -> None:
    home = build(guild=True)
    number = pull(home).number
    with home.as_() as hub:
        assert hub.people.members("guild/risk") == (hub.people.find("OLGA"), hub.people.find("rita"))
        assert hub.people.members("guild/nothing") is None
        asked = hub.reviews.ask(number, Reviewers(teams=("guild/risk", "guild/none")))
        done = () if "teams asked" in home.lacks else ("guild/risk",)
        assert (asked.done.teams, {*asked.done.teams, *asked.skipped}) == (done, {"guild/risk", "guild/none"})
        assert hub.reviews.asked(number).teams == done
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


def test_what_jobs_may_do(home: Home) -> None:
    needs(home, "job tokens")
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


def test_issues_are_found_by_their_label_the_newest_first(home: Home) -> None:
    with home.as_() as hub:
        first = hub.issues.open("One", "why\n\n<!-- mark -->", "gitml:x")
        hub.issues.open("Another", "", "gitml:y")
        second = hub.issues.open("Two", "", "gitml:x")
        assert [(one.title, one.is_open) for one in hub.issues.labelled("gitml:x")] == [("Two", True), ("One", True)]
        assert hub.issues.labelled("gitml:x")[1].body == "why\n\n<!-- mark -->"
        assert hub.issues.labelled("nothing") == ()
        assert (first.number != second.number, first.url != second.url) == (True, True)
