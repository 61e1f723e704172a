"""Decisions through the client: reviews, merges, people, deployments, guards; against the sandbox."""

from dataclasses import replace
from pathlib import Path

import pytest

from forges.chaos_kit import Chaos
from forges.test_github import forge, settings
from gitml.errors import FailedError
from gitml.forges.base import OnPull, State, Status
from gitml.forges.governed import POSTED_LAST, Account, DeploymentState, NewDeployment, Protection, Reviewers
from gitml.http import HttpError
from gitml_sandbox.forge import tokens, users
from sandbox import description
from sandbox.forge_kit import Kit, commit, git
from sandbox.rest_kit import api, seeded


def test_reviews_name_person_commit_and_time(kit: Kit) -> None:
    _, ada, olga, rita = seeded(kit)
    pull = ada.pull()
    number, first = pull["number"], pull["head"]["sha"]
    olga.review(number)
    second = ada.write("more.txt", "1", "feature")
    rita.review(number, "REQUEST_CHANGES")
    olga.review(number, "APPROVE", commit_id=second)
    with forge(settings(kit, ada.repo)) as hub:
        found = hub.reviews.list(number)
    olga_, rita_ = Account("olga", kit.user("olga").id), Account("rita", kit.user("rita").id)
    assert [(r.person, r.state, r.commit) for r in found] == [
        (olga_, "APPROVED", first),
        (rita_, "CHANGES_REQUESTED", second),
        (olga_, "APPROVED", second),
    ]
    assert all(r.time.endswith("Z") for r in found)


