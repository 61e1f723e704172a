"""REST: commit statuses and check runs."""

from __future__ import annotations

from typing import Any, Literal

from gitml_sandbox.forge import checks, repos, statuses
from gitml_sandbox.forge.refusals import RefusalError, forbidden
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, page_bounds, paged
from gitml_sandbox.rest.git import commit_of
from gitml_sandbox.serial import checks as json_of


class Status(Body):
    state: Literal["error", "failure", "pending", "success"]
    target_url: str | None = None
    description: str | None = None
    context: str = "default"


class Output(Body):
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: tuple[dict[str, Any], ...] = ()


class CheckRun(Body):
    name: str | None = None
    status: Literal["queued", "in_progress", "completed"] | None = None
    conclusion: str | None = None
    details_url: str | None = None
    external_id: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    output: Output | None = None


class NewCheckRun(CheckRun):
    name: str
    head_sha: str


def post_status(call: Call) -> Reply:
    view, wanted = call.view, call.body(Status)
    sha = _full(call, call.path["sha"])
    row = statuses.create(
        view.tx,
        repo_id=call.repo.id,
        sha=sha,
        state=wanted.state,
        context=wanted.context,
        description=wanted.description,
        target_url=wanted.target_url,
        creator_id=call.by.user.id,
        now=call.sandbox.now(),
    )
    return created(json_of.status(view, call.repo, row))


def _full(call: Call, sha: str) -> str:
    """A commit of this repository by its full name."""
    bare = repos.path(call.sandbox, call.repo)
    found = gitrepo.resolve(bare, sha) if len(sha) == 40 and sha.isalnum() else None
    if found is None:
        raise RefusalError(422, f"No commit found for SHA: {sha}")
    return found


def list_statuses(call: Call) -> Reply:
    rows = statuses.listing(call.view.tx, call.repo.id, commit_of(call, call.path["ref"]))
    return paged(call, rows, lambda r: json_of.status(call.view, call.repo, r))


def combined(call: Call) -> Reply:
    """The state is of all contexts, the list is one page of them."""
    sha = commit_of(call, call.path["ref"])
    latest = statuses.latest(call.view.tx, call.repo.id, sha)
    page, size = page_bounds(call)
    body = json_of.combined_status(call.view, call.repo, sha, latest)
    links = paged(call, latest, lambda r: r["id"]).headers
    return Reply({**body, "statuses": body["statuses"][(page - 1) * size : page * size]}, headers=links)


def create(call: Call) -> Reply:
    """Apps and jobs only, as on GitHub."""
    view, wanted = call.view, call.body(NewCheckRun)
    _only_apps(call)
    row = checks.create(
        view.tx,
        repo_id=call.repo.id,
        sha=_full(call, wanted.head_sha),
        app_id=call.by.user.id,
        given=wanted.given(),
        now=call.sandbox.now(),
    )
    return Reply(json_of.check_run(view, call.repo, row), 201)


def _only_apps(call: Call) -> None:
    if call.by_person or call.by.user.type != "Bot":
        raise forbidden("You must authenticate via a GitHub App.")


def update(call: Call) -> Reply:
    """Only the app that made it."""
    view = call.view
    _only_apps(call)
    before = checks.get(view.tx, call.repo.id, call.number("check_run_id"))
    if before["app_id"] != call.by.user.id:
        raise forbidden("Invalid app_id: a check run is changed by the app that created it.")
    row = checks.update(view.tx, before, given=call.body(CheckRun).given(), now=call.sandbox.now())
    return Reply(json_of.check_run(view, call.repo, row))


def one(call: Call) -> Reply:
    row = checks.get(call.view.tx, call.repo.id, call.number("check_run_id"))
    return Reply(json_of.check_run(call.view, call.repo, row))


def of_ref(call: Call) -> Reply:
    asked = call.query
    sha = commit_of(call, call.path["ref"])
    rows = checks.listing(call.view.tx, call.repo.id, sha, latest=asked.get("filter", "latest") != "all")
    wanted = {"name": asked.get("check_name"), "status": asked.get("status"), "app_id": asked.get("app_id")}
    kept = [r for r in rows if all(v is None or str(r[k]) == v for k, v in wanted.items())]
    return paged(call, kept, lambda r: json_of.check_run(call.view, call.repo, r), wrap="check_runs")


_ONE = "/repos/{owner}/{repo}"
_RUN = f"{_ONE}/check-runs/{{check_run_id}}"
OPERATIONS = (
    Operation("POST", f"{_ONE}/statuses/{{sha}}", post_status, scope="statuses", role="write", tx="write", body=Status),
    Operation("GET", f"{_ONE}/statuses/{{ref}}", list_statuses, scope="statuses"),
    Operation("GET", f"{_ONE}/commits/{{ref}}/statuses", list_statuses, scope="statuses"),
    Operation("GET", f"{_ONE}/commits/{{ref}}/status", combined, scope="statuses"),
    Operation("POST", f"{_ONE}/check-runs", create, scope="checks", role="write", tx="write", body=NewCheckRun),
    Operation("GET", _RUN, one, scope="checks"),
    Operation("PATCH", _RUN, update, scope="checks", role="write", tx="write", body=CheckRun),
    Operation("GET", f"{_ONE}/commits/{{ref}}/check-runs", of_ref, scope="checks"),
)
