"""Addresses outside of REST: what a running job hands over and fetches, and signed links to logs and
artifacts.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gitml_sandbox.actions import artifacts, joblog
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.execution import RUNTIME_PREFIX
from gitml_sandbox.forge import secrets, tokens
from gitml_sandbox.forge.auth import secret_of
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.refusals import RefusalError, not_found

LINK_SECONDS = 60


def signature(sandbox: Sandbox, what: str, number: int, until: int) -> str:
    """Of an address that holds until then."""
    secrets.key(sandbox.root)
    key = hashlib.sha256(b"links:" + (sandbox.root / "secrets.key").read_bytes()).digest()
    return hmac.new(key, f"{what}:{number}:{until}".encode(), hashlib.sha256).hexdigest()


def _link(sandbox: Sandbox, what: str, number: int) -> str:
    until = int(sandbox.clock().timestamp()) + LINK_SECONDS
    query = urlencode({"until": until, "signature": signature(sandbox, what, number, until)})
    return f"{sandbox.base_url}/_runner/{what}/{number}?{query}"


def log_url(sandbox: Sandbox, job_id: int) -> str:
    """A link to a job's log that holds for a minute."""
    return _link(sandbox, "logs", job_id)


def run_logs_url(sandbox: Sandbox, run_id: int, attempt: int) -> str:
    """A link to a ZIP of the logs of an attempt that holds for a minute."""
    return _link(sandbox, f"attempts/{attempt}/runs", run_id)


def artifact_url(sandbox: Sandbox, artifact_id: int) -> str:
    """A link to an artifact that holds for a minute."""
    return _link(sandbox, "files", artifact_id)


def _signed(sandbox: Sandbox, request: Request, what: str) -> int:
    number = int(request.path_params["number"])
    try:
        until = int(request.query_params.get("until", ""))
    except ValueError:
        raise not_found() from None
    good = signature(sandbox, what, number, until)
    if not hmac.compare_digest(good, request.query_params.get("signature", "")):
        raise not_found()
    if until < sandbox.clock().timestamp():
        raise not_found()
    return number


def runtime_job(tx: sqlite3.Connection, sandbox: Sandbox, header: str) -> sqlite3.Row:
    """The running job whose runtime token was shown. Raises RefusalError 401."""
    secret = secret_of(header) or ""
    if tokens.find(tx, secret, sandbox.now()) is not None:
        row = tx.execute("SELECT name FROM tokens WHERE digest = ?", (tokens.digest(secret),)).fetchone()
        if row["name"].startswith(RUNTIME_PREFIX):
            job = runs_store.job_row(tx, int(row["name"].removeprefix(RUNTIME_PREFIX)))
            if job is not None and job["status"] == "in_progress":
                return job
    raise RefusalError(401, "The runtime token of a running job is needed")


def _job(sandbox: Sandbox, request: Request) -> sqlite3.Row:
    with sandbox.store.read() as tx:
        return runtime_job(tx, sandbox, request.headers.get("authorization", ""))


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The routes, each with its refusals as JSON."""

    async def upload(request: Request) -> Response:
        job = await run_in_threadpool(_job, sandbox, request)
        body = await request.body()
        name = request.query_params.get("name", "")
        await run_in_threadpool(artifacts.receive, sandbox, job, name, _number(request, "offset"), body)
        return Response(status_code=204)

    def finish(request: Request) -> Response:
        row = artifacts.finish(
            sandbox,
            _job(sandbox, request),
            request.query_params.get("name", ""),
            size=_number(request, "size"),
            overwrite=request.query_params.get("overwrite") == "true",
            days=_number(request, "days"),
        )
        return JSONResponse(_shown(sandbox, row), 201)

    def listing(request: Request) -> Response:
        job = _job(sandbox, request)
        with sandbox.store.read() as tx:
            rows = artifacts.of_run(tx, job["run_id"])
        return JSONResponse({"artifacts": [_shown(sandbox, r) for r in rows]})

    def fetch(request: Request) -> Response:
        job = _job(sandbox, request)
        with sandbox.store.read() as tx:
            rows = artifacts.of_run(tx, job["run_id"])
        found = next((r for r in rows if r["id"] == int(request.path_params["number"])), None)
        if found is None:
            raise not_found()
        return FileResponse(artifacts.path(sandbox, found), media_type="application/zip")

    return [
        Route("/_runner/artifacts", _refusing(listing)),
        Route("/_runner/artifacts/{number:int}", _refusing(fetch)),
        Route("/_runner/upload", _refusing_async(upload), methods=["PUT"]),
        Route("/_runner/upload", _refusing(finish), methods=["POST"]),
        *_links(sandbox),
    ]


def _links(sandbox: Sandbox) -> list[BaseRoute]:
    """What a signed address leads to."""

    def log(request: Request) -> Response:
        number = _signed(sandbox, request, "logs")
        with sandbox.store.read() as tx:
            job = runs_store.job_row(tx, number)
        file = joblog.path(sandbox.root, job["run_id"], number) if job else None
        if file is None or not file.is_file():
            raise not_found()
        return FileResponse(file, media_type="text/plain; charset=utf-8")

    def run_logs(request: Request) -> Response:
        attempt = request.path_params["attempt"]
        number = _signed(sandbox, request, f"attempts/{attempt}/runs")
        with sandbox.store.read() as tx:
            run = runs_store.run_row(tx, number)
            jobs = runs_store.jobs_of(tx, run, attempt) if run else []
        if run is None:
            raise not_found()
        return Response(joblog.pack(sandbox.root, jobs), media_type="application/zip")

    def file(request: Request) -> Response:
        number = _signed(sandbox, request, "files")
        with sandbox.store.read() as tx:
            row = tx.execute("SELECT * FROM artifacts WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise not_found()
        return FileResponse(artifacts.path(sandbox, row), media_type="application/zip")

    return [
        Route("/_runner/logs/{number:int}", _refusing(log)),
        Route("/_runner/attempts/{attempt:int}/runs/{number:int}", _refusing(run_logs)),
        Route("/_runner/files/{number:int}", _refusing(file)),
    ]


def _shown(sandbox: Sandbox, row: sqlite3.Row) -> dict[str, Any]:
    digest = f"sha256:{row['digest']}"
    return {"id": row["id"], "name": row["name"], "digest": digest, "url": artifact_url(sandbox, row["id"])}


def _number(request: Request, name: str) -> int:
    word = request.query_params.get(name, "0")
    if not word.isascii() or not word.isdigit() or len(word) > 15:
        raise RefusalError(400, f"{name} is no number")
    return int(word)


def _refusal(exc: RefusalError) -> Response:
    return Response(json.dumps({"message": exc.message}), exc.status, media_type="application/json")


def _refusing(endpoint: Any) -> Any:
    def answer(request: Request) -> Response:
        try:
            found: Response = endpoint(request)
        except RefusalError as exc:
            return _refusal(exc)
        return found

    return answer


def _refusing_async(endpoint: Any) -> Any:
    async def answer(request: Request) -> Response:
        try:
            found: Response = await endpoint(request)
        except RefusalError as exc:
            return _refusal(exc)
        return found

    return answer
