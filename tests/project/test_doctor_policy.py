"""`gitml doctor` and `--fix` where there is a policy: every gap between it and the real sandbox's guards."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import gitml, write
from gitml.evidence.keys import generate
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import Api, api, seeded

POLICY = """\
roles: {operations: {people: [olga]}, risk: {people: [rita]}}
environments:
  staging: {approvals: {operations: 1}}
  production: {approvals: {operations: 1, risk: 1}}
"""
PURPOSES = "trained, evaluated, reproduced, gate, approved, promoted, rolled-back"
GATE = "gate on main"
pytestmark = pytest.mark.slow


def keys(purposes: str = PURPOSES, more: str = "") -> str:
    _, public = generate()
    return f"keys:\n  ci: {{public: '{public}', owner: CI, purposes: [{purposes}], from: 2026-01-01{more}}}\n"


class Place:
    """A clone with a policy, and its repository on the forge. ``points`` asks the doctor as somebody."""

    def __init__(self, kit: Kit, toy: Path) -> None:
        self.kit, self.toy = kit, toy
        repo, self.ada, _, _ = seeded(kit, writers=("olga", "rita", "gitml-bot[bot]"))
        write(toy, {"policy.yaml": POLICY})
        git(toy, "remote", "add", "origin", kit.remote(repo, "ada"))
        assert gitml(toy, "ci", "render").code == 0

    def points(self, *words: str, token: str = "ada") -> dict[str, dict[str, str]]:
        env = {"GITHUB_TOKEN": self.kit.token[token], "GH_TOKEN": ""}
        ran = gitml(self.toy, "doctor", "--json", *words, env=env)
        assert ran.code in (0, 1, 3), ran.err
        return {p["point"]: p for p in json.loads(ran.out)}

    def mark(self, point: str, *words: str, **how: Any) -> str:
        return self.points(*words, **how)[point]["mark"]


@pytest.fixture
def place(kit: Kit, toy: Path) -> Place:
    return Place(kit, toy)


def secret(api: Api, where: str, name: str = "GITML_SIGNING_KEY") -> None:
    path = f"/api/v3/repos/{api.repo}/{where}/secrets/{name}"
    response = api.http.put(path, headers=api.headers, json={"value": "x"})
    assert response.status_code in (201, 204), response.text


@pytest.mark.nightly
def test_from_no_guards_to_all_that_can_be_set_and_the_rest_is_said(place: Place) -> None:
    found = place.points()
    assert {p: found[p]["mark"] for p in (GATE, "environment gitml", "signing key", "keys", "bot", "owners")} == {
        GATE: "missing",
        "environment gitml": "missing",
        "signing key": "missing",
        "keys": "missing",
        "bot": "missing",
        "owners": "ok",
    }
    assert found["ledger gitml-ledger"]["mark"] == "unknown"
    assert found["people"] == {"point": "people", "mark": "ok", "what": found["people"]["what"], "todo": ""}
    place.ada.branch("gitml-ledger")
    ran = gitml(place.toy, "doctor", "--fix", env={"GITHUB_TOKEN": place.kit.token["ada"]})
    assert ran.out.count("fixed") == 4, ran.out
    found = place.points("--fix")
    assert "fixed" not in found, "twice is as once"
    marks = {p: found[p]["mark"] for p in (GATE, "environment gitml", "bot", "ledger gitml-ledger", "signing key")}
    assert marks == {**dict.fromkeys(marks, "ok"), "signing key": "missing"}
    assert "gitml evidence keygen" in found["signing key"]["todo"]
    secret(place.ada, "environments/gitml")
    write(place.toy, {"policy.yaml": POLICY + keys()})
    found = place.points()
    assert (found["signing key"]["mark"], found["keys"]["mark"]) == ("ok", "ok")


@pytest.mark.nightly
def test_what_is_asked_already_is_kept(place: Place) -> None:
    place.ada.protect(required_status_checks={"strict": True, "contexts": ["ours"]})
    place.points("--fix")
    rule = place.ada.get("branches/main/protection")
    assert set(rule["required_status_checks"]["contexts"]) == {"ours", "gitml/train", "gitml/gate"}
    assert rule["required_status_checks"]["strict"] is True


def test_each_gap_in_the_rules_is_named(place: Place) -> None:
    reviews = {
        "required_approving_review_count": 1,
        "require_code_owner_reviews": True,
        "dismiss_stale_reviews": True,
        "require_last_push_approval": True,
    }
    good: dict[str, Any] = {
        "required_status_checks": {"strict": False, "contexts": ["gitml/train", "gitml/gate"]},
        "required_pull_request_reviews": reviews,
        "enforce_admins": True,
        "restrictions": None,
    }
    place.ada.put("branches/main/protection", **good)
    assert place.mark(GATE) == "ok"
    few = {"required_pull_request_reviews": {"required_approving_review_count": 1}}
    for loosened, said in (
        ({"enforce_admins": False}, ["administrators"]),
        ({"allow_force_pushes": True}, ["rewritten"]),
        ({"required_status_checks": {"strict": False, "contexts": ["gitml/train"]}}, ["the status gitml/gate"]),
        (few, ["a review of code owners", "a push dismisses approvals", "somebody else than the last who pushed"]),
        ({"required_pull_request_reviews": None}, ["a pull request for every change", "an approval"]),
    ):
        place.ada.put("branches/main/protection", **{**good, **loosened})
        found = place.points()[GATE]
        assert found["mark"] == "missing"
        assert [word for word in said if word not in found["what"]] == []


@pytest.mark.nightly
def test_the_status_is_pinned_to_the_jobs_app_once_the_gate_has_run(place: Place) -> None:
    source = "source of the status"
    found = place.points("--fix")[source]
    assert (found["mark"], "anybody" in found["what"], "--fix" in found["todo"]) == ("unknown", True, True)
    sha = place.ada.tip("main")
    api(place.kit, place.ada.repo, "gitml-bot[bot]").status(sha, context="gitml/gate")
    found = place.points("--fix")
    assert found["fixed"]["what"] == "main asks for what the policy needs"
    assert (found[source]["mark"], "only the jobs' app" in found[source]["what"]) == ("ok", True)
    place.ada.status(sha, context="gitml/gate")
    assert "fixed" not in place.points("--fix"), "whoever posts it afterwards"


@pytest.mark.nightly
def test_a_key_that_branches_could_read_is_no_secret(place: Place) -> None:
    place.points("--fix")
    secret(place.ada, "environments/gitml")
    assert place.mark("signing key") == "ok"
    secret(place.ada, "actions")
    found = place.points()["signing key"]
    assert (found["mark"], "any branch reads it" in found["what"]) == ("missing", True)


@pytest.mark.nightly
def test_an_environment_for_others_too(place: Place) -> None:
    place.ada.put("environments/gitml")
    found = place.points()["environment gitml"]
    assert (found["mark"], "every branch" in found["what"]) == ("missing", True)
    place.points("--fix")
    path = f"/api/v3/repos/{place.ada.repo}/environments/gitml/deployment-branch-policies"
    assert place.ada.http.post(path, headers=place.ada.headers, json={"name": "feature/*"}).status_code == 200
    found = place.points("--fix")["environment gitml"]
    assert (found["mark"], "feature/* may use it" in found["what"]) == ("missing", True)
    assert "remove all but main" in found["todo"], "what is there is taken away by people"


@pytest.mark.nightly
def test_keys_that_end_soon_or_may_not_sign_everything(place: Place) -> None:
    write(place.toy, {"policy.yaml": POLICY + keys("gate, approved")})
    found = place.points()["keys"]
    assert (found["mark"], "promoted" in found["what"], "gate" in found["what"]) == ("missing", True, False)
    asks = POLICY.replace("risk: 1}}", "risk: 1}, gates: {drift: 8d}}")
    write(place.toy, {"policy.yaml": asks + keys()})
    assert place.points()["keys"]["what"] == "policy.yaml trusts no key to sign: look"
    write(place.toy, {"policy.yaml": POLICY + keys(more=", until: 2026-12-01")})
    assert place.points()["keys"]["mark"] in ("unknown", "missing"), "missing once that day is over"


@pytest.mark.nightly
def test_people_who_are_not_there_or_are_others_or_may_not_write(place: Place) -> None:
    text = POLICY.replace("[olga]", "[{login: olga, id: 99999}, nobody-here]").replace("[rita]", "[eve]")
    write(place.toy, {"policy.yaml": text})
    what = place.points()["people"]["what"]
    for said in ("another person", "nobody-here is not there", "eve may not write"):
        assert said in what


def test_lines_after_the_block_and_a_missing_block(place: Place) -> None:
    path = place.toy / ".github/CODEOWNERS"
    path.write_text(path.read_text() + "* @everybody\n")
    assert place.mark("owners") == "unknown"
    path.unlink()
    assert place.mark("owners") == "missing"


@pytest.mark.nightly
def test_who_may_not_administrate_learns_what_can_be_seen_and_fixes_nothing(place: Place) -> None:
    found = place.points("--fix", token="olga")
    assert found["not fixed"]["mark"] == "missing"
    assert found["environment gitml"]["mark"] in ("unknown", "missing")
    assert place.ada.call("GET", "branches/main/protection").status_code == 404


@pytest.mark.nightly
def test_another_default_branch_than_the_workflows_listen_to(place: Place) -> None:
    text = (place.toy / "gitml.yaml").read_text()
    write(place.toy, {"gitml.yaml": f"{text}ci: {{branch: trunk}}\n"})
    found = place.points()["default branch"]
    assert (found["mark"], found["todo"]) == ("missing", "ci: {branch: main} in gitml.yaml; gitml ci render")


def test_without_a_policy_there_is_nothing_to_fix(place: Place) -> None:
    (place.toy / "policy.yaml").unlink()
    ran = gitml(place.toy, "doctor", "--fix", env={"GITHUB_TOKEN": place.kit.token["ada"]})
    assert (ran.code, "nothing to set" in ran.out + ran.err) == (1, True)


def test_keys_that_another_ci_system_holds_are_not_looked_for_on_the_forge(place: Place) -> None:
    text = (place.toy / "gitml.yaml").read_text()
    write(place.toy, {"gitml.yaml": f"{text}ci: {{system: jenkins}}\n"})
    found = place.points()
    assert "environment" not in found
    assert "signing key" not in found
    assert found["keys of jobs"]["mark"] == "unknown"
    assert "trust: {branch_runs: reproduce}" in found["branch runs"]["todo"]
    write(place.toy, {"policy.yaml": f"{POLICY}trust: {{branch_runs: reproduce}}\n"})
    assert "branch runs" not in place.points()
