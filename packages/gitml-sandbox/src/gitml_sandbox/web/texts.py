"""Pages that the API's links lead to: somebody's repositories, an issue, the report of a check run."""

from __future__ import annotations

import json

from starlette.responses import RedirectResponse, Response

from gitml_sandbox.forge import checks, comments, issues, rules, users
from gitml_sandbox.web import markdown as web_markdown
from gitml_sandbox.web.files import index, place_of
from gitml_sandbox.web.serve import Page, Visit


def issue(visit: Visit) -> Response:
    """An issue with its comments, to read; a pull request has a page of its own."""
    row = issues.get(visit.tx, visit.repo.id, visit.number("number"))
    if row["is_pull"]:
        return RedirectResponse(f"{visit.home}/pull/{row['number']}", 303)
    place = place_of(visit)
    said = [
        (users.by_id(visit.tx, c["user_id"]), c, web_markdown.render(c["body"], place))
        for c in comments.of_issue(visit.tx, row["id"])
    ]
    return visit.show(
        "issue.html",
        issue=row,
        author=users.by_id(visit.tx, row["user_id"]),
        body=web_markdown.render(row["body"], place) if row["body"] else "",
        said=said,
        labels=issues.labels_of(visit.tx, row["id"]),
    )


def check_run(visit: Visit) -> Response:
    """What an app reports about a commit."""
    row = checks.get(visit.tx, visit.repo.id, visit.number("check"))
    output, place = json.loads(row["output"]), place_of(visit)
    parts = [web_markdown.render(output[k], place) for k in ("summary", "text") if output.get(k)]
    return visit.show(
        "check_run.html",
        check=row,
        state=rules.check_run_state(row["status"], row["conclusion"]),
        title=output.get("title") or "",
        parts=parts,
        by=users.by_id(visit.tx, row["app_id"]),
    )


_R = "/{owner}/{repo}"
PAGES = (
    Page("/{login}", index),
    Page(f"{_R}/issues/{{number}}", issue),
    Page(f"{_R}/runs/{{check}}", check_run),
)
