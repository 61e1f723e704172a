"""Each rule of a protected branch, and an attempt to get around it: through the API and through git push."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitml_sandbox.forge import repos, tokens, users
from sandbox.forge_kit import Kit, commit, git
from sandbox.rest_kit import Api, api, seeded

STRICT = {"required_approving_review_count": 1, "dismiss_stale_reviews": True}


def reason(client: Api, number: int, expect: int = 405, **body: Any) -> str:
    return str(client.merge(number, expect=expect, **body)["message"])


def rewrite(client: Api, pull: Any, text: str) -> str:
    """Push another version of the pull request's file, as the caller."""
    branch = pull["head"]["ref"]
    sha = client.get(f"contents/{branch}.txt", ref=branch)["sha"]
    return client.write(f"{branch}.txt", text, branch, sha=sha)


def push_to_main(kit: Kit, client: Api, tmp_path: Path, *, login: str, branch: str) -> str:
    """What git says when somebody pushes the pull request's head to main directly. It must be refused."""
    with kit.sandbox.store.read() as tx:
        repo = repos.get(tx, client.repo)
    clone = kit.clone(repo, tmp_path / f"{login}-{branch}", login)
    return git(clone, "push", "origin", f"origin/{branch}:main", ok=False)


def test_nobody_approves_their_own(kit: Kit, tmp_path: Path) -> None:
    _, ada, _, _ = seeded(kit)
    ada.protect()
    pull = ada.pull()
    for event in ("APPROVE", "REQUEST_CHANGES"):
        said = ada.review(pull["number"], event, expect=422)
        assert "your own pull request" in said["errors"][0]
    ada.review(pull["number"], "COMMENT")
    assert "At least 1 approving review" in reason(ada, pull["number"])
    assert "Changes must be made through a pull request" in push_to_main(
        kit, ada, tmp_path, login="ada", branch="feature"
    )


def test_an_approval_is_for_one_commit(kit: Kit) -> None:
    _, ada, olga, _ = seeded(kit)
    ada.protect(required_pull_request_reviews=STRICT)
    pull = ada.pull()
    old = pull["head"]["sha"]
    rewrite(ada, pull, "worse\n")
    said = olga.review(pull["number"], commit_id=old)
    assert said["commit_id"] == old
    assert "At least 1 approving review" in reason(ada, pull["number"])
    olga.review(pull["number"], commit_id=ada.tip("main"), expect=200)
    assert "At least 1 approving review" in reason(ada, pull["number"])
    olga.review(pull["number"], commit_id="0" * 40, expect=422)
    olga.review(pull["number"])
    ada.merge(pull["number"])


def test_a_push_makes_an_approval_stale(kit: Kit, tmp_path: Path) -> None:
    repo, ada, olga, _ = seeded(kit)
    ada.protect(required_pull_request_reviews=STRICT)
    pull = ada.pull()
    olga.review(pull["number"])
    clone = kit.clone(repo, tmp_path / "c", "ada")
    git(clone, "checkout", "-q", "feature")
    commit(clone, "sneaked.txt", "in")
    git(clone, "push", "-q", "origin", "feature")
    assert [r["state"] for r in ada.get(f"pulls/{pull['number']}/reviews")] == ["DISMISSED"]
    assert "At least 1 approving review" in reason(ada, pull["number"])
    assert "pull_request_review" in kit.events(repo)[-2:]


def test_merging_the_base_in_keeps_the_approval(kit: Kit, tmp_path: Path) -> None:
    repo, ada, olga, _ = seeded(kit)
    pull = ada.pull()
    olga.review(pull["number"])
    ada.write("elsewhere.txt", "x", "main")
    ada.protect(required_pull_request_reviews={**STRICT, "require_last_push_approval": True})
    clone = kit.clone(repo, tmp_path / "c", "olga")
    git(clone, "checkout", "-q", "feature")
    git(clone, "merge", "-q", "-m", "merge", "origin/main")
    git(clone, "push", "-q", "origin", "feature")
    assert [r["state"] for r in ada.get(f"pulls/{pull['number']}/reviews")] == ["APPROVED"]
    ada.merge(pull["number"])


