"""A version is proposed by a pull request that edits one file."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from gitml.control.change import PROMOTE, branch_of, requested_by
from gitml.errors import FailedError, InconclusiveError, OutsideError, RefError, UsageError
from gitml.spec import Deployment, render_deployment
from gitml.spec.deployment import Canary, Hold
from promotion.promoting import GITML, NOW, POLICY, MemoryTown, Town, pin, push_as, record, untouched
from sandbox.forge_kit import commit, git

Build = Callable[[], MemoryTown]


@pytest.fixture
def build(new_town_here: Build) -> Build:
    return new_town_here


def changed(t: Town, number: int) -> list[str]:
    with t.hub() as hub:
        return [file.path for file in hub.pulls.files(number)]


def parents(t: MemoryTown, commit: str) -> list[str]:
    return git(t.forge.remote, "show", "-s", "--format=%P", commit).split()


def test_a_promotion_is_a_pull_request_that_edits_one_file(build: Build) -> None:
    t = build()
    one = t.train(1, auc=0.7)
    before = untouched(t.here)
    done = t.promote(one, reason="it is *better*")
    assert untouched(t.here) == before
    pull = t.pull(done.pull.number)
    assert done.how == "opened"
    assert pull.title == f"Promote delay@{one.digest[:8]} to staging"
    assert pull.head.branch == f"gitml/promote/delay/staging/{one.version}"
    assert changed(t, done.pull.number) == ["models/delay/staging.yaml"]
    assert t.state("staging", pull.head.branch) == Deployment(champion=pin(one))
    (made,) = t.commits(done.pull.number)
    assert made.author == made.committer == t.home.person("ada")
    assert requested_by(made.message) == (t.home.person("ada"),)
    assert parents(t, made.commit) == [t.tip]
    for words in ("nothing runs there yet", "Nobody acts on its answers", "Will it be late?", r"it is \*better\*"):
        assert words in pull.body
    for words in (f"`{one.version}`", "1.5 MB", f"{1:064x}", "gitml-ledger is not there yet", "You run them"):
        assert words in pull.body.replace("\\", "")


def test_reviewers_are_asked_by_role_and_not_who_cannot_approve(build: Build) -> None:
    t = build()
    one = t.train(1)
    t.put("staging", Deployment(champion=pin(one)))
    done = t.promote(one, "production", "rita")
    assert done.asked.done.people == ("olga",)
    assert set(done.asked.skipped) == {"nobody-here"}
    with t.hub() as hub:
        assert hub.reviews.asked(done.pull.number).people == ("olga",)
    assert "`rita` cannot approve" in t.pull(done.pull.number).body
    t.home.review("olga", done.pull.number)
    assert t.promote(one, "production", "rita").asked.done.people == ()


def test_again_it_is_the_same_pull_request_and_approvals_stay(build: Build) -> None:
    t = build()
    one = t.train(1)
    first = t.promote(one)
    t.home.review("olga", first.pull.number)
    assert t.promote(one).how == "unchanged"
    t.push({"README.md": "other work\n"})
    again = t.promote(one)
    assert (again.pull.number, again.pull.head.commit) == (first.pull.number, first.pull.head.commit)
    with t.hub() as hub:
        assert [r.state for r in hub.reviews.list(first.pull.number)] == ["APPROVED"]
        body = hub.pulls.get(first.pull.number).body
        hub.pulls.edit(first.pull.number, body=f"@olga, please look\n\n{body}\n\nthanks")
    changed = t.promote(one, reason="now with a reason")
    assert changed.how == "updated"
    body = t.pull(first.pull.number).body
    assert body.startswith("@olga, please look")
    assert body.rstrip().endswith("thanks")
    assert "now with a reason" in body
    assert body.count("What changes") == 1


def test_the_comparison_with_what_runs_there(build: Build) -> None:
    t = build()
    one, two = t.train(1, auc=0.70), t.train(2, auc=0.80)
    t.put("staging", Deployment(champion=pin(one)))
    body = t.pull(t.promote(two).pull.number).body
    assert re.search(r"\| `auc` \| 0\.700 \| 0\.800 \| \+0\.100 \| \+0\.086 to \+0\.114 \| ▲ better \|", body), body
    assert '`gitml rollback delay --in staging --reason "…"`' in body
    assert f"`{one.digest[:8]}`" in body
    t.push({"gitml.yaml": f"{GITML}    holdout: {{rows: rows.parquet, label: late}}\n"})
    again = t.promote(two).pull
    assert "each has figures of a hold-out of its own; the report of its training has both" in t.pull(again.number).body


def test_an_older_promotion_is_closed_with_a_link(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    first = t.promote(one)
    second = t.promote(two)
    assert second.closed == (first.pull.number,)
    assert [p.number for p in t.pulls()] == [second.pull.number]
    assert t.comments(first.pull.number) == [
        f"Overtaken: #{second.pull.number} proposes {two.version}, which is newer."
    ]
    assert not t.branch(f"gitml/promote/delay/staging/{one.version}")
    third = t.promote(one)
    assert (third.closed, third.how) == ((), "opened")


@pytest.mark.slow
def test_canary_and_shadow(build: Build) -> None:
    t = build()
    one, two, three = t.train(1), t.train(2), t.train(3)
    with pytest.raises(UsageError, match="no champion yet"):
        t.promote(two, part="canary")
    t.put("staging", Deployment(champion=pin(one), shadow=(pin(two),)))
    canary = t.promote(two, part="canary", weight=2.5)
    assert canary.pull.title.endswith("to staging as canary")
    expected = Canary(version=two.version, digest=pin(two).digest, weight=2.5)
    assert t.state("staging", canary.pull.head.commit) == Deployment(champion=pin(one), canary=expected)
    heavier = t.promote(two, part="canary", weight=20)
    assert heavier.pull.number == canary.pull.number
    assert t.state("staging", heavier.pull.head.commit).canary == expected.model_copy(update={"weight": 20})
    shadow = t.promote(three, part="shadow")
    assert (
        t.state("staging", shadow.pull.head.commit).shadow
        == Deployment(champion=pin(one), shadow=(pin(two), pin(three))).shadow
    )
    t.put("staging", Deployment(champion=pin(one), canary=expected, shadow=(pin(three),)))
    champion = t.promote(two)
    assert t.state("staging", champion.pull.head.commit) == Deployment(champion=pin(two), shadow=(pin(three),))
    with pytest.raises(UsageError, match="only a canary has a weight"):
        t.promote(two, weight=10)


def test_what_cannot_be_promoted(build: Build) -> None:
    t = build()
    one = t.train(1)
    git(t.here, "checkout", "-q", "-b", "feature")
    stray = record(99, minute=1200)
    commit(t.here, f"models/delay/versions/{stray.version}.json", stray.to_json())
    with pytest.raises(RefError, match="names no version on the default branch"):
        t.promote(stray)
    with pytest.raises(RefError, match="no model delya on the default branch; did you mean delay"):
        t.promote("delya@latest")
    with pytest.raises(UsageError, match="no environment stagin; did you mean staging"):
        t.promote(one, "stagin")
    with pytest.raises(FailedError, match="must be champion in staging before it comes to production: nothing runs"):
        t.promote(one, "production")
    t.put("staging", Deployment(champion=pin(one)))
    with pytest.raises(UsageError, match="is champion in staging already"):
        t.promote(one)
    assert t.promote(f"delay@{one.digest[:6]}", "production").version == one.version
    assert t.promote("delay@staging", "production").how == "unchanged"
    assert [p.head.branch for p in t.pulls()] == [f"gitml/promote/delay/production/{one.version}"]


@pytest.mark.slow
def test_freezes_and_holds_are_shown_and_respected(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    window = {"from": "2026-02-20", "until": "2026-03-10", "reason": "Easter", "environments": ["staging"]}
    t.policy(freezes=[window])
    with pytest.raises(InconclusiveError, match="staging is frozen until 2026-03-11 00:00 UTC: Easter"):
        t.promote(one)
    opened = t.promote(one, anyway=True)
    assert "is frozen until" in t.pull(opened.pull.number).body
    assert opened.warnings == ("staging is frozen until 2026-03-11 00:00 UTC: Easter",)
    t.policy(freezes=[])
    hold = Hold(by="olga", reason="rolled back", until=NOW + timedelta(days=1))
    t.put("staging", Deployment(champion=pin(one), hold=hold))
    with pytest.raises(InconclusiveError, match="staging is held by olga until 2026-03-02 12:00 UTC: rolled back"):
        t.promote(two)
    held = t.promote(two, anyway=True)
    assert t.state("staging", held.pull.head.commit).hold == hold
    t.now = NOW + timedelta(days=2)
    free = t.promote(two)
    assert t.state("staging", free.pull.head.commit).hold is None


def test_somebody_elses_commit_on_the_branch_is_never_overwritten(build: Build) -> None:
    t = build()
    one = t.train(1)
    first = t.promote(one)
    branch = first.pull.head.branch
    git(t.main, "fetch", "-q", "origin")
    git(t.main, "checkout", "-q", "-b", "mine", f"origin/{branch}")
    mine = commit(t.main, "models/delay/staging.yaml", render_deployment(Deployment(champion=pin(record(5)))))
    push_as(t, branch, "olga")
    git(t.main, "checkout", "-q", "main")
    with pytest.raises(FailedError, match=r"has a commit of Ada that is not gitml's"):
        t.promote(one)
    assert t.branch(branch) == mine
    again = t.promote(one, anew=True)
    assert (again.how, again.closed) == ("opened", (first.pull.number,))
    assert [p.number for p in t.pulls()] == [again.pull.number]
    assert t.state("staging", again.pull.head.commit).champion == pin(one)


def test_the_base_moved_under_it(build: Build) -> None:
    t = build()
    one, two, three = t.train(1), t.train(2), t.train(3)
    t.put("staging", Deployment(champion=pin(one)))
    first = t.promote(three)
    t.put("staging", Deployment(champion=pin(two)))
    again = t.promote(three)
    assert again.pull.number == first.pull.number
    assert again.how == "updated"
    assert again.pull.head.commit != first.pull.head.commit
    body = t.pull(first.pull.number).body
    assert f"`{two.digest[:8]}`" in body
    assert f"`{one.digest[:8]}`" not in body
    (made,) = t.commits(first.pull.number)
    assert parents(t, made.commit) == [t.tip]


def test_a_branch_in_the_way_is_named(build: Build) -> None:
    t = build()
    one = t.train(1)
    t.home.move("ada", "gitml/promote", t.tip)
    with pytest.raises(OutsideError, match="the branch gitml/promote is in the way"):
        t.promote(one)


def test_a_branch_left_over_from_a_squashed_promotion_is_used_again(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    first = t.promote(one)
    t.merge(first.pull.number, method="squash")
    t.put("staging", Deployment(champion=pin(two)))
    again = t.promote(one)
    assert again.pull.number != first.pull.number
    assert len(t.commits(again.pull.number)) == 1
    assert "older than" in again.warnings[0]


def test_two_at_once_open_one(build: Build) -> None:
    t = build()
    one = t.train(1)
    results = []
    with t.place("ada") as first, t.place("olga") as second:
        from concurrent.futures import ThreadPoolExecutor

        from gitml.promotion.promote import PromoteOrder, promote
        from gitml.refs import Reference

        order = PromoteOrder(Reference("delay", one.version), "staging")
        with ThreadPoolExecutor(2) as pool:
            results = [f.result() for f in [pool.submit(promote, p, order) for p in (first, second)]]
    assert len({r.pull.number for r in results}) == 1
    (pull,) = t.pulls()
    assert len(t.commits(pull.number)) == 1


def test_hostile_words_stay_words(build: Build) -> None:
    t = build()
    policy = {**POLICY, "environments": {"staging": {"description": "<!-- gitml:change:end --> @everyone\n# big"}}}
    t.policy(**policy)
    one = t.train(1, source=None)
    done = t.promote(
        one, reason="x\n<!-- gitml:change:end -->\nCo-authored-by: Eve <eve@example.org>\nGitml-Requested-By: eve 1"
    )
    body = t.pull(done.pull.number).body
    assert body.count("<!-- gitml:change:end -->") == 1
    assert "@everyone" not in body
    (made,) = t.commits(done.pull.number)
    assert requested_by(made.message) == (t.home.person("ada"),)
    assert [c.name for c in made.claims] == ["ada"]
    assert len(made.message.splitlines()) == 7


def test_an_application_in_a_folder_has_branches_of_its_own(build: Build) -> None:
    t = build()
    git(t.main, "mv", "-k", "gitml.yaml", "policy.yaml", "train.py", "models", ".")
    moved: dict[str, str | None] = {f"apps/x/{n}": (t.main / n).read_text() for n in ("gitml.yaml", "policy.yaml")}
    t.push({**moved, "gitml.yaml": None, "policy.yaml": None})
    one = record(1)
    t.push({f"apps/x/models/delay/versions/{one.version}.json": one.to_json()})
    git(t.here, "pull", "-q")
    t.here = t.here / "apps/x"
    done = t.promote(one)
    assert done.pull.head.branch == f"gitml/promote/apps+x+delay/staging/{one.version}"
    assert changed(t, done.pull.number) == ["apps/x/models/delay/staging.yaml"]
    assert t.promote(one).how == "unchanged"


@pytest.mark.parametrize(
    ("model", "part"),
    [("a..b", "a-.b-"), ("x.lock", "x-lock-"), ("delay", "delay"), ("a.b-c_d", "a.b-c_d")],
)
def test_branches_have_names_that_git_takes(build: Build, model: str, part: str) -> None:
    t = build()
    with t.place() as place:
        name = branch_of(place.newest(), PROMOTE, model, "staging")
    assert name.startswith(f"gitml/promote/{part}")
    git(t.here, "check-ref-format", "--branch", name)
