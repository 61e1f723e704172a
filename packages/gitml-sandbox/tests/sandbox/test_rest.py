"""Every operation of the description, called for real; every answer judged by the description."""

from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from gitml_sandbox.forge import emails, users
from gitml_sandbox.rest import absent as rest_absent
from gitml_sandbox.rest import lists as rest_lists
from gitml_sandbox.rest import meta as rest_meta
from gitml_sandbox.rest import objects as rest_objects
from gitml_sandbox.rest import operations as rest
from gitml_sandbox.rest import review_comments as rest_review_comments
from gitml_sandbox.rest import suites as rest_suites
from gitml_sandbox.rest import teams as rest_teams
from sandbox import description
from sandbox.forge_kit import Kit, git
from sandbox.rest_kit import Api, api, seeded

# The runner's own part of the API.
ACTIONS = ("/actions/", "/environments", "/dispatches")


def described() -> set[tuple[str, str]]:
    return {(m, p) for m, p in description.operations() if not any(word in p for word in ACTIONS)}


def test_every_described_operation_is_in_the_table() -> None:
    ours = {(o.method, o.path) for o in rest.operations()}
    names = {(m, description.template(m, p)) for m, p in ours if description.operation(m, p)}
    assert described() == names
    extra = (rest_absent, rest_lists, rest_meta, rest_objects, rest_review_comments, rest_suites, rest_teams)
    linked = {(o.method, o.path) for group in extra for o in group.OPERATIONS}
    assert {o for o in ours - linked if not description.operation(*o)} == {
        ("PATCH", "/repos/{owner}/{repo}"),
        ("GET", "/repos/{owner}/{repo}/contents"),
        ("GET", "/orgs/{org}/teams/{team_slug}/members"),
        ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/timeline"),
        ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/events"),
        ("GET", "/repos/{owner}/{repo}/labels/{name}"),
        ("GET", "/repos/{owner}/{repo}/statuses/{ref}"),
        ("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}"),
        ("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses/{status_id}"),
        *((method, "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}") for method in ("GET", "PUT")),
        ("DELETE", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}"),
        ("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/events"),
    }


@pytest.fixture(scope="module")
def walked(kit: Kit) -> set[tuple[str, str]]:
    """Walk through all groups as the owner and collect which operations were judged."""
    seen: set[tuple[str, str]] = set()
    repo, _, olga, _ = seeded(kit)
    ada = api(kit, repo, "ada", seen)
    bot = api(kit, repo, "gitml-bot[bot]", seen)
    ada.put("collaborators/gitml-bot[bot]", expect=201, permission="push")
    for walk in (_people, _files, _issues, _pulls, _checks, _protection, _deployments):
        walk(kit, ada, olga, bot)
    return seen


def test_every_operation_answers_as_described(walked: set[tuple[str, str]]) -> None:
    assert described() - walked == set()