def test_whoever_may_not_be_asked_is_skipped_and_the_others_are_asked(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    number = ada.pull()["number"]
    with forge(settings(kit, ada.repo)) as hub:
        asked = hub.reviews.ask(number, Reviewers(("olga", "nobody-here", "ada", "eve"), ("other/crew", "ada/risk")))
        assert asked.done == Reviewers(("olga",))
        assert set(asked.skipped) == {"nobody-here", "ada", "eve", "other/crew", "ada/risk"}
        assert "author" in asked.skipped["ada"]
        assert "collaborator" in asked.skipped["eve"]
        assert hub.reviews.asked(number) == Reviewers(("olga",))
        assert hub.reviews.ask(number, Reviewers(("olga", "rita"))).skipped == {}
        assert set(hub.reviews.asked(number).people) == {"olga", "rita"}
        assert hub.reviews.ask(number, Reviewers()).done == Reviewers()


@pytest.fixture(scope="module")
def crew(kit: Kit) -> str:
    """The organisation `guild` with the team `risk`: olga and rita."""
    with kit.sandbox.store.write() as tx:
        org = users.add(tx, "guild", type="Organization")
        team = users.add_team(tx, org.id, "Risk")
        for login in ("ada", "olga", "rita"):
            users.add_member(tx, org.id, users.get(tx, login).id)
        for login in ("olga", "rita"):
            users.add_team_member(tx, team, users.get(tx, login).id)
    return "guild/risk"


def test_teams(kit: Kit, crew: str) -> None:
    repo = kit.repo(owner="guild", writers=("ada", "olga", "rita"))
    ada = api(kit, repo, "ada")
    ada.write("README.md", "x")
    number = ada.pull()["number"]
    with forge(settings(kit, ada.repo)) as hub:
        members = hub.people.members(crew)
        assert members == (hub.people.find("OLGA"), hub.people.find("rita"))
        assert hub.people.members("guild/nothing") is None
        asked = hub.reviews.ask(number, Reviewers(teams=(crew, "guild/none")))
        assert (asked.done.teams, set(asked.skipped)) == ((crew,), {"guild/none"})
        assert hub.reviews.asked(number).teams == (crew,)
    with forge(settings(kit, ada.repo, "eve")) as stranger:
        assert stranger.people.members(crew) is None
    with kit.sandbox.store.write() as tx:
        bot = kit.user("gitml-bot[bot]")
        job = tokens.mint(tx, user_id=bot.id, kind="job", repo_id=repo.id, permissions={"contents": "read"})
    with forge(settings(kit, ada.repo, job)) as job_hub:
        assert job_hub.people.members(crew) is None
    shown = ada.http.get("/api/v3/orgs/guild/teams/risk/members", headers=ada.headers).json()
    assert description.errors(description.document()["components"]["schemas"]["simple-user"], shown[0]) == []


def test_people(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    with forge(settings(kit, ada.repo)) as hub:
        assert hub.people.find("Olga") == Account("olga", kit.user("olga").id)
        assert hub.people.find("no-such-person") is None
        logins = ("ada", "olga", "eve", "no-such-person")
        assert [hub.people.permission(p) for p in logins] == ["admin", "write", "read", "none"]


def test_a_merge_takes_the_expected_head_or_nothing(kit: Kit, chaos: Chaos) -> None:
    _, ada, olga, _ = seeded(kit)
    ada.protect()
    pull = ada.pull()
    number, first = pull["number"], pull["head"]["sha"]
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        assert hub.merges.readiness(number).author == Account("ada", kit.user("ada").id)
        with pytest.raises(FailedError, match="cannot be merged"):
            hub.merges.merge(number, first)
        second = ada.write("more.txt", "1", "feature")
        olga.review(number)
        with pytest.raises(FailedError, match=f"is at {second[:12]} by now"):
            hub.merges.merge(number, first)
        assert hub.merges.merged(number) is None
        chaos.plan("dropped", "PUT .*/merge")
        made = hub.merges.merge(number, second, title="Promote it")
        merged = hub.merges.merged(number)
        assert merged is not None
        assert (merged.commit, merged.by.login, ada.tip("main")) == (made, "ada", made)
        assert chaos.count("PUT .*/merge") == 3


def test_an_overtaken_one_is_closed_with_a_comment_once(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    ada.pull("feature")
    one = ada.pull("gitml/promote/delay/staging")["number"]
    two = ada.pull("gitml/promote/delay/production")["number"]
    with forge(settings(kit, ada.repo)) as hub:
        assert [p.number for p in hub.merges.under("gitml/promote/")] == [one, two]
        hub.merges.close(one, "overtaken by #9")
        hub.merges.close(one, "overtaken by #9")
        assert [c.body for c in hub.comments.list(OnPull(one))] == ["overtaken by #9"]
        assert [p.number for p in hub.merges.under("gitml/promote/")] == [two]


def test_who_wrote_and_who_pushed(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "clone")
    git(clone, "checkout", "-q", "-b", "feature")
    commit(clone, "a.txt", "1", "One\n\nCo-authored-by: Rita R <rita@example.org>\nCO-AUTHORED-BY:  Olga <o@x.org>\n")
    git(clone, "push", "-q", "origin", "HEAD")
    head = commit(clone, "b.txt", "2")
    git(clone, "push", "-q", kit.remote(repo, "olga"), "HEAD:feature")
    ada = api(kit, repo, "ada")
    number = ada.post("pulls", title="x", head="feature", base="main")["number"]
    with forge(settings(kit, repo.full_name)) as hub:
        first, second = hub.merges.commits(number)
        assert [(c.name, c.email) for c in first.claims] == [
            ("Ada", "ada@example.org"),
            ("Rita R", "rita@example.org"),
            ("Olga", "o@x.org"),
        ]
        assert second.commit == head
        newest, created = hub.merges.pushes("feature")
        assert (newest.by, newest.after) == (Account("olga", kit.user("olga").id), head)
        assert (created.by.login, created.kind) == ("ada", "branch_creation")
        assert hub.merges.pushes("nowhere") == ()


def test_a_list_of_commits_that_is_not_whole_is_an_error(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "clone")
    tree = git(clone, "rev-parse", "HEAD^{tree}").strip()
    tip = git(clone, "rev-parse", "HEAD").strip()
    for _ in range(251):
        tip = git(clone, "commit-tree", tree, "-p", tip, "-m", "x").strip()
    git(clone, "push", "-q", "origin", f"{tip}:refs/heads/long")
    number = api(kit, repo, "ada").post("pulls", title="x", head="long", base="main")["number"]
    with forge(settings(kit, repo.full_name)) as hub, pytest.raises(HttpError, match="251 commits"):
        hub.merges.commits(number)


def test_deployments(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    main = ada.tip("main")
    new = NewDeployment(main, "staging", "deploy:delay", "delay@12345678", {"version": "v", "model": "delay"})
    with forge(settings(kit, ada.repo)) as hub:
        hub.commits.post(main, Status("gitml/train", State.FAILURE))
        made = hub.deployments.create(new)
        other = hub.deployments.create(replace(new, task="deploy:price"))
        for one in (made, other):
            hub.deployments.say(one.id, DeploymentState("in_progress"))
            hub.deployments.say(one.id, DeploymentState("success", "loaded " + "x" * 200, "https://x.example/log"))
        assert made.payload == {"version": "v", "model": "delay"}
        assert hub.deployments.list("staging", "deploy:delay") == (made,)
        assert [d.id for d in hub.deployments.list("staging")] == [other.id, made.id]
        assert hub.deployments.list("production") == ()
        # The second one's success did not end the first one.
        newest, started = hub.deployments.states(made.id)
        assert (newest.state, len(newest.description), newest.by) == ("success", 140, "ada")
        assert (newest.url, started.state) == ("https://x.example/log", "in_progress")
        assert len(hub.deployments.states(made.id, most=1)) == 1


def test_protection_is_raised_and_never_lowered(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    with forge(settings(kit, ada.repo)) as hub:
        assert hub.guards.protection("main") is None
        wanted = Protection({"gitml/gate": None}, pull_request=True, approvals=1, dismiss_stale=True, admins=True)
        assert hub.guards.protect("main", wanted) == wanted
        ada.protect(
            required_status_checks={"strict": True, "contexts": ["ci"]},
            required_pull_request_reviews={
                "required_approving_review_count": 2,
                "require_code_owner_reviews": True,
                "dismissal_restrictions": {"users": ["ada"], "teams": []},
            },
            required_linear_history=True,
            allow_force_pushes=True,
            restrictions={"users": ["ada"], "teams": [], "apps": ["gitml-bot"]},
        )
        app = kit.user("gitml-bot[bot]").id
        made = hub.guards.protect("main", replace(wanted, checks={"gitml/gate": app}))
        assert dict(made.checks) == {"ci": None, "gitml/gate": app}
        assert (made.approvals, made.code_owners, made.dismiss_stale, made.admins) == (2, True, True, True)
        assert not made.may_rewrite
        assert hub.guards.protect("main", Protection()) == made
    shown = ada.get("branches/main/protection")
    assert shown["required_status_checks"]["strict"]
    assert shown["required_linear_history"]["enabled"]
    assert [u["login"] for u in shown["restrictions"]["users"]] == ["ada"]
    assert [a["slug"] for a in shown["restrictions"]["apps"]] == ["gitml-bot"]
    reviews = shown["required_pull_request_reviews"]
    assert [u["login"] for u in reviews["dismissal_restrictions"]["users"]] == ["ada"]


def test_a_status_is_pinned_to_the_app_that_posted_it_last_and_stays_so(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit, writers=("gitml-bot[bot]",))
    bot, app = api(kit, ada.repo, "gitml-bot[bot]"), kit.user("gitml-bot[bot]").id
    wanted = Protection({"gitml/train": None, "gitml/gate": POSTED_LAST}, pull_request=True)
    with forge(settings(kit, ada.repo)) as hub:
        assert dict(hub.guards.protect("main", wanted).checks) == {"gitml/train": None, "gitml/gate": None}
        for context in wanted.checks:
            bot.status(ada.tip("main"), context=context)
        pinned = {"gitml/train": None, "gitml/gate": app}
        assert dict(hub.guards.protect("main", wanted).checks) == pinned
        ada.status(ada.tip("main"), context="gitml/gate")
        assert dict(hub.guards.protect("main", wanted).checks) == pinned
        assert dict(hub.guards.protect("main", Protection({"gitml/gate": None})).checks) == pinned


def test_the_environment_that_holds_the_key(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    home = f"/api/v3/repos/{ada.repo}/environments/gitml"
    with forge(settings(kit, ada.repo)) as hub:
        assert hub.guards.environment("gitml") is None
        assert hub.guards.set_environment("gitml", ["main"]).branches == ("main",)
        body = {"wait_timer": 5, "reviewers": [{"type": "User", "id": kit.user("olga").id}]}
        ada.http.put(home, headers=ada.headers, json=body)
        assert hub.guards.environment("gitml").branches is None
        assert hub.guards.set_environment("gitml", ["main"]).branches == ("main",)
        rules = {r["type"]: r for r in ada.http.get(home, headers=ada.headers).json()["protection_rules"]}
        assert rules["wait_timer"]["wait_timer"] == 5
        assert [r["reviewer"]["login"] for r in rules["required_reviewers"]["reviewers"]] == ["olga"]
        assert hub.guards.secrets("gitml") == ()
        ada.http.put(f"{home}/secrets/GITML_SIGNING_KEY", headers=ada.headers, json={"value": "x"})
        assert hub.guards.secrets("gitml") == ("GITML_SIGNING_KEY",)


def test_what_jobs_may_do(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    with forge(settings(kit, ada.repo)) as hub:
        assert not hub.guards.jobs_may_open()
        hub.guards.let_jobs_open(yes=True)
        assert hub.guards.jobs_may_open()
