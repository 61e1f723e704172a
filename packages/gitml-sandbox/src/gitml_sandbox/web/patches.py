"""What the API links to besides pages: a difference as text, and the badge of a workflow."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response

from gitml_sandbox.forge import pulls, repos
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.web import guard as web_guard
from gitml_sandbox.web.serve import Page, Visit

FORMS = ("diff", "patch")
_COLOURS = {"passing": "#166534", "failing": "#9f1239", "no status": "#3730a3"}


def answer(bare: Path, start: str, head: str, form: str) -> Response:
    """The difference from ``start`` to ``head``, or its commits as mail."""
    span = [f"{start}..{head}"] if start != gitview.EMPTY_TREE else ["--root", head]
    text = gitview.diff(bare, start, head) if form == "diff" else gitview.patch(bare, span)
    return Response(text.encode(errors="replace"), headers=web_guard.CACHE, media_type="text/plain; charset=utf-8")


def pull(visit: Visit) -> Response:
    this = pulls.get(visit.tx, visit.repo.id, visit.number("number"))
    start = pulls.merge_base(visit.sandbox, visit.repo, this)
    form = visit.request.url.path.rpartition(".")[2]
    return answer(repos.path(visit.sandbox, visit.repo), start, this.head_sha, form)


def badge(visit: Visit) -> Response:
    """How the newest run of a workflow on the default branch ended."""
    row = visit.tx.execute(
        "SELECT workflows.id, (SELECT conclusion FROM runs WHERE workflow_id = workflows.id AND head_branch = ?"
        " AND status = 'completed' ORDER BY id DESC LIMIT 1) AS conclusion FROM workflows"
        " WHERE repo_id = ? AND path = ?",
        (visit.repo.default_branch, visit.repo.id, f".github/workflows/{visit.path['file']}"),
    ).fetchone()
    if row is None:
        raise not_found()
    word = {"success": "passing", None: "no status"}.get(row["conclusion"], "failing")
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20" role="img">'
        f'<title>{word}</title><rect width="80" height="20" rx="3" fill="{_COLOURS[word]}"/>'
        '<text x="40" y="14" text-anchor="middle" font-family="system-ui,sans-serif" font-size="11" fill="#fff">'
        f"{word}</text></svg>"
    )
    return Response(svg, headers=web_guard.CACHE, media_type="image/svg+xml")


_R = "/{owner}/{repo}"
PAGES = (
    *(Page(f"{_R}/pull/{{number}}.{form}", pull) for form in FORMS),
    Page(f"{_R}/actions/workflows/{{file}}/badge.svg", badge),
)
