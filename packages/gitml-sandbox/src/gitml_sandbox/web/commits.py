"""Pages of commits: the history of a branch or file, and one commit with its difference."""

from __future__ import annotations

from starlette.responses import Response

from gitml_sandbox.forge import checks, emails, rules, statuses
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.web import diff as web_diff
from gitml_sandbox.web import markdown as web_markdown
from gitml_sandbox.web.files import bare_of, branch_names, locate, place_of
from gitml_sandbox.web.serve import Page, Visit

PER_PAGE = 40


def state_of(visit: Visit, sha: str) -> str:
    """One word for all statuses and checks of a commit: '' (none), pending, success or failure."""
    states = [r["state"] for r in statuses.latest(visit.tx, visit.repo.id, sha)]
    runs = checks.listing(visit.tx, visit.repo.id, sha)
    states += [rules.check_run_state(r["status"], r["conclusion"]) for r in runs]
    if not states:
        return ""
    if any(s in ("failure", "error") for s in states):
        return "failure"
    return "pending" if "pending" in states else "success"


def login_of(visit: Visit, email: str) -> str:
    """The user whose address a commit carries; '' if there is none."""
    found = emails.owner(visit.tx, email)
    return found.login if found else ""


def history(visit: Visit) -> Response:
    """Commits of a branch or of one path, newest first."""
    at, page = locate(visit), visit.page_number()
    words = ["rev-list", f"--skip={(page - 1) * PER_PAGE}", f"--max-count={PER_PAGE + 1}", at.sha]
    tail = ["--", at.path] if at.path else ["--"]
    shas = gitrepo.out(at.bare, "--literal-pathspecs", *words, *tail).split()
    rows = gitview.commits(at.bare, shas[:PER_PAGE])
    return visit.show(
        "commits.html",
        tab="commits",
        at=at,
        rows=rows,
        states={c.sha: state_of(visit, c.sha) for c in rows},
        logins={c.author.email: login_of(visit, c.author.email) for c in rows},
        page=page,
        more=len(shas) > PER_PAGE,
        branches=branch_names(at.bare),
    )


def commit(visit: Visit) -> Response:
    """One commit: its message, its parents, what it changed."""
    bare, name = bare_of(visit), visit.path["sha"]
    sha = gitview.find_commit(bare, name) if all(c in "0123456789abcdef" for c in name) else None
    if sha is None:
        raise not_found()
    row = gitview.commit(bare, sha)
    diffs = gitview.files(bare, gitview.first_parent_or_empty(bare, sha), sha)
    body = row.message.partition("\n")[2].strip()
    return visit.show(
        "commit.html",
        tab="commits",
        commit=row,
        login=login_of(visit, row.author.email),
        body=web_markdown.render(body, place_of(visit)) if body else "",
        state=state_of(visit, sha),
        results=statuses.latest(visit.tx, visit.repo.id, sha),
        shown=web_diff.shown(diffs, only=visit.query.get("file", "")),
    )


_R = "/{owner}/{repo}"
PAGES = (
    Page(f"{_R}/commits", history),
    Page(f"{_R}/commits/{{rest:path}}", history),
    Page(f"{_R}/commit/{{sha}}", commit),
)
