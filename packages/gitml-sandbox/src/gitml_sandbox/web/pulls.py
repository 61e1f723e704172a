"""Pages of pull requests: the list, the conversation, the commits, the difference, the checks."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.responses import Response

from gitml_sandbox.forge import issues, pulls, users
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.reading import FileDiff
from gitml_sandbox.web import checks as web_checks
from gitml_sandbox.web import diff as web_diff
from gitml_sandbox.web import markdown as web_markdown
from gitml_sandbox.web import timeline as web_timeline
from gitml_sandbox.web.acts import act
from gitml_sandbox.web.commits import login_of, state_of
from gitml_sandbox.web.files import bare_of, place_of
from gitml_sandbox.web.runs import runs_of_commit
from gitml_sandbox.web.serve import Page, Visit

PER_PAGE = 30


def listing(visit: Visit) -> Response:
    """Open or closed ones, newest first."""
    state = "closed" if visit.query.get("state") == "closed" else "open"
    found = {s: pulls.listing(visit.tx, visit.repo.id, pulls.Wanted(state=s)) for s in ("open", "closed")}
    page = visit.page_number()
    rows = found[state][(page - 1) * PER_PAGE : page * PER_PAGE]
    return visit.show(
        "pulls.html",
        tab="pulls",
        state=state,
        counts={s: len(f) for s, f in found.items()},
        rows=[_row(visit, p) for p in rows],
        page=page,
        more=len(found[state]) > page * PER_PAGE,
    )


def _row(visit: Visit, pull: Pull) -> dict[str, Any]:
    opinions = [r.state for r in web_checks.reviewers(visit, pull)]
    review = "CHANGES_REQUESTED" if "CHANGES_REQUESTED" in opinions else "APPROVED" if "APPROVED" in opinions else ""
    return {
        "pull": pull,
        "author": users.by_id(visit.tx, pull.author_id),
        "checks": state_of(visit, pull.head_sha),
        "review": review,
        "labels": issues.labels_of(visit.tx, pull.id),
    }


def _frame(visit: Visit, section: str) -> dict[str, Any]:
    """What the head of all pages of a pull request shows."""
    pull = pulls.get(visit.tx, visit.repo.id, visit.number("number"))
    bare = bare_of(visit)
    start = pulls.merge_base(visit.sandbox, visit.repo, pull)
    old = start if start != gitview.EMPTY_TREE else None
    shas = gitrepo.commits_between(bare, old, pull.head_sha)
    files, added, removed = gitview.counts(bare, start, pull.head_sha)
    checks = web_checks.lines(visit, pull.head_sha, pull.base_ref if pull.state == "open" else "")
    return {
        "tab": "pulls",
        "section": section,
        "pull": pull,
        "author": users.by_id(visit.tx, pull.author_id),
        "start": start,
        "shas": shas,
        "counts": {"files": files, "added": added, "removed": removed, "commits": len(shas)},
        "checks": checks,
        "checks_state": web_checks.summary(checks),
        "head_name": web_timeline.head_repo_name(visit, pull),
    }


def conversation(visit: Visit) -> Response:
    """The description, the story, who reviewed, and the way to merge."""
    frame = _frame(visit, "conversation")
    pull: Pull = frame["pull"]
    box = web_checks.merge_box(visit, pull) if pull.state == "open" else None
    stale = pull.state == "open" and pull.mergeable is None
    return visit.show(
        "pull.html",
        **frame,
        after=partial(pulls.refresh, visit.sandbox, pull.id) if stale else None,
        body=web_markdown.render(pull.body, place_of(visit)) if pull.body else "",
        story=web_timeline.story(visit, pull),
        box=box,
        reviewers=web_checks.reviewers(visit, pull),
        labels=issues.labels_of(visit.tx, pull.id),
        hint=web_checks.review_hint(visit, pull),
        may_edit=_may_edit(visit, pull),
        refresh=1 if stale and visit.request.method == "GET" else 0,
    )


def _may_edit(visit: Visit, pull: Pull) -> bool:
    return visit.user is not None and (visit.writes or visit.user.id == pull.author_id)


def commits(visit: Visit) -> Response:
    """The commits that it brings, oldest first; 250 at most, as on GitHub."""
    frame = _frame(visit, "commits")
    rows = gitview.commits(bare_of(visit), frame["shas"][:250])
    logins = {c.author.email: login_of(visit, c.author.email) for c in rows}
    states = {c.sha: state_of(visit, c.sha) for c in rows}
    return visit.show("pull_commits.html", **frame, rows=rows, logins=logins, states=states)


def files(visit: Visit) -> Response:
    """What it changes, with the comments on lines and the form for a review."""
    frame = _frame(visit, "files")
    pull: Pull = frame["pull"]
    diffs = gitview.files(bare_of(visit), frame["start"], pull.head_sha)
    shown = web_diff.shown(diffs, only=visit.query.get("file", ""))
    placed, elsewhere = _with_notes(visit, pull, shown)
    compose = _compose(visit, diffs)
    hint = web_checks.review_hint(visit, pull)
    return visit.show(
        "pull_files.html",
        **frame,
        shown=shown,
        files=placed,
        elsewhere=elsewhere,
        compose=compose,
        hint=hint,
        may_edit=_may_edit(visit, pull),
    )


def _with_notes(visit: Visit, pull: Pull, shown: web_diff.Shown) -> tuple[list[web_diff.File], list[object]]:
    every = [note for group in web_timeline.notes(visit, pull).values() for note in group]
    placed, elsewhere = [], [n for n in every if n.path not in {f.diff.path for f in shown.files}]
    for file in shown.files:
        mine = [(n.side, n.line or 0, n) for n in every if n.path == file.diff.path]
        full, rest = web_diff.with_notes(file, mine)
        placed.append(full)
        elsewhere += rest  # type: ignore[arg-type]
    return placed, list(elsewhere)


def _compose(visit: Visit, diffs: list[FileDiff]) -> dict[str, Any]:
    """The line that the visitor wants to comment on, from the address or from a form that was refused."""
    asked = {name: visit.form.get(name) or visit.query.get(name, "") for name in ("path", "side", "line")}
    known = any(d.path == asked["path"] for d in diffs) and asked["side"] in ("LEFT", "RIGHT")
    word = asked["line"]
    if visit.user is None or not known or not (word.isascii() and word.isdigit() and len(word) < 8):
        return {"path": "", "side": "", "line": 0}
    return {**asked, "line": int(word)}


def checks(visit: Visit) -> Response:
    """Statuses, check runs and the runs of workflows of the head, with the way to their logs."""
    frame = _frame(visit, "checks")
    pull: Pull = frame["pull"]
    running = any(line.state == "pending" for line in frame["checks"])
    runs = runs_of_commit(visit, pull.head_sha)
    return visit.show("pull_checks.html", **frame, runs=runs, refresh=5 if running else 0)


_R = "/{owner}/{repo}"
_ONE = f"{_R}/pull/{{number}}"
PAGES = (
    Page(f"{_R}/pulls", listing),
    Page(_ONE, conversation, change=act),
    Page(f"{_ONE}/commits", commits),
    Page(f"{_ONE}/files", files, change=act),
    Page(f"{_ONE}/checks", checks),
)
