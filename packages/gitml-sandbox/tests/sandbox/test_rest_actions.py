"""REST of Actions: GitHub's shapes, filters, rights, and secrets that cannot be read back."""

from __future__ import annotations

import io
import zipfile

import httpx
import pytest

from sandbox.runner_kit import Works

FLOW = (
    "name: CI\non: {push: , workflow_dispatch: }\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: 'echo hello'}]}\n"
)


def test_runs_jobs_and_logs(works: Works) -> None:
    sha = works.flow(FLOW)
    (run,) = works.done()
    listed = works.api("GET", "/actions/runs?per_page=1&page=1", checked=True).json()
    assert [r["id"] for r in listed["workflow_runs"]] == [run["id"]]
    one = works.api("GET", f"/actions/runs/{run['id']}", checked=True).json()
    assert (one["conclusion"], one["head_sha"], one["path"]) == ("success", sha, ".github/workflows/ci.yml")
    assert one["head_commit"]["message"] == "change"
    (job,) = works.api("GET", f"/actions/runs/{run['id']}/jobs", checked=True).json()["jobs"]
    assert (job["name"], job["conclusion"], job["labels"]) == ("a", "success", ["ubuntu-latest"])
    assert [s["name"] for s in job["steps"]] == ["Run echo hello"]
    answer = works.api("GET", f"/actions/jobs/{job['id']}/logs", checked=True)
    assert answer.status_code == 302
    assert "Z hello\n" in httpx.get(answer.headers["location"]).text
    assert httpx.get(answer.headers["location"].replace("until=", "until=9")).status_code == 404


def test_the_logs_of_a_run_and_of_an_earlier_attempt(works: Works) -> None:
    works.flow(FLOW.replace("echo hello", "echo attempt $GITHUB_RUN_ATTEMPT"))
    (run,) = works.done()
    url = f"/actions/runs/{run['id']}"
    first = _unpacked(works, f"{url}/logs")
    assert list(first) == ["0_a.txt", "a/1_Run echo attempt $GITHUB_RUN_ATTEMPT.txt"]
    assert all(text.endswith("Z attempt 1\n") for text in first.values())
    assert works.api("POST", f"{url}/rerun").status_code == 201
    works.until(lambda: works.runs()[0]["status"] == "completed" and works.runs()[0]["attempt"] == 2)
    previous = works.api("GET", url).json()["previous_attempt_url"]
    assert previous.endswith(f"{url}/attempts/1")
    before = works.api("GET", f"{url}/attempts/1").json()
    assert (before["run_attempt"], before["conclusion"], before["previous_attempt_url"]) == (1, "success", None)
    assert _unpacked(works, f"{url}/attempts/1/logs") == first
    assert _unpacked(works, f"{url}/logs")["0_a.txt"].endswith("Z attempt 2\n")
    assert works.api("GET", f"{url}/attempts/3").status_code == 404


def _unpacked(works: Works, path: str) -> dict[str, str]:
    answer = works.api("GET", path)
    assert answer.status_code == 302
    place = answer.headers["location"]
    assert httpx.get(place.replace("attempts/", "attempts/9")).status_code == 404
    with zipfile.ZipFile(io.BytesIO(httpx.get(place).content)) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("event=push", 1),
        ("event=schedule", 0),
        ("branch=main", 1),
        ("branch=x", 0),
        ("status=success", 1),
        ("status=completed", 1),
        ("status=failure", 0),
        ("actor=ADA", 1),
        ("actor=eve", 0),
        ("head_sha=0", 0),
    ],
)
def test_filters(works: Works, query: str, count: int) -> None:
    works.flow(FLOW)
    works.done()
    assert works.api("GET", f"/actions/runs?{query}", checked=True).json()["total_count"] == count


def test_workflows_have_ids_before_they_run(works: Works) -> None:
    works.push({".github/workflows/a.yml": FLOW.replace("push: ,", "")})
    (one,) = works.api("GET", "/actions/workflows", checked=True).json()["workflows"]
    assert (one["name"], one["state"]) == ("CI", "active")
    assert (
        works.api("POST", f"/actions/workflows/{one['id']}/dispatches", {"ref": "main"}, checked=True).status_code
        == 204
    )
    assert works.done("workflow_dispatch")[0]["workflow_id"] == one["id"]
    assert works.api("GET", "/actions/workflows/a.yml/runs").json()["total_count"] == 1


def test_environments(works: Works) -> None:
    path = "/environments/prod"
    policy = {"protected_branches": False, "custom_branch_policies": True}
    body = {
        "wait_timer": 5,
        "reviewers": [{"type": "User", "id": works.kit.user("olga").id}],
        "deployment_branch_policy": policy,
    }
    assert works.api("PUT", path, body, token="olga").status_code == 403
    assert works.api("PUT", path, body, checked=True).status_code == 200
    assert works.api("POST", f"{path}/deployment-branch-policies", {"name": "rel/*"}).status_code == 200
    found = works.api("GET", path, checked=True).json()
    assert {r["type"] for r in found["protection_rules"]} == {"wait_timer", "required_reviewers", "branch_policy"}
    works.api("PUT", path, {"deployment_branch_policy": policy}, checked=True)
    assert works.api("GET", f"{path}/deployment-branch-policies").json()["branch_policies"][0]["name"] == "rel/*"
    both = {"deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": True}}
    assert works.api("PUT", path, both, checked=True).status_code == 422
    assert works.api("GET", "/environments", checked=True).json()["total_count"] == 1


def test_secrets_are_written_and_never_read(works: Works) -> None:
    assert works.api("PUT", "/actions/secrets/key", {"value": "hidden-value"}).status_code == 201
    assert works.api("PUT", "/actions/secrets/KEY", {"value": "hidden-value"}).status_code == 204
    assert works.api("PUT", "/actions/secrets/GITHUB_X", {"value": "x"}).status_code == 422
    assert works.api("PUT", "/actions/secrets/other", {"value": "x"}, token="olga").status_code == 403
    answer = works.api("GET", "/actions/secrets", checked=True)
    assert [s["name"] for s in answer.json()["secrets"]] == ["KEY"]
    assert "hidden" not in answer.text
    assert works.api("DELETE", "/actions/secrets/KEY").status_code == 204
    assert works.api("DELETE", "/actions/secrets/KEY").status_code == 404


def test_variables_reach_jobs(works: Works) -> None:
    assert works.api("POST", "/actions/variables", {"name": "where", "value": 'x "$HOME"\ny'}).status_code == 201
    works.flow(
        "on: push\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{env: {V: '${{ vars.WHERE }}'}, run: 'echo \"$V\"'}]}\n"
    )
    assert 'x "$HOME"\n' in works.log(works.only()["a"])


def test_runners_with_their_labels(works: Works) -> None:
    found = {r["name"]: r for r in works.api("GET", "/actions/runners", checked=True).json()["runners"]}
    assert {label["name"] for label in found["g1"]["labels"]} == {"self-hosted", "gpu"}
    assert works.api("GET", "/actions/runners", token="eve").status_code == 403


def test_nobody_sees_runs_of_another_repository(works: Works) -> None:
    works.flow(FLOW)
    (run,) = works.done()
    private = works.kit.repo(private=True)
    url = f"{works.kit.url}/api/v3/repos/{private.full_name}/actions/runs"
    ada = {"Authorization": f"token {works.kit.token['ada']}"}
    assert httpx.get(f"{url}/{run['id']}", headers=ada).status_code == 404
    assert httpx.get(url, headers={"Authorization": f"token {works.kit.token['eve']}"}).status_code == 404
