"""What jobs may do and see: tokens, secrets, Environments, forks, other jobs, this machine."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from gitml_sandbox.actions import jobstatus
from gitml_sandbox.forge import environments, repos, secrets, tokens, users
from sandbox.forge_kit import commit, git
from sandbox.runner_kit import Works, workflow


def secret(works: Works, name: str, value: str, environment: str = "") -> None:
    sandbox = works.kit.sandbox
    with sandbox.store.write() as tx:
        one = secrets.Secret(works.repo.id, name, value, environment)
        secrets.put(tx, sandbox.root, one, now=sandbox.now())


def environment(works: Works, name: str, branches: list[str] | None) -> None:
    with works.kit.sandbox.store.write() as tx:
        environments.put(tx, repo_id=works.repo.id, name=name, now=works.kit.sandbox.now(), branches=branches)


PUSHES = """
    name: Pushes
    on: {push: {branches: [main]}}
    permissions: {contents: LEVEL}
    jobs:
      a:
        runs-on: ubuntu-latest
        steps:
          - uses: actions/checkout@v4
          - run: |
              git config user.name bot; git config user.email bot@example.org
              echo new > new.txt; git add new.txt; git commit -q -m "from a job"
              git push origin HEAD:refs/heads/made
    """
SIMPLE = "{runs-on: ubuntu-latest, steps: [{run: ls}]}"
WATCH = "on: push\njobs:\n  w: {runs-on: ubuntu-latest, steps: [{run: ls}]}\n"


@pytest.mark.parametrize(("level", "conclusion"), [("write", "success"), ("read", "failure")])
def test_permissions_decide_and_what_a_job_pushes_starts_nothing(works: Works, level: str, conclusion: str) -> None:
    """Row run/job-token."""
    works.push({".github/workflows/pushes.yml": workflow(PUSHES.replace("LEVEL", level))}, branch="side")
    git(works.clone, "push", "-q", works.kit.remote(works.repo, "ada"), "HEAD:refs/heads/main")
    (run,) = works.done()
    job = works.jobs(run)["a"]
    assert job["conclusion"] == conclusion, works.log(job)
    pushed = "refs/heads/made" in works.kit.events(works.repo, "push")
    assert pushed is (level == "write")
    if pushed:
        kinds = works.query(
            "SELECT token_kind FROM events WHERE repo_id = ? AND ref = 'refs/heads/made'", works.repo.id
        )
        assert {k["token_kind"] for k in kinds} == {"job"}
        works.settled()
        assert len(works.runs()) == 1


def test_the_same_push_by_a_person_starts_everything(works: Works) -> None:
    works.push({".github/workflows/watch.yml": WATCH})
    works.done()
    works.push({"x": "1"}, branch="made")
    assert {r["head_branch"] for r in works.done(count=2)} == {"main", "made"}


def test_a_token_ends_with_its_job_and_is_bound_to_its_repository(works: Works) -> None:
    other = works.kit.repo(private=True)
    works.flow(
        f"""
        on: push
        permissions: {{statuses: write}}
        jobs:
          a:
            runs-on: ubuntu-latest
            steps:
              - env: {{T: "${{{{ github.token }}}}"}}
                run: |
                  api() {{ curl -s -o /dev/null -w '%{{http_code}} ' -H "Authorization: Bearer $T" "$@"; }}
                  here=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY
                  api -d '{{"state":"success","context":"mine"}}' $here/statuses/$GITHUB_SHA
                  api -d '{{"title":"x"}}' $here/issues
                  api $GITHUB_API_URL/repos/{other.full_name}
                  echo "$T" | rev > $GITHUB_WORKSPACE/t; echo "token=$(cat t)" >> $GITHUB_OUTPUT
                id: s
            outputs: {{token: "${{{{ steps.s.outputs.token }}}}"}}
        """
    )
    job = works.only()["a"]
    assert "201 403 404" in works.log(job), works.log(job)
    token = works.outputs(job)["token"][::-1]
    assert token.startswith("ghs_")
    assert works.api("GET", "", token=token).status_code == 401


def test_secrets_are_masked_dropped_from_outputs_and_not_in_arguments(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "leaks-from-the-host")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_of_the_host")
    secret(works, "KEY", 's3cr3t-$HOME-"quoted"\nsecond-line')
    works.flow(
        """
        on: push
        jobs:
          a:
            runs-on: ubuntu-latest
            outputs: {bad: "${{ steps.s.outputs.bad }}", good: fine}
            steps:
              - id: s
                name: uses ${{ secrets.KEY }}
                env: {K: "${{ secrets.KEY }}"}
                run: |
                  echo "$K"; echo "one second-line two"; echo "bad=second-line" >> $GITHUB_OUTPUT
                  printf '%s' "$K" | wc -c; env | grep -c HOST || true; env | grep ghp_ || true
                  cat /proc/$PPID/cmdline /proc/[0-9]*/cmdline 2>/dev/null | tr '\\\\0' ' ' | grep -c 's3c[r]3t' || true
                  echo "none:${{ secrets.OTHER }}:"
        """
    )
    job = works.only()["a"]
    log = works.log(job)
    assert "s3cr3t" not in log + job["steps"]
    assert "second-line" not in log
    assert "one *** two" in log
    assert "none::" in log
    lines = [line.split(" ", 1)[1] for line in log.splitlines()]
    assert lines.count("0") == 2, log
    assert str(len('s3cr3t-$HOME-"quoted"\nsecond-line')) in lines
    assert "ghp_" not in log
    assert works.outputs(job) == {"good": "fine"}
    assert "the output bad is dropped" in log


def test_secrets_at_rest_are_sealed(works: Works) -> None:
    secret(works, "SEALED", "find-me-if-you-can")
    root = works.kit.sandbox.root
    files = [p for p in root.glob("sandbox.db*") if p.is_file()]
    assert files
    assert not any(b"find-me-if-you-can" in p.read_bytes() for p in files)
    assert (root / "secrets.key").stat().st_mode & 0o777 == 0o600


ENVIRONMENT = """
    name: Deploys
    on: push
    jobs:
      with: {runs-on: ubuntu-latest, environment: prod, steps: [{run: "test '${{ secrets.KEY }}' = for-prod"}]}
      without: {runs-on: ubuntu-latest, steps: [{run: "test '${{ secrets.KEY }}' = for-all"}]}
    """


def test_an_environment_guards_its_secrets_by_branch(works: Works) -> None:
    """Row run/environment."""
    environment(works, "prod", ["main", "rel/*"])
    secret(works, "KEY", "for-all")
    secret(works, "KEY", "for-prod", "prod")
    works.flow(ENVIRONMENT)
    jobs = works.only()
    assert {n: j["conclusion"] for n, j in jobs.items()} == {"with": "success", "without": "success"}
    works.push({"x": "1"}, branch="topic")
    run = works.done(count=2)[1]
    jobs = works.jobs(run)
    assert (jobs["with"]["conclusion"], jobs["without"]["conclusion"]) == ("failure", "success")
    assert "topic is not allowed to use the environment prod" in jobs["with"]["reason"]
    assert jobs["with"]["runner"] == ""


def test_an_environment_asks_its_reviewers(works: Works) -> None:
    with works.kit.sandbox.store.write() as tx:
        made = environments.put(tx, repo_id=works.repo.id, name="prod", now=works.kit.sandbox.now())
        olga = users.get(tx, "olga").id
        environments.set_review(tx, made, reviewers=[olga], prevent_self=True, minutes=0)
    sha = works.flow(f"name: D\non: push\njobs:\n  a: {SIMPLE.replace('steps', 'environment: prod, steps')}\n")
    works.until(lambda: works.runs() and works.runs()[0]["status"] == "waiting")
    assert "waiting for a reviewer" in works.description(sha, "D / a")
    path = f"/actions/runs/{works.runs()[0]['id']}/pending_deployments"
    body = {"environment_ids": [made.id], "state": "approved", "comment": "go"}
    assert works.api("POST", path, body, token="ada").status_code == 403
    assert works.api("POST", path, body, token="olga").status_code == 200
    assert works.only()["a"]["conclusion"] == "success"


FORK = """
    name: Checks
    on: {pull_request: , pull_request_target: }
    permissions: {contents: write, statuses: write}
    jobs:
      a:
        runs-on: ubuntu-latest
        steps:
          - env: {T: "${{ github.token }}"}
            run: |
              body='{"state":"success","context":"x"}'
              code=$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $T" -d "$body" \\
                $GITHUB_API_URL/repos/$GITHUB_REPOSITORY/statuses/${{ github.event.pull_request.head.sha }})
              echo "$GITHUB_EVENT_NAME status:$code secret:[${{ secrets.KEY != '' }}] ref:$GITHUB_REF"
    """


def test_a_fork_gets_a_token_that_reads_and_no_secrets(works: Works, tmp_path: Path) -> None:
    """Row run/fork."""
    secret(works, "KEY", "precious")
    works.flow(FORK)
    sandbox = works.kit.sandbox
    fork = repos.create(sandbox, works.kit.user("eve").id, f"fork-{works.repo.id}", fork_of=works.repo)
    clone = works.kit.clone(fork, tmp_path / "fork", token="eve")
    git(clone, "checkout", "-q", "-B", "evil")
    commit(clone, "evil.txt", "x")
    git(clone, "push", "-q", "origin", "evil")
    works.pull("evil", head="eve:evil", token="eve")
    runs = {r["event"]: r for r in works.done(count=2)}
    outside = works.log(works.jobs(runs["pull_request"])["a"])
    inside = works.log(works.jobs(runs["pull_request_target"])["a"])
    assert "pull_request status:403 secret:[false] ref:refs/pull/1/merge" in outside
    assert "pull_request_target status:201 secret:[true] ref:refs/heads/main" in inside


def test_a_pull_request_in_conflict_runs_only_the_target_event(works: Works) -> None:
    """Row run/conflict."""
    works.flow(FORK)
    works.push({"same.txt": "one"})
    git(works.clone, "checkout", "-q", "HEAD~1")
    works.push({"same.txt": "two"}, branch="topic")
    works.pull("topic")
    runs = works.done()
    works.settled()
    assert [r["event"] for r in works.runs()] == ["pull_request_target"]
    assert runs[0]["ref"] == "refs/heads/main"


def test_a_status_of_a_workflow_that_paths_skip_stays_pending(works: Works) -> None:
    """Row run/paths-pending."""
    works.flow(f"name: Docs\non: {{pull_request: {{paths: ['docs/**']}}}}\njobs:\n  a: {SIMPLE}\n")
    required = {"strict": False, "contexts": ["Docs / a"]}
    body = {
        "required_status_checks": required,
        "enforce_admins": True,
        "required_pull_request_reviews": None,
        "restrictions": None,
    }
    assert works.api("PUT", "/branches/main/protection", body).status_code == 200
    sha = works.push({"src.py": "x"}, branch="topic")
    number = works.pull("topic")["number"]
    works.settled()
    assert works.runs() == []
    assert works.statuses(sha) == {}
    refused = works.api("PUT", f"/pulls/{number}/merge", {"sha": sha})
    assert refused.status_code == 405
    assert "Docs / a" in refused.text


def test_a_pull_request_by_a_jobs_token_waits_for_approval(works: Works) -> None:
    works.flow("name: P\non: pull_request\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: ls}]}\n")
    works.push({"x": "1"}, branch="topic")
    with works.kit.sandbox.store.write() as tx:
        limits = {"pull-requests": "write", "contents": "read"}
        bot = jobstatus.bot(tx).id
        token = tokens.mint(tx, user_id=bot, kind="job", repo_id=works.repo.id, permissions=limits)
    assert works.api("POST", "/pulls", {"title": "t", "head": "topic", "base": "main"}, token=token).status_code == 403
    switch = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
    assert works.api("PUT", "/actions/permissions/workflow", switch).status_code == 204
    works.pull("topic", token=token)
    (run,) = works.done("pull_request")
    assert run["conclusion"] == "action_required"
    assert works.jobs(run) == {}
    assert works.api("GET", f"/commits/{run['head_sha']}/status").json()["statuses"] == []
    assert works.api("POST", f"/actions/runs/{run['id']}/approve", token="eve").status_code == 403
    assert works.api("POST", f"/actions/runs/{run['id']}/approve").status_code == 201
    works.until(lambda: works.done("pull_request")[0]["conclusion"] == "success")
    assert json.loads(works.runs("pull_request")[0]["payload"])["pull_request"]["user"]["type"] == "Bot"


def test_the_runtime_address_is_for_running_jobs_only(works: Works) -> None:
    for token in ("x", works.kit.token["ada"]):
        answer = httpx.get(f"{works.kit.url}/_runner/artifacts", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
