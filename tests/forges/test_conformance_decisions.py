"""What every forge has to do for gitml: merges and what stands in their way, deployments, guards."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from forges.conformance import needs
from forges.homes import BOT, Home, new_branch, pull, tip
from gitml.errors import FailedError, GitmlError
from gitml.forges.base import OnPull, Relation, State, Status
from gitml.forges.governed import POSTED_LAST, DeploymentState, NewDeployment, Protection
from gitml.http import HttpError


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
    needs(home, method)
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
    needs(home, "passing administrators")
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
    needs(home, "contexts")
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
    needs(home, "contexts")
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
    needs(home, "environments of their own")
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
