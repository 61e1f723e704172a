"""Decisions through GitHub's client beyond what every forge does: lost answers, and rules that only GitHub has."""

from pathlib import Path

import pytest

from forges.chaos_kit import Chaos
from forges.homes import sandbox_home
from forges.test_github import forge, settings
from gitml.forges.governed import Protection
from gitml.http import HttpError
from sandbox import description
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import api, seeded


def test_a_merge_whose_answer_is_lost_is_found_again(kit: Kit, chaos: Chaos) -> None:
    _, ada, _, _ = seeded(kit)
    pull = ada.pull()
    with forge(settings(kit, ada.repo, url=chaos.url)) as hub:
        chaos.plan("dropped", "PUT .*/merge")
        made = hub.merges.merge(pull["number"], pull["head"]["sha"], title="Promote it")
        assert ada.tip("main") == made
        assert chaos.count("PUT .*/merge") == 1


def test_members_of_a_team_are_shown_as_github_shows_them(kit: Kit) -> None:
    home = sandbox_home(kit, guild=True)
    ada = home.api("ada")
    shown = ada.http.get("/api/v3/orgs/guild/teams/risk/members", headers=ada.headers).json()
    assert description.errors(description.document()["components"]["schemas"]["simple-user"], shown[0]) == []


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


def test_what_protects_a_branch_besides_stays_when_more_is_asked(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
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
    with forge(settings(kit, ada.repo)) as hub:
        app = kit.user("gitml-bot[bot]").id
        wanted = Protection({"gitml/gate": app}, pull_request=True, approvals=1, dismiss_stale=True, admins=True)
        made = hub.guards.protect("main", wanted)
        assert dict(made.checks) == {"ci": None, "gitml/gate": app}
        assert (made.approvals, made.code_owners, made.dismiss_stale, made.admins) == (2, True, True, True)
        assert not made.may_rewrite
    shown = ada.get("branches/main/protection")
    assert shown["required_status_checks"]["strict"]
    assert shown["required_linear_history"]["enabled"]
    assert [u["login"] for u in shown["restrictions"]["users"]] == ["ada"]
    assert [a["slug"] for a in shown["restrictions"]["apps"]] == ["gitml-bot"]
    reviews = shown["required_pull_request_reviews"]
    assert [u["login"] for u in reviews["dismissal_restrictions"]["users"]] == ["ada"]


def test_the_rules_of_an_environment_stay_when_branches_are_named(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    home = f"/api/v3/repos/{ada.repo}/environments/gitml"
    with forge(settings(kit, ada.repo)) as hub:
        body = {"wait_timer": 5, "reviewers": [{"type": "User", "id": kit.user("olga").id}]}
        ada.http.put(home, headers=ada.headers, json=body)
        assert hub.guards.set_environment("gitml", ["main"]).branches == ("main",)
        rules = {r["type"]: r for r in ada.http.get(home, headers=ada.headers).json()["protection_rules"]}
        assert rules["wait_timer"]["wait_timer"] == 5
        assert [r["reviewer"]["login"] for r in rules["required_reviewers"]["reviewers"]] == ["olga"]
