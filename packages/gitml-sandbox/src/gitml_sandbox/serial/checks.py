"""JSON of statuses, check runs, deployments, branches and their protection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from urllib.parse import quote

from gitml_sandbox.forge import deployments, pulls, rules, users
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.protections import Actors, Protection
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial import pulls as serial_pulls
from gitml_sandbox.serial.people import JSON, node_id, repo_api, repo_web


def simple_status(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    creator = people_json.user(view, users.by_id(view.tx, row["creator_id"]))
    return {
        "id": row["id"],
        "node_id": node_id("Status", row["id"]),
        "url": f"{repo_api(view, repo)}/statuses/{row['sha']}",
        "avatar_url": creator["avatar_url"],
        "state": row["state"],
        "context": row["context"],
        "description": row["description"],
        "target_url": row["target_url"],
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
    }


def status(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    return {**simple_status(view, repo, row), "creator": people_json.user_id(view, row["creator_id"])}


def combined_status(view: View, repo: Repo, sha: str, latest: Sequence[sqlite3.Row]) -> JSON:
    url = f"{repo_api(view, repo)}/commits/{sha}"
    return {
        "sha": sha,
        "state": rules.combined(r["state"] for r in latest),
        "total_count": len(latest),
        "statuses": [simple_status(view, repo, r) for r in latest],
        "repository": people_json.repository(view, repo),
        "commit_url": url,
        "url": f"{url}/status",
    }


def check_run(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    url = f"{repo_api(view, repo)}/check-runs/{row['id']}"
    output = json.loads(row["output"])
    about = [p for p in pulls.listing(view.tx, repo.id) if p.head_sha == row["sha"]]
    return {
        "id": row["id"],
        "node_id": node_id("CheckRun", row["id"]),
        "head_sha": row["sha"],
        "name": row["name"],
        "external_id": row["external_id"],
        "url": url,
        "html_url": f"{repo_web(view, repo)}/runs/{row['id']}",
        "details_url": row["details_url"] or f"{repo_web(view, repo)}/runs/{row['id']}",
        "status": row["status"],
        "conclusion": row["conclusion"],
        "started_at": row["started_at"],
        "completed_at": row["completed_at"],
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(output.get("annotations", [])),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": row["app_id"]},
        "app": people_json.app_id(view, row["app_id"]),
        "pull_requests": [serial_pulls.pull_minimal(view, repo, p) for p in about],
    }


def check_annotations(view: View, repo: Repo, row: sqlite3.Row) -> list[JSON]:
    """check-annotation: as they were given, with the place of the file."""
    given = json.loads(row["output"]).get("annotations", [])
    blob = f"{repo_web(view, repo)}/blob/{row['sha']}"
    return [{**item, "blob_href": f"{blob}/{quote(str(item.get('path', '')))}"} for item in given]


def deployment(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    url = f"{repo_api(view, repo)}/deployments/{row['id']}"
    return {
        "id": row["id"],
        "node_id": node_id("Deployment", row["id"]),
        "url": url,
        "sha": row["sha"],
        "ref": row["ref"],
        "task": row["task"],
        "payload": json.loads(row["payload"]),
        "original_environment": row["environment"],
        "environment": row["environment"],
        "description": row["description"],
        "creator": people_json.user_id(view, row["creator_id"]),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "statuses_url": f"{url}/statuses",
        "repository_url": repo_api(view, repo),
        "transient_environment": bool(row["transient"]),
        "production_environment": bool(row["production"]),
    }


def deployment_status(view: View, repo: Repo, row: sqlite3.Row) -> JSON:
    parent = deployments.get(view.tx, repo.id, row["deployment_id"])
    url = f"{repo_api(view, repo)}/deployments/{parent['id']}"
    log = row["log_url"] or f"{repo_web(view, repo)}/deployments"
    return {
        "id": row["id"],
        "node_id": node_id("DeploymentStatus", row["id"]),
        "url": f"{url}/statuses/{row['id']}",
        "state": row["state"],
        "creator": people_json.user_id(view, row["creator_id"]),
        "description": row["description"],
        "environment": row["environment"],
        "target_url": log,
        "log_url": log,
        **({"environment_url": row["environment_url"]} if row["environment_url"] else {}),
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "deployment_url": url,
        "repository_url": repo_api(view, repo),
    }


def protection_url(view: View, repo: Repo, branch: str) -> str:
    return f"{repo_api(view, repo)}/branches/{quote(branch, safe='')}/protection"


def _actors(view: View, repo: Repo, actors: Actors) -> JSON:
    """People, teams and apps; names that exist no longer are left out."""
    people = [users.find(view.tx, login) for login in actors.users]
    apps = [users.find(view.tx, f"{slug}[bot]") for slug in actors.apps]
    teams = [
        view.tx.execute("SELECT * FROM teams WHERE org_id = ? AND slug = ?", (repo.owner_id, slug)).fetchone()
        for slug in actors.teams
    ]
    return {
        "users": [people_json.user(view, p) for p in people if p],
        "teams": [people_json.team(view, t) for t in teams if t],
        "apps": [people_json.app(view, a) for a in apps if a],
    }


_FLAGS = (
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)


def protection(view: View, repo: Repo, branch: str, rule: Protection) -> JSON:
    """branch-protection and protected-branch."""
    url = protection_url(view, repo, branch)
    shown: JSON = {
        "url": url,
        "enforce_admins": {"url": f"{url}/enforce_admins", "enabled": rule.enforce_admins},
        "required_signatures": {"url": f"{url}/required_signatures", "enabled": False},
        **{flag: {"enabled": getattr(rule, flag)} for flag in _FLAGS},
    }
    if rule.required_status_checks is not None:
        shown["required_status_checks"] = required_checks(rule, url)
    if rule.required_pull_request_reviews is not None:
        shown["required_pull_request_reviews"] = _reviews(view, repo, rule, url)
    if rule.restrictions is not None:
        here = f"{url}/restrictions"
        links = {f"{name}_url": f"{here}/{name}" for name in ("users", "teams", "apps")}
        shown["restrictions"] = {"url": here, **links, **_actors(view, repo, rule.restrictions)}
    return shown


def required_checks(rule: Protection, url: str) -> JSON:
    wanted = rule.required_status_checks
    checks = wanted.checks if wanted else ()
    return {
        "url": f"{url}/required_status_checks",
        "strict": bool(wanted and wanted.strict),
        "contexts": [c.context for c in checks],
        "contexts_url": f"{url}/required_status_checks/contexts",
        "checks": [{"context": c.context, "app_id": c.app_id} for c in checks],
    }


def _reviews(view: View, repo: Repo, rule: Protection, url: str) -> JSON:
    wanted = rule.required_pull_request_reviews
    if wanted is None:
        return {}
    here = f"{url}/required_pull_request_reviews"
    shown: JSON = {
        "url": here,
        "dismiss_stale_reviews": wanted.dismiss_stale_reviews,
        "require_code_owner_reviews": wanted.require_code_owner_reviews,
        "require_last_push_approval": wanted.require_last_push_approval,
        "required_approving_review_count": wanted.required_approving_review_count,
    }
    if wanted.bypass_pull_request_allowances != Actors():
        shown["bypass_pull_request_allowances"] = _actors(view, repo, wanted.bypass_pull_request_allowances)
    if wanted.dismissal_restrictions is not None:
        limits = f"{url}/dismissal_restrictions"
        links = {"url": limits, "users_url": f"{limits}/users", "teams_url": f"{limits}/teams"}
        shown["dismissal_restrictions"] = {**links, **_actors(view, repo, wanted.dismissal_restrictions)}
    return shown


def short_branch(view: View, repo: Repo, name: str, sha: str, rule: Protection | None) -> JSON:
    """short-branch, with the summary of its protection that GitHub shows there."""
    url = protection_url(view, repo, name)
    level = {None: "off", True: "everyone", False: "non_admins"}[rule.enforce_admins if rule else None]
    checks = required_checks(rule or Protection(), url)
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{repo_api(view, repo)}/commits/{sha}"},
        "protected": rule is not None,
        "protection": {
            "enabled": rule is not None,
            "required_status_checks": {
                "enforcement_level": level,
                "contexts": checks["contexts"],
                "checks": checks["checks"],
            },
        },
        "protection_url": url,
    }


def branch_rules(repo: Repo, rule: Protection | None) -> list[JSON]:
    """A protection in the words of rulesets, for clients that read only those."""
    if rule is None:
        return []
    source = {"ruleset_source_type": "Repository", "ruleset_source": repo.full_name, "ruleset_id": 0}
    found: list[JSON] = []
    if not rule.allow_deletions:
        found.append({"type": "deletion"})
    if not rule.allow_force_pushes:
        found.append({"type": "non_fast_forward"})
    if rule.required_linear_history:
        found.append({"type": "required_linear_history"})
    if rule.required_pull_request_reviews is not None:
        found.append({"type": "pull_request", "parameters": _pull_rule(rule)})
    if rule.required_status_checks is not None:
        found.append({"type": "required_status_checks", "parameters": _check_rule(rule)})
    return [{**item, **source} for item in found]


def _pull_rule(rule: Protection) -> JSON:
    wanted = rule.required_pull_request_reviews
    return {
        "required_approving_review_count": wanted.required_approving_review_count if wanted else 0,
        "dismiss_stale_reviews_on_push": bool(wanted and wanted.dismiss_stale_reviews),
        "require_code_owner_review": bool(wanted and wanted.require_code_owner_reviews),
        "require_last_push_approval": bool(wanted and wanted.require_last_push_approval),
        "required_review_thread_resolution": rule.required_conversation_resolution,
    }


def _check_rule(rule: Protection) -> JSON:
    wanted = rule.required_status_checks
    listed = [
        {"context": c.context, **({"integration_id": c.app_id} if c.app_id is not None else {})}
        for c in (wanted.checks if wanted else ())
    ]
    return {
        "required_status_checks": listed,
        "strict_required_status_checks_policy": bool(wanted and wanted.strict),
    }
