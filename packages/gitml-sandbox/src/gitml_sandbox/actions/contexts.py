"""What expressions of a run may see: the contexts `github`, `needs`, `matrix`, `inputs`, `vars`, and the
status functions.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.actions.expressions import Scope
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo


def ref_name(ref: str) -> str:
    """The short name of a ref: `main`, `v1`, `7/merge`."""
    return ref.split("/", 2)[2] if ref.startswith("refs/") and ref.count("/") >= 2 else ref


def github(sandbox: Sandbox, repo: Repo, run: Mapping[str, Any] | sqlite3.Row) -> dict[str, Any]:
    """The context `github` without its token. `run` is a row of `run_row`."""
    payload = json.loads(run["payload"])
    pull = payload.get("pull_request") if run["event"].startswith("pull_request") else None
    return {
        "workflow": run["workflow_name"],
        "workflow_ref": f"{repo.full_name}/{run['path']}@{run['ref']}",
        "workflow_sha": run["sha"],
        "event_name": run["event"],
        "event": payload,
        "ref": run["ref"],
        "ref_name": ref_name(run["ref"]),
        "ref_type": "tag" if run["ref"].startswith("refs/tags/") else "branch",
        "sha": run["sha"],
        "head_ref": pull["head"]["ref"] if pull else "",
        "base_ref": pull["base"]["ref"] if pull else "",
        "actor": run["actor"],
        "triggering_actor": run["actor"],
        "repository": repo.full_name,
        "repository_id": str(repo.id),
        "repository_owner": repo.owner,
        "repository_owner_id": str(repo.owner_id),
        "repositoryUrl": f"{sandbox.base_url}/{repo.full_name}.git",
        "run_id": str(run["id"]),
        "run_number": str(run["run_number"]),
        "run_attempt": str(run["attempt"]),
        "server_url": sandbox.base_url,
        "api_url": sandbox.api_url,
        "graphql_url": f"{sandbox.base_url}/api/graphql",
        "retention_days": "90",
    }


@dataclass(frozen=True)
class Before:
    """`results` of every job before a job, direct or not; whether the run is cancelled."""

    results: Sequence[str]
    cancelled: bool


def scope(
    github_context: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any],
    variables: Mapping[str, str],
    needs: Mapping[str, Any] | None = None,
    matrix: Mapping[str, Any] | None = None,
    before: Before | None = None,
) -> Scope:
    """A scope for a job-level key."""
    results, cancelled = (before.results, before.cancelled) if before else ((), False)
    failed = any(r == "failure" for r in results)
    fine = all(r == "success" for r in results) and not cancelled
    return Scope(
        {
            "github": github_context,
            "inputs": dict(inputs),
            "vars": dict(variables),
            "needs": dict(needs or {}),
            "matrix": dict(matrix or {}),
            "strategy": {},
            "env": {},
        },
        {
            "success": lambda _: fine,
            "failure": lambda _: failed,
            "cancelled": lambda _: cancelled,
            "always": lambda _: True,
        },
    )


def dispatch_inputs(run: Mapping[str, Any] | sqlite3.Row) -> dict[str, Any]:
    """The context `inputs` of a run started by workflow_dispatch, typed on arrival."""
    if run["event"] != "workflow_dispatch":
        return {}
    given = json.loads(run["payload"]).get("inputs")
    return dict(given) if isinstance(given, dict) else {}
