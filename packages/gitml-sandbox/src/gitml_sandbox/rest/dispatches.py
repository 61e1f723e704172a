"""REST of workflow_dispatch and repository_dispatch: events that somebody makes by asking for them."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from typing import Any

from gitml_sandbox.actions import dispatch_inputs
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.repofacts import RepoFacts
from gitml_sandbox.actions.workflows import Workflow, WorkflowError
from gitml_sandbox.forge import events
from gitml_sandbox.forge.refusals import RefusalError, not_found, unprocessable
from gitml_sandbox.git.repository import valid_ref
from gitml_sandbox.rest.call import Body, Call, Operation, Reply
from gitml_sandbox.serial import people as people_json

_WAIT_SECONDS = 10.0


def remember(call: Call) -> None:
    """Give every workflow of the default branch its id, also before it has run."""
    assert call.tx is not None
    facts = RepoFacts(call.sandbox, call.repo, {})
    head = facts.resolve(f"refs/heads/{call.repo.default_branch}")
    for workflow in facts.workflows(head) if head else ():
        known = call.tx.execute(
            "SELECT 1 FROM workflows WHERE repo_id = ? AND path = ?", (call.repo.id, workflow.path)
        ).fetchone()
        if not known:
            name = workflow.name if isinstance(workflow, Workflow) else workflow.path
            runs_store.workflow_id(call.tx, call.repo.id, workflow.path, name, call.sandbox.now())


def workflow_row(call: Call) -> sqlite3.Row:
    """By id or by file name, as GitHub takes both."""
    assert call.tx is not None
    word = call.path["workflow_id"]
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 18 else -1
    row: sqlite3.Row | None = call.tx.execute(
        "SELECT * FROM workflows WHERE repo_id = ? AND (id = ? OR path = ?)",
        (call.repo.id, number, f".github/workflows/{word}"),
    ).fetchone()
    if row is None:
        raise not_found()
    return row


class Dispatch(Body):
    """Body of a workflow dispatch."""

    ref: str
    inputs: dict[str, Any] | None = None
    return_run_details: bool = False


def dispatch_workflow(call: Call) -> Reply:
    body = call.body(Dispatch)
    facts = RepoFacts(call.sandbox, call.repo, {})
    with call.sandbox.store.write() as tx:
        inner = replace(call, tx=tx)
        remember(inner)
        path = workflow_row(inner)["path"]
        ref = _full_ref(facts, body.ref)
        payload = {
            "inputs": _inputs(facts, ref, path, body.inputs or {}),
            "ref": ref,
            "workflow": path,
            "repository": people_json.repository(inner.view, call.repo),
            "sender": people_json.user(inner.view, call.by.user),
        }
        event_id = events.emit(
            tx,
            repo_id=call.repo.id,
            name="workflow_dispatch",
            actor_id=call.by.user.id,
            token_kind=call.by.token_kind,
            ref=ref,
            sha=facts.resolve(ref) or "",
            payload=payload,
        )
    return _details(call, event_id) if body.return_run_details else Reply(None, 204)


def _full_ref(facts: RepoFacts, ref: str) -> str:
    candidates = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
    found = next((r for r in candidates if valid_ref(r) and facts.resolve(r)), None)
    if found is None:
        raise unprocessable(f"No ref found for: {ref}")
    return found


def _inputs(facts: RepoFacts, ref: str, path: str, given: dict[str, Any]) -> dict[str, Any]:
    commit = facts.resolve(ref)
    found = next((w for w in facts.workflows(commit or "") if w.path == path), None)
    if not isinstance(found, Workflow) or "workflow_dispatch" not in found.on:
        raise unprocessable("Workflow does not have 'workflow_dispatch' trigger")
    try:
        return dispatch_inputs.typed_inputs(path, found.on["workflow_dispatch"].inputs, given)
    except WorkflowError as exc:
        raise unprocessable(exc.message) from exc


def _details(call: Call, event_id: int) -> Reply:
    """Wait until the runner has made the run, then say which one it is."""
    end = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < end:
        with call.sandbox.store.read() as tx:
            row = tx.execute("SELECT id FROM runs WHERE event_id = ?", (event_id,)).fetchone()
        if row:
            api = f"{call.sandbox.api_url}/repos/{call.repo.full_name}"
            web = f"{call.sandbox.base_url}/{call.repo.full_name}"
            urls = {"run_url": f"{api}/actions/runs/{row['id']}", "html_url": f"{web}/actions/runs/{row['id']}"}
            return Reply({"workflow_run_id": row["id"], **urls})
        time.sleep(0.02)
    raise RefusalError(503, "The runner has not made a run of it yet")


_R = "/repos/{owner}/{repo}"
_ONE = f"{_R}/actions/workflows/{{workflow_id}}/dispatches"
OPERATIONS = (Operation("POST", _ONE, dispatch_workflow, "actions", "write", "none", Dispatch),)