def test_a_required_status_is_missing_or_red(kit: Kit, tmp_path: Path) -> None:
    _, ada, _, _ = seeded(kit)
    checks = {"strict": False, "contexts": ["ci", "gate"]}
    ada.protect(required_status_checks=checks, required_pull_request_reviews=None)
    pull = ada.pull()
    number, head = pull["number"], pull["head"]["sha"]
    assert pull["mergeable_state"] == "blocked"
    said = reason(ada, number)
    assert '"ci" is expected' in said
    assert '"gate" is expected' in said
    ada.status(head, "ci")
    ada.status(head, "gate", "failure")
    assert reason(ada, number) == 'Required status check "gate" is failing.'
    said = push_to_main(kit, ada, tmp_path, login="ada", branch="feature")
    assert 'Required status check "gate" is failing.' in said
    ada.status(ada.tip("main"), "gate")
    assert "failing" in reason(ada, number), "a status of another commit says nothing"
    ada.status(head, "gate")
    assert ada.get(f"pulls/{number}")["mergeable_state"] == "clean"
    ada.merge(number)


def test_a_status_of_the_wrong_source(kit: Kit) -> None:
    repo, ada, olga, _ = seeded(kit)
    bot = api(kit, repo, "gitml-bot[bot]")
    ada.put("collaborators/gitml-bot[bot]", expect=201, permission="push")
    wanted = {"strict": False, "checks": [{"context": "gate", "app_id": kit.user("gitml-bot[bot]").id}]}
    ada.protect(required_status_checks=wanted, required_pull_request_reviews=None)
    pull = ada.pull()
    olga.status(pull["head"]["sha"], "gate")
    assert '"gate" is expected' in reason(ada, pull["number"])
    said = olga.post("check-runs", expect=403, name="gate", head_sha=pull["head"]["sha"], conclusion="success")
    assert "GitHub App" in said["message"]
    bot.status(pull["head"]["sha"], "gate", "failure")
    olga.status(pull["head"]["sha"], "gate")
    assert '"gate" is failing' in reason(ada, pull["number"])
    bot.status(pull["head"]["sha"], "gate")
    ada.merge(pull["number"])


def test_a_moved_head_or_base(kit: Kit) -> None:
    _, ada, olga, _ = seeded(kit)
    pull = ada.pull()
    seen = pull["head"]["sha"]
    olga.review(pull["number"])
    rewrite(ada, pull, "other\n")
    assert "Head branch was modified" in reason(ada, pull["number"], expect=409, sha=seen)
    assert not ada.get(f"pulls/{pull['number']}")["merged"]
    ada.merge(pull["number"], sha=ada.tip("feature"))
    reason(ada, pull["number"])


