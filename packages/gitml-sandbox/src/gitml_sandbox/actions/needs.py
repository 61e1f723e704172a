"""What jobs hand to the jobs that need them: results and outputs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from gitml_sandbox.actions.workflows import Job


def over(rows: Sequence[sqlite3.Row]) -> bool:
    """True if every job is completed."""
    return all(row["status"] == "completed" for row in rows)


def result(rows: Sequence[sqlite3.Row]) -> str:
    """The result of the jobs of one key: a forgiven failure counts as success, as on GitHub."""
    found = {"success" if row["forgiven"] and row["conclusion"] == "failure" else row["conclusion"] for row in rows}
    if "failure" in found or "timed_out" in found:
        return "failure"
    if "cancelled" in found:
        return "cancelled"
    return "skipped" if found == {"skipped"} else "success"


def outputs(rows: Sequence[sqlite3.Row]) -> dict[str, str]:
    """The outputs of the jobs of one key; of a matrix the job that ended last wins, empty values lose."""
    merged: dict[str, str] = {}
    for row in sorted(rows, key=lambda r: (r["completed_at"] or "", r["id"])):
        for name, value in json.loads(row["outputs"]).items():
            if value or name not in merged:
                merged[name] = value
    return merged


def context(job: Job, groups_of: Mapping[str, Sequence[sqlite3.Row]]) -> dict[str, Any]:
    """The context `needs` of a job: its direct needs only."""
    return {n: {"result": result(groups_of[n]), "outputs": outputs(groups_of[n])} for n in job.needs}