def _people(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    assert ada.get("/user")["login"] == "ada"
    assert ada.get("/users/olga")["type"] == "User"
    _emails(ada, olga, bot)
    assert ada.post("/user/repos", name=f"mine-{kit.repo().id}", private=True, auto_init=True)["private"]
    assert ada.repo in [r["full_name"] for r in ada.get("/user/repos", per_page=100)]
    with kit.sandbox.store.write() as tx:
        org = users.add(tx, "acme", type="Organization")
        users.add_member(tx, org.id, kit.user("ada").id, "admin")
    assert ada.post("/orgs/acme/repos", name="theirs")["owner"]["login"] == "acme"
    assert [r["name"] for r in ada.get("/orgs/acme/repos")] == ["theirs"]
    assert ada.get("")["default_branch"] == "main"
    ada.put("collaborators/eve", expect=201, permission="pull")
    ada.put("collaborators/eve", expect=204, permission="triage")
    people = {c["login"]: c["role_name"] for c in ada.get("collaborators")}
    assert people == {"ada": "admin", "olga": "write", "rita": "write", "eve": "triage", "gitml-bot[bot]": "write"}
    assert ada.get("collaborators/eve/permission")["permission"] == "read"


def _emails(ada: Api, olga: Api, bot: Api) -> None:
    def body(*addresses: str) -> dict[str, Any]:
        return {"json": {"emails": addresses}}

    first, second = "ada@home.example", "ada@work.example"
    (made,) = ada.call("POST", "/user/emails", json=[first], expect=201).json()
    assert made == {"email": first, "primary": True, "verified": True, "visibility": "private"}
    (other,) = ada.call("POST", "/user/emails", **body(second), expect=201).json()
    assert (other["primary"], other["visibility"]) == (False, None)
    assert ada.call("POST", "/user/emails", json="ADA@home.example", expect=201).json() == []
    assert [e["email"] for e in ada.get("/user/emails")] == [first, second]
    for wrong in ([first], ["olga"], ["1+ada@users.noreply.localhost"], []):
        olga.call("POST", "/user/emails", **body(*wrong), expect=422)
    olga.call("DELETE", "/user/emails", **body(first), expect=404)
    bot.call("GET", "/user/emails", expect=403)
    ada.call("DELETE", "/user/emails", **body(first), expect=204)
    assert [e["primary"] for e in ada.get("/user/emails")] == [True]
    ada.call("DELETE", "/user/emails", json=second, expect=204)


def _files(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    first = ada.tip("main")
    made = ada.write("src/a b.txt", "ä\n")
    entry = ada.get("contents/src/a b.txt")
    assert b64decode(entry["content"]).decode() == "ä\n"
    ada.write("src/a b.txt", "changed\n", sha=entry["sha"])
    assert [e["name"] for e in ada.get("contents/src")] == ["a b.txt"]
    assert ada.get("readme")["name"] == "README.md"
    ada.branch("topic/deep")
    assert ada.get("branches/topic/deep")["name"] == ada.get("branches/topic%2Fdeep")["name"] == "topic/deep"
    assert [b["name"] for b in ada.get("branches")] == ["main", "topic/deep"]
    ada.patch("git/refs/heads/topic/deep", sha=first, force=True)
    assert [r["ref"] for r in ada.get("git/matching-refs/heads/topic")] == ["refs/heads/topic/deep"]
    compared = ada.get("compare/topic/deep...main")
    assert (compared["status"], compared["ahead_by"], len(compared["files"])) == ("ahead", 2, 1)
    ada.delete("git/refs/heads/topic/deep")
    assert [c["sha"] for c in ada.get("commits", path="src")][1] == made
    assert ada.get(f"commits/{made}")["files"][0]["patch"].endswith("+ä")
    assert {a["activity_type"] for a in ada.get("activity")} == {
        "push",
        "branch_creation",
        "force_push",
        "branch_deletion",
    }
    note = ada.post(f"commits/{made}/comments", body="hm", path="src/a b.txt", position=1)
    assert ada.get(f"commits/{made}/comments")[0]["id"] == note["id"]
    assert (
        ada.patch(f"comments/{note['id']}", body="good")["body"] == ada.get(f"comments/{note['id']}")["body"] == "good"
    )
    ada.delete(f"comments/{note['id']}")
    ada.write("CODEOWNERS", "* @olga\n/src/ @nobody docs@\n")
    kinds = [e["kind"] for e in ada.get("codeowners/errors")["errors"]]
    assert kinds == ["Unknown owner", "Invalid owner"]


def _issues(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    issue = ada.post("issues", title="Late", body="why?", labels=["bug"], assignees=["olga"])
    number = issue["number"]
    assert issue["labels"][0]["name"] == "bug"
    assert issue["assignees"][0]["login"] == "olga"
    assert ada.post("labels", name="Good First", color="00ff00")["color"] == "00ff00"
    assert [x["name"] for x in ada.get("labels")] == ["bug", "Good First"]
    ada.post(f"issues/{number}/labels", expect=200, labels=["good first", "new"])
    assert [x["name"] for x in ada.get(f"issues/{number}/labels")] == ["bug", "Good First", "new"]
    assert [x["name"] for x in ada.delete(f"issues/{number}/labels/new", expect=200)] == ["bug", "Good First"]
    comment = olga.post(f"issues/{number}/comments", body="because")
    assert ada.post(f"issues/{number}/comments", body="so")["user"]["login"] == "ada"
    assert [c["body"] for c in ada.get(f"issues/{number}/comments")] == ["because", "so"]
    assert ada.patch(f"issues/comments/{comment['id']}", body="edited")["body"] == "edited"
    assert ada.get(f"issues/comments/{comment['id']}")["body"] == "edited"
    ada.delete(f"issues/comments/{comment['id']}")
    assert ada.patch(f"issues/{number}", state="closed")["state_reason"] == "completed"
    assert ada.get(f"issues/{number}")["closed_by"]["login"] == "ada"
    assert [i["number"] for i in ada.get("issues", state="closed", labels="bug")] == [number]


def _graphql(ada: Api, olga: Api, node: str) -> None:
    """Drafts change by GraphQL alone, as on GitHub."""

    def ask(api: Api, word: str, node: str) -> dict[str, Any]:
        query = f"mutation($id: ID!) {{ {word}(input: {{pullRequestId: $id}}) {{ pullRequest {{ isDraft }} }} }}"
        body = {"query": query, "variables": {"id": node}}
        found: dict[str, Any] = ada.http.post("/api/graphql", headers=api.headers, json=body).json()
        return found

    def ready(api: Api, node: str) -> dict[str, Any]:
        return ask(api, "markPullRequestReadyForReview", node)

    assert ready(ada, node)["data"]["markPullRequestReadyForReview"]["pullRequest"]["isDraft"] is False
    assert ask(ada, "convertPullRequestToDraft", node)["data"]["convertPullRequestToDraft"]["pullRequest"]["isDraft"]
    assert "errors" not in ready(olga, node)
    for wrong in ("", "x", "UHVsbFJlcXVlc3Q6OTk5OQ", node[:4]):
        assert ready(ada, wrong)["errors"][0]["type"] == "NOT_FOUND"
    assert ask(ada, "addStar", node)["errors"][0]["type"] == "UNDEFINED"
    who = {"query": "query UserCurrent{viewer{login}}"}  # of `gh auth status`
    assert ada.http.post("/api/graphql", headers=ada.headers, json=who).json() == {"data": {"viewer": {"login": "ada"}}}
    assert ada.http.post("/api/graphql", json={"query": "{viewer}"}).status_code == 401
    more = ada.http.post("/api/graphql", headers=ada.headers, json={"query": "query PullRequestList{repository{id}}"})
    assert "`gh api repos/OWNER/REPO/pulls`" in more.json()["errors"][0]["message"]


def _pulls(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    pull = ada.pull("change", draft=True, body="text")
    number, path = pull["number"], f"pulls/{pull['number']}"
    assert (pull["draft"], pull["mergeable_state"], pull["changed_files"], pull["commits"]) == (True, "draft", 1, 1)
    ada.call("PUT", f"{path}/merge", expect=405, json={})
    assert ada.patch(path, draft=False, title="Better")["title"] == "Better"
    assert ada.get(path)["draft"]
    _graphql(ada, olga, pull["node_id"])
    assert [p["number"] for p in ada.get("pulls", head="ada:change", base="main")] == [number]
    assert [u["login"] for u in ada.get(f"{path}/requested_reviewers")["users"]] == ["olga"]
    assert len(ada.post(f"{path}/requested_reviewers", reviewers=["rita"])["requested_reviewers"]) == 2
    assert [f["filename"] for f in ada.get(f"{path}/files")] == ["change.txt"]
    assert [c["sha"] for c in ada.get(f"{path}/commits")] == [pull["head"]["sha"]]
    assert [p["number"] for p in ada.get(f"commits/{pull['head']['sha']}/pulls")] == [number]
    review = olga.review(number)
    assert ada.post(f"{path}/reviews", expect=200, event="COMMENT", body="ok")["state"] == "COMMENTED"
    assert ada.put(f"{path}/reviews/{review['id']}/dismissals", message="stale")["state"] == "DISMISSED"
    assert [r["state"] for r in ada.get(f"{path}/reviews")] == ["DISMISSED", "COMMENTED"]
    # In our slice of the description timelines are not.
    (event,) = ada.http.get(f"/api/v3/repos/{ada.repo}/issues/{number}/timeline", headers=ada.headers).json()
    assert (event["event"], event["actor"]["login"]) == ("review_dismissed", "ada")
    assert event["dismissed_review"] == {
        "state": "approved",
        "review_id": review["id"],
        "dismissal_message": "stale",
    }
    assert ada.call("GET", f"{path}/merge").status_code == 404
    assert ada.merge(number, sha=pull["head"]["sha"])["merged"]
    assert ada.call("GET", f"{path}/merge").status_code == 204


def _checks(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    sha = ada.tip("main")
    ada.status(sha, "ci", "pending")
    ada.status(sha, "ci")
    assert [s["state"] for s in ada.get(f"commits/{sha}/statuses")] == ["success", "pending"]
    assert (ada.get("commits/main/status")["state"], ada.get("commits/main/status")["total_count"]) == ("success", 1)
    run = bot.post("check-runs", name="gate", head_sha=sha, status="in_progress", output={"title": "t", "summary": "s"})
    assert bot.patch(f"check-runs/{run['id']}", conclusion="success")["status"] == "completed"
    assert bot.get(f"check-runs/{run['id']}")["app"]["slug"] == "gitml-bot"
    assert ada.get(f"commits/{sha}/check-runs")["check_runs"][0]["conclusion"] == "success"


def _protection(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    rule = ada.protect(
        required_status_checks={"strict": True, "checks": [{"context": "ci", "app_id": -1}, {"context": "gate"}]},
        required_pull_request_reviews={
            "required_approving_review_count": 2,
            "require_code_owner_reviews": True,
            "dismissal_restrictions": {"users": ["ada"], "teams": []},
            "bypass_pull_request_allowances": {"users": [], "teams": [], "apps": ["gitml-bot"]},
        },
        restrictions={"users": ["ada"], "teams": [], "apps": []},
        required_linear_history=True,
    )
    bot_id = kit.user("gitml-bot[bot]").id
    assert [c["app_id"] for c in rule["required_status_checks"]["checks"]] == [None, bot_id]
    assert ada.get("branches/main/protection")["restrictions"]["users"][0]["login"] == "ada"
    kinds = [r["type"] for r in ada.get("rules/branches/main")]
    assert kinds == [
        "deletion",
        "non_fast_forward",
        "required_linear_history",
        "pull_request",
        "required_status_checks",
    ]
    assert ada.get("rulesets") == []
    assert ada.get("branches", protected="true")[0]["name"] == "main"
    ada.delete("branches/main/protection")
    ada.call("GET", "branches/main/protection", expect=404)


def _deployments(kit: Kit, ada: Api, olga: Api, bot: Api) -> None:
    made = bot.post("deployments", ref="main", environment="staging", payload={"model": "delay"}, required_contexts=[])
    path = f"deployments/{made['id']}/statuses"
    assert bot.post(path, state="success", environment_url="http://127.0.0.1:1/")["state"] == "success"
    newer = bot.post("deployments", ref="main", environment="staging", required_contexts=["ci"])
    bot.post(f"deployments/{newer['id']}/statuses", state="success")
    assert [s["state"] for s in ada.get(path)] == ["inactive", "success"]
    assert [d["id"] for d in ada.get("deployments", environment="staging")] == [newer["id"], made["id"]]
    bot.call("POST", "deployments", expect=409, json={"ref": "main", "required_contexts": ["absent"]})


def test_raw_and_diff_media_types(kit: Kit) -> None:
    _, ada, _, _ = seeded(kit)
    number = ada.pull(text="line\n")["number"]
    raw = {"Accept": "application/vnd.github.raw+json"}
    assert ada.call("GET", "contents/README.md", headers=raw).text == "# hello\n"
    diff = ada.call("GET", f"pulls/{number}", headers={"Accept": "application/vnd.github.v3.diff"})
    assert diff.text.startswith("diff --git a/feature.txt b/feature.txt")
    assert diff.text.endswith("+line\n")
    sha = ada.call("GET", "commits/main", headers={"Accept": "application/vnd.github.sha"}).text
    assert sha == ada.tip("main")


def test_a_fork_brings_a_pull_request(kit: Kit, tmp_path: Path) -> None:
    from gitml_sandbox.forge import repos

    repo, ada, _, _ = seeded(kit)
    fork = repos.create(kit.sandbox, kit.user("eve").id, repo.name, fork_of=repo)
    eve = api(kit, fork, "eve")
    eve.branch("theirs")
    head = eve.write("x.txt", "x", "theirs")
    made = api(kit, repo, "eve").post("pulls", title="From a fork", head="eve:theirs", base="main")
    pull = ada.get(f"pulls/{made['number']}")
    assert (pull["head"]["repo"]["full_name"], pull["mergeable"]) == (fork.full_name, True)
    assert ada.get(f"git/ref/pull/{pull['number']}/head")["object"]["sha"] == head
    newer = eve.write("y.txt", "y", "theirs")
    assert ada.get(f"pulls/{made['number']}")["head"]["sha"] == newer
    assert ada.merge(made["number"], sha=newer)["merged"]
    api(kit, repo, "eve").call("PUT", "contents/z.txt", expect=403, json={"message": "m", "content": ""})


def test_events_in_webhook_format(kit: Kit) -> None:
    import json

    repo, ada, olga, _ = seeded(kit)
    pull = ada.pull()
    olga.review(pull["number"])
    ada.write("feature.txt", "newer\n", "feature", sha=ada.get("contents/feature.txt", ref="feature")["sha"])
    ada.merge(pull["number"])
    with kit.sandbox.store.read() as tx:
        rows = tx.execute("SELECT * FROM events WHERE repo_id = ? ORDER BY id", (repo.id,)).fetchall()
    told = [(r["name"], r["action"]) for r in rows if r["name"] not in ("push", "create")]
    assert told == [
        ("pull_request", "opened"),
        ("pull_request_review", "submitted"),
        ("pull_request", "synchronize"),
        ("pull_request", "closed"),
    ]
    payloads = {(r["name"], r["action"]): json.loads(r["payload"]) for r in rows}
    assert payloads["pull_request_review", "submitted"]["review"]["state"] == "approved"
    closed = payloads["pull_request", "closed"]
    assert closed["pull_request"]["merged"]
    assert closed["sender"]["login"] == "ada"
    names = [r["name"] for r in rows]
    assert names[-2:] == ["push", "pull_request"], "the push and the merge are told together"


def test_a_merged_branch_keeps_refs_and_a_conflict_has_no_merge_ref(kit: Kit, tmp_path: Path) -> None:
    repo, ada, _, _ = seeded(kit)
    one = ada.pull("one")
    remote = kit.remote(repo, "ada")
    assert f"refs/pull/{one['number']}/merge" in git(tmp_path, "ls-remote", remote)
    ada.write("one.txt", "other\n", "main")
    stale = ada.get(f"pulls/{one['number']}")
    assert (stale["mergeable"], stale["mergeable_state"]) == (None, "unknown")
    assert _soon(ada, one["number"])["mergeable_state"] == "dirty"
    refs = git(tmp_path, "ls-remote", remote)
    assert f"refs/pull/{one['number']}/head" in refs
    assert f"refs/pull/{one['number']}/merge" not in refs
    ada.merge(one["number"], expect=405)


def _soon(client: Api, number: int) -> Any:
    """Ask again until GitHub's background work is done."""
    for _ in range(100):
        pull = client.get(f"pulls/{number}")
        if pull["mergeable"] is not None:
            return pull
    raise AssertionError("mergeable stays null")


def test_commits_with_a_linked_address_are_the_accounts(kit: Kit, tmp_path: Path) -> None:
    """Several addresses of one person, also in other letters; unlinked again, nobody's."""
    repo, clone = kit.seeded(tmp_path / "clone")
    olga = api(kit, repo, "olga")
    assert [c["author"] for c in olga.get("commits")] == [None]
    olga.call("POST", "/user/emails", json={"emails": ["ada@example.org", "olga@example.org"]}, expect=201)
    for number, address in enumerate(("Olga@Example.org", "eve@example.org")):
        (clone / "x").write_text(str(number))
        git(clone, "add", "x")
        git(clone, "commit", "-q", "-m", address, env={"GIT_AUTHOR_EMAIL": address})
    git(clone, "push", "-q", "origin", "HEAD:main")
    shown = olga.get("commits")
    assert [(c["author"] or {}).get("login") for c in shown] == [None, "olga", "olga"]
    assert [c["sha"] for c in olga.get("commits", author="olga")] == [c["sha"] for c in shown[1:]]
    with kit.sandbox.store.read() as tx:
        own = f"{kit.user('rita').id}+rita@users.noreply.localhost"
        assert [emails.owner(tx, a) for a in (own, own.replace("rita", "olga"), "")] == [kit.user("rita"), None, None]
    olga.call("DELETE", "/user/emails", json={"emails": ["ada@example.org", "olga@example.org"]}, expect=204)
    assert [c["author"] for c in olga.get("commits")] == [None, None, None]


def test_only_a_merge_through_a_pull_request_is_called_one(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "clone")
    ada = api(kit, repo, "ada")
    first, second = ada.pull("first"), ada.pull("second")
    merged = ada.merge(first["number"])["sha"]
    git(clone, "fetch", "-q", "origin")
    git(clone, "checkout", "-q", "-B", "mine", "origin/main")
    git(clone, "push", "-q", "origin", "HEAD~1:refs/heads/release")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/release")
    git(clone, "merge", "-q", "--no-ff", "-m", "Merge", "origin/second")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert ada.get(f"pulls/{second['number']}")["merged"]
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/release")
    kinds = [(a["ref"].rpartition("/")[2], a["activity_type"]) for a in ada.get("activity")]
    assert kinds[:4] == [("release", "push"), ("main", "push"), ("release", "push"), ("release", "branch_creation")]
    assert [a["after"] for a in ada.get("activity", activity_type="pr_merge")] == [merged]