def test_strict_wants_the_base_in(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    ada.protect(
        required_status_checks={"strict": True, "contexts": ["ci"]},
        required_pull_request_reviews=None,
        enforce_admins=False,
    )
    pull = ada.pull()
    ada.write("elsewhere.txt", "x", "main")
    ada.protect(required_status_checks={"strict": True, "contexts": ["ci"]}, required_pull_request_reviews=None)
    ada.status(pull["head"]["sha"])
    assert reason(ada, pull["number"]) == "The head branch is not up to date with the base branch"
    assert ada.get(f"pulls/{pull['number']}")["mergeable_state"] == "behind"


def test_code_owners_come_from_the_base(kit: Kit) -> None:
    _, ada, olga, rita = seeded(kit)
    ada.write(".github/CODEOWNERS", "/policy.yaml @rita\n/.github/ @rita\n")
    ada.protect(
        required_pull_request_reviews={"required_approving_review_count": 1, "require_code_owner_reviews": True}
    )
    ada.branch("grab")
    sha = ada.get("contents/.github/CODEOWNERS")["sha"]
    ada.write("policy.yaml", "gates: none\n", "grab")
    ada.write(".github/CODEOWNERS", "* @olga\n", "grab", sha=sha)
    pull = ada.post("pulls", title="Take over", head="grab", base="main")
    assert [u["login"] for u in ada.get(f"pulls/{pull['number']}/requested_reviewers")["users"]] == ["rita"]
    olga.review(pull["number"])
    said = reason(ada, pull["number"])
    assert "Waiting on code owner review from @rita" in said
    rita.review(pull["number"])
    ada.merge(pull["number"])


def test_an_owner_who_may_not_write_owns_nothing(kit: Kit) -> None:
    repo, ada, olga, _ = seeded(kit)
    ada.write("CODEOWNERS", "* @eve\n")
    ada.protect(
        required_pull_request_reviews={"required_approving_review_count": 1, "require_code_owner_reviews": True}
    )
    pull = ada.pull()
    olga.review(pull["number"])
    api(kit, repo, "eve").review(pull["number"])
    assert "Waiting on code owner review from @eve" in reason(ada, pull["number"])


def test_the_last_pusher_does_not_approve(kit: Kit) -> None:
    _, ada, olga, rita = seeded(kit)
    ada.protect(
        required_pull_request_reviews={"required_approving_review_count": 1, "require_last_push_approval": True}
    )
    pull = ada.pull()
    rewrite(olga, pull, "by olga\n")
    olga.review(pull["number"])
    assert "someone other than the last pusher" in reason(ada, pull["number"])
    rita.review(pull["number"])
    ada.merge(pull["number"])


def test_a_stranger_counts_for_nothing_and_merges_nothing(kit: Kit) -> None:
    repo, ada, olga, _ = seeded(kit)
    ada.protect()
    pull = ada.pull()
    eve, nobody = api(kit, repo, "eve"), api(kit, repo, None)
    eve.review(pull["number"])
    assert "At least 1 approving review" in reason(ada, pull["number"])
    assert "push access" in reason(eve, pull["number"], expect=403)
    nobody.call("PUT", f"pulls/{pull['number']}/merge", expect=401, json={})
    nobody.call("POST", f"pulls/{pull['number']}/reviews", expect=401, json={"event": "APPROVE"})
    eve.call("DELETE", "branches/main/protection", expect=403)
    olga.call("DELETE", "branches/main/protection", expect=403)
    olga.call("PUT", "collaborators/eve", expect=403, json={"permission": "admin"})


def test_changes_requested_stay_until_taken_back(kit: Kit) -> None:
    _, ada, olga, rita = seeded(kit)
    ada.protect()
    pull = ada.pull()
    rita.review(pull["number"], "REQUEST_CHANGES")
    olga.review(pull["number"])
    assert "Changes have been requested" in reason(ada, pull["number"])
    rita.review(pull["number"], "COMMENT")
    assert "Changes have been requested" in reason(ada, pull["number"])
    rita.review(pull["number"])
    ada.merge(pull["number"])


def test_an_admin_passes_only_where_allowed(kit: Kit, tmp_path: Path) -> None:
    repo, ada, olga, _ = seeded(kit)
    ada.protect(enforce_admins=True)
    pull = ada.pull()
    reason(ada, pull["number"])
    reason(olga, pull["number"])
    with kit.sandbox.store.write() as tx:
        limits = {"contents": "write", "pull-requests": "write"}
        job = tokens.mint(tx, user_id=users.get(tx, "ada").id, kind="job", repo_id=repo.id, permissions=limits)
    ada.protect(enforce_admins=False)
    reason(olga, pull["number"])
    reason(api(kit, repo, job), pull["number"])
    ada.merge(pull["number"])


def test_the_api_writes_no_protected_branch(kit: Kit) -> None:
    _, ada, olga, _ = seeded(kit)
    ada.protect()
    body = {"message": "m", "content": "", "branch": "main"}
    said = olga.call("PUT", "contents/x.txt", expect=409, json=body).json()["message"]
    assert "Changes must be made through a pull request" in said
    pull = ada.pull()
    move = {"sha": pull["head"]["sha"], "force": True}
    assert "protected" in olga.call("PATCH", "git/refs/heads/main", expect=422, json=move).json()["message"].lower()
    olga.call("DELETE", "git/refs/heads/main", expect=422)
    olga.call("PATCH", f"git/refs/pull/{pull['number']}/head", expect=422, json=move)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_methods(kit: Kit, method: str) -> None:
    _, ada, _, _ = seeded(kit)
    pull = ada.pull(body="why\n\nmore")
    rewrite(ada, pull, "second\n")
    before = ada.tip("main")
    ada.write("elsewhere.txt", "x", "main")
    sha = ada.merge(pull["number"], merge_method=method)["sha"]
    made = ada.get(f"commits/{sha}")
    expected = {
        "merge": (2, f"Merge pull request #{pull['number']} from ada/feature\n\nAbout feature"),
        "squash": (1, f"About feature (#{pull['number']})\n\n* write feature.txt\n\n* write feature.txt"),
        "rebase": (1, "write feature.txt"),
    }
    assert (len(made["parents"]), made["commit"]["message"]) == expected[method]
    assert ada.tip("main") == sha
    count = len(ada.get(f"compare/{before}...{sha}")["commits"])
    assert count == {"merge": 4, "squash": 2, "rebase": 3}[method]
    assert made["commit"]["author"]["name"] == "ada"


def test_linear_history_and_settings(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    pull = ada.pull()
    ada.protect(required_pull_request_reviews=None, required_linear_history=True)
    assert "Merge commits are not allowed on this branch" in reason(ada, pull["number"])
    ada.http.request(
        "PATCH",
        f"/api/v3/repos/{ada.repo}",
        headers=ada.headers,
        json={"allow_squash_merge": False, "delete_branch_on_merge": True},
    )
    assert reason(ada, pull["number"], merge_method="squash") == "Squash merges are not allowed on this repository."
    ada.merge(pull["number"], merge_method="rebase")
    ada.call("GET", "branches/feature", expect=404)


def test_texts_of_the_caller(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    pull = ada.pull()
    sha = ada.merge(pull["number"], merge_method="squash", commit_title="Mine", commit_message="Body")["sha"]
    assert ada.get(f"commits/{sha}")["commit"]["message"] == "Mine\n\nBody"


def test_a_pushed_merge_is_noticed(kit: Kit, tmp_path: Path) -> None:
    repo, ada, _, _ = seeded(kit)
    pull = ada.pull()
    clone = kit.clone(repo, tmp_path / "c", "ada")
    git(clone, "push", "-q", "origin", "origin/feature:main")
    found = ada.get(f"pulls/{pull['number']}")
    assert (found["merged"], found["merge_commit_sha"], found["state"]) == (True, pull["head"]["sha"], "closed")


def test_a_deleted_branch_closes_and_a_closed_one_reopens(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    pull = ada.pull()
    path = f"pulls/{pull['number']}"
    assert ada.patch(path, state="closed")["state"] == "closed"
    assert ada.patch(path, state="open")["state"] == "open"
    assert ada.patch(f"issues/{pull['number']}", state="closed")["pull_request"]["merged_at"] is None
    assert ada.get(path)["state"] == "closed"
    assert ada.patch(path, state="open")["mergeable"]
    ada.delete("git/refs/heads/feature")
    assert ada.get(path)["state"] == "closed"
    assert "has been deleted" in ada.patch(path, expect=422, state="open")["errors"][0]["message"]


def test_open_conversations(kit: Kit) -> None:
    _, ada, olga, _ = seeded(kit)
    ada.protect(required_pull_request_reviews=None, required_conversation_resolution=True)
    pull = ada.pull()
    olga.review(pull["number"], "COMMENT", comments=[{"path": "feature.txt", "line": 1, "body": "why?"}])
    assert "1 conversation(s) must be resolved" in reason(ada, pull["number"])
