"""JSON of runs, jobs, workflows, Environments and artifacts, in GitHub's shapes."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from gitml_sandbox.errors import RefError
from gitml_sandbox.forge import repos, users
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.environments import Environment
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial.people import JSON

_JOB_STATUS = {"planned": "queued"}


def run(view: View, repo: Repo, row: sqlite3.Row, *, whole: bool = True) -> JSON:
    """workflow-run. `whole` False leaves out the head commit, which costs a call of git."""
    api, web = people_json.repo_api(view, repo), people_json.repo_web(view, repo)
    url = f"{api}/actions/runs/{row['id']}"
    actor = people_json.user(view, users.by_id(view.tx, row["actor_id"]))
    return {
        "id": row["id"],
        "node_id": people_json.node_id("WorkflowRun", row["id"]),
        "name": row["workflow_name"],
        "head_branch": row["head_branch"],
        "head_sha": row["head_sha"],
        "path": row["path"],
        "display_title": row["title"],
        "run_number": row["run_number"],
        "run_attempt": row["attempt"],
        "event": row["event"],
        "status": row["status"],
        "conclusion": row["conclusion"],
        "workflow_id": row["workflow_id"],
        "check_suite_id": row["id"],
        "check_suite_node_id": people_json.node_id("CheckSuite", row["id"]),
        "check_suite_url": f"{api}/check-suites/{row['id']}",
        "url": url,
        "html_url": f"{web}/actions/runs/{row['id']}",
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "workflow_url": f"{api}/actions/workflows/{row['workflow_id']}",
        "previous_attempt_url": f"{url}/attempts/{row['attempt'] - 1}" if row["attempt"] > 1 else None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "run_started_at": row["started_at"],
        "actor": actor,
        "triggering_actor": actor,
        "pull_requests": _pulls(view, repo, row),
        "referenced_workflows": [],
        "head_commit": head_commit(view, repo, row["head_sha"]) if whole else None,
        "repository": people_json.repository(view, repo),
        **_head_repository(view, repo, row),
    }


def _head_repository(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """Where the commit of the run comes from: a fork, which may be gone by now, or the repository itself."""
    if not row["fork"]:
        return {"head_repository": people_json.repository(view, repo), "head_repository_id": repo.id}
    head = json.loads(row["payload"])["pull_request"]["head"]["repo"]
    try:
        home = repos.by_id(view.tx, head["id"] if head else 0)
    except RefError:
        return {"head_repository": None, "head_repository_id": None}
    return {"head_repository": people_json.repository(view, home), "head_repository_id": home.id}


def _pulls(view: View, repo: Repo, row: sqlite3.Row) -> list[JSON]:
    # GitHub leaves the list empty for pull requests from forks.
    pull = json.loads(row["payload"]).get("pull_request")
    if row["fork"] or not isinstance(pull, dict) or "head" not in pull:
        return []
    short = {"id": repo.id, "url": people_json.repo_api(view, repo), "name": repo.name}
    sides = {s: {"ref": pull[s]["ref"], "sha": pull[s]["sha"], "repo": short} for s in ("head", "base")}
    url = f"{people_json.repo_api(view, repo)}/pulls/{pull['number']}"
    return [{"id": pull["id"], "number": pull["number"], "url": url, **sides}]


def head_commit(view: View, repo: Repo, sha: str) -> JSON | None:
    """nullable-simple-commit."""
    path = repos.path(view.sandbox, repo)
    form = "%H%x00%T%x00%cI%x00%an%x00%ae%x00%cn%x00%ce%x00%B"
    done = gitrepo.git(path, "show", "-s", f"--format={form}", sha, check=False)
    if done.returncode != 0:
        return None
    commit, tree, when, *people, message = done.stdout.decode(errors="replace").split("\0", 7)
    return {
        "id": commit,
        "tree_id": tree,
        "message": message.strip(),
        "timestamp": when,
        "author": {"name": people[0], "email": people[1]},
        "committer": {"name": people[2], "email": people[3]},
    }


def job(view: View, repo: Repo, run_row: sqlite3.Row, row: sqlite3.Row) -> JSON:
    """job."""
    api, web = people_json.repo_api(view, repo), people_json.repo_web(view, repo)
    return {
        "id": row["id"],
        "node_id": people_json.node_id("CheckRun", row["id"]),
        "run_id": run_row["id"],
        "run_url": f"{api}/actions/runs/{run_row['id']}",
        "run_attempt": row["attempt"],
        "workflow_name": run_row["workflow_name"],
        "head_branch": run_row["head_branch"],
        "head_sha": run_row["head_sha"],
        "name": row["name"],
        "status": _JOB_STATUS.get(row["status"], row["status"]),
        "conclusion": row["conclusion"],
        "created_at": row["created_at"],
        "started_at": row["started_at"] or row["created_at"],
        "completed_at": row["completed_at"],
        "labels": json.loads(row["labels"]),
        "runner_id": 1 if row["runner"] else None,
        "runner_name": row["runner"] or None,
        "runner_group_id": 1 if row["runner"] else None,
        "runner_group_name": "sandbox" if row["runner"] else None,
        "steps": json.loads(row["steps"]),
        "url": f"{api}/actions/jobs/{row['id']}",
        "html_url": f"{web}/actions/runs/{run_row['id']}/job/{row['id']}",
        "check_run_url": f"{api}/check-suites/{run_row['id']}/check-runs/{row['id']}",
    }


def check_suite(view: View, repo: Repo, row: sqlite3.Row, jobs: int) -> JSON:
    """check-suite: a run is one, under the same id."""
    url = f"{people_json.repo_api(view, repo)}/check-suites/{row['id']}"
    return {
        "id": row["id"],
        "node_id": people_json.node_id("CheckSuite", row["id"]),
        "head_branch": row["head_branch"],
        "head_sha": row["head_sha"],
        "status": row["status"],
        "conclusion": row["conclusion"],
        "url": url,
        "before": None,
        "after": row["head_sha"],
        "pull_requests": _pulls(view, repo, row),
        "app": _app(view),
        "repository": people_json.repository(view, repo),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "head_commit": head_commit(view, repo, row["head_sha"]),
        "latest_check_runs_count": jobs,
        "check_runs_url": f"{url}/check-runs",
    }


def job_check(view: View, repo: Repo, run_row: sqlite3.Row, row: sqlite3.Row) -> JSON:
    """check-run of a job. Jobs and the check runs of apps count apart, so its address is not a bare number."""
    shown = job(view, repo, run_row, row)
    url = shown["check_run_url"]
    kept = ("id", "node_id", "head_sha", "name", "html_url", "status", "conclusion", "started_at", "completed_at")
    output = {"title": None, "summary": None, "text": None, "annotations_count": 0}
    return {
        **{name: shown[name] for name in kept},
        "external_id": "",
        "url": url,
        "details_url": shown["html_url"],
        "output": {**output, "annotations_url": f"{url}/annotations"},
        "check_suite": {"id": run_row["id"]},
        "app": _app(view),
        "pull_requests": _pulls(view, repo, run_row),
    }


def _app(view: View) -> JSON | None:
    """The app that jobs act as; it is there since the first job ran."""
    bot = users.find(view.tx, "github-actions[bot]")
    return people_json.app(view, bot) if bot else None


def workflow(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """workflow."""
    web = people_json.repo_web(view, repo)
    return {
        "id": row["id"],
        "node_id": people_json.node_id("Workflow", row["id"]),
        "name": row["name"],
        "path": row["path"],
        "state": "active",
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "url": f"{people_json.repo_api(view, repo)}/actions/workflows/{row['id']}",
        "html_url": f"{web}/blob/{repo.default_branch}/{row['path']}",
        "badge_url": f"{web}/actions/workflows/{row['path'].rsplit('/', 1)[-1]}/badge.svg",
    }


def environment(view: View, repo: Repo, row: Environment) -> JSON:
    """environment."""
    rules: list[JSON] = []
    if row.wait_minutes:
        rules.append(_rule(row, "wait_timer", wait_timer=row.wait_minutes))
    if row.reviewers:
        people = [{"type": "User", "reviewer": people_json.user_id(view, u)} for u in row.reviewers]
        rules.append(_rule(row, "required_reviewers", prevent_self_review=row.prevent_self_review, reviewers=people))
    policy = None
    if row.protected_branches or row.branches is not None:
        rules.append(_rule(row, "branch_policy"))
        own = row.branches is not None and not row.protected_branches
        policy = {"protected_branches": row.protected_branches, "custom_branch_policies": own}
    return {
        "id": row.id,
        "node_id": people_json.node_id("Environment", row.id),
        "name": row.name,
        "url": f"{people_json.repo_api(view, repo)}/environments/{row.name}",
        "html_url": f"{people_json.repo_web(view, repo)}/deployments/activity_log?environments_filter={row.name}",
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "protection_rules": rules,
        "deployment_branch_policy": policy,
    }


def _rule(row: Environment, kind: str, **more: Any) -> JSON:
    return {"id": row.id, "node_id": people_json.node_id(f"Gate:{kind}", row.id), "type": kind, **more}


def artifact(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    """artifact."""
    url = f"{people_json.repo_api(view, repo)}/actions/artifacts/{row['id']}"
    return {
        "id": row["id"],
        "node_id": people_json.node_id("Artifact", row["id"]),
        "name": row["name"],
        "size_in_bytes": row["size"],
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": False,
        "digest": f"sha256:{row['digest']}",
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "expires_at": row["expires_at"],
        "workflow_run": {"id": row["run_id"], "repository_id": repo.id, "head_repository_id": repo.id},
    }


def workflow_run_event(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, row: sqlite3.Row, action: str) -> JSON:
    """The payload of a workflow_run event."""
    view = View(sandbox, tx)
    workflow_row = tx.execute("SELECT * FROM workflows WHERE id = ?", (row["workflow_id"],)).fetchone()
    return {
        "action": action,
        "workflow": workflow(view, repo, workflow_row),
        "workflow_run": run(view, repo, row),
        "repository": people_json.repository(view, repo),
        "sender": people_json.user(view, users.by_id(tx, row["actor_id"])),
    }
