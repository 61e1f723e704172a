"""The page that compares two branches and opens a pull request."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from gitml_sandbox.forge import pulls, repos
from gitml_sandbox.forge.refusals import RefusalError
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest import pulls as rest_pulls
from gitml_sandbox.web import diff as web_diff
from gitml_sandbox.web import patches as web_patches
from gitml_sandbox.web.acts import operation
from gitml_sandbox.web.commits import login_of
from gitml_sandbox.web.files import bare_of, branch_names
from gitml_sandbox.web.serve import Page, Visit, perform

TEMPLATES = (".github/PULL_REQUEST_TEMPLATE.md", ".github/pull_request_template.md", "PULL_REQUEST_TEMPLATE.md")


def page(visit: Visit) -> Response:
    """Choose two branches; then what lies between them, and the form."""
    base = visit.form.get("base") or visit.query.get("base", "") or visit.repo.default_branch
    head = visit.form.get("head") or visit.query.get("head", "")
    names = branch_names(bare_of(visit))
    found = _between(visit, base, head) if head else _nothing("")
    return visit.show(
        "compare.html",
        tab="pulls",
        base=base,
        head=head,
        branches=names,
        heads=[*names, *_fork_heads(visit)],
        may_open=visit.user is not None,
        **found,
    )


def _nothing(why: str) -> dict[str, Any]:
    empty = web_diff.shown([])
    return {"why": why, "rows": [], "shown": empty, "title": "", "body": "", "logins": {}, "existing": None}


def _forks(visit: Visit) -> list[Repo]:
    seen = repos.listing(visit.tx, visit.user.id if visit.user else None)
    return [r for r in seen if r.fork_of == visit.repo.id]


def _fork_heads(visit: Visit) -> list[str]:
    return [f"{f.owner}:{name}" for f in _forks(visit)[:20] for name in branch_names(repos.path(visit.sandbox, f))]


def _between(visit: Visit, base: str, head: str) -> dict[str, Any]:
    owner, _, branch = head.rpartition(":")
    home = next((f for f in _forks(visit) if f.owner.lower() == owner.lower()), None) if owner else visit.repo
    if home is None:
        return _nothing("There is no such branch.")
    # Both sides are looked up where the head is: a fork has the base's commits as far as they are shared.
    bare = repos.path(visit.sandbox, home)
    head_sha = gitrepo.ref_sha(bare, f"refs/heads/{branch}")
    base_sha = gitrepo.ref_sha(bare_of(visit), f"refs/heads/{base}")
    if head_sha is None or base_sha is None:
        return _nothing("There is no such branch.")
    if gitrepo.resolve(bare, base_sha) is None:
        return {**_nothing(""), "why": "The fork does not have the newest commits of the base: no preview."}
    return _difference(visit, home, base, (base_sha, head_sha), branch)


def _difference(visit: Visit, home: Repo, base: str, sides: tuple[str, str], branch: str) -> dict[str, Any]:
    bare, (base_sha, head_sha) = repos.path(visit.sandbox, home), sides
    shas = gitrepo.commits_between(bare, base_sha, head_sha)
    if not shas:
        return _nothing(f"{base} already has everything that {branch} has.")
    start = gitrepo.merge_base(bare, base_sha, head_sha) or gitview.EMPTY_TREE
    rows = gitview.commits(bare, shas[:250])
    title = rows[0].subject if len(rows) == 1 else branch.replace("-", " ").replace("_", " ").capitalize()
    same = (p for p in pulls.open_with_head(visit.tx, home.id, branch) if p.repo_id == visit.repo.id)
    return {
        "why": "",
        "rows": rows,
        "logins": {c.author.email: login_of(visit, c.author.email) for c in rows},
        "shown": web_diff.shown(gitview.files(bare, start, head_sha)),
        "title": title,
        "body": _template(visit) or (rows[0].message.partition("\n")[2].strip() if len(rows) == 1 else ""),
        "existing": next((p for p in same if p.base_ref == base), None),
    }


def _template(visit: Visit) -> str:
    bare = bare_of(visit)
    sha = gitrepo.ref_sha(bare, f"refs/heads/{visit.repo.default_branch}")
    texts = (gitview.text(bare, sha, path) for path in TEMPLATES) if sha else iter(())
    return next((t for t in texts if t), "")


def create(visit: Visit) -> str:
    """Open the pull request, by the API's rules."""
    form = visit.form
    if not form.get("title", "").strip():
        raise RefusalError(422, "A pull request needs a title.")
    new = rest_pulls.NewPull(
        title=form["title"],
        head=form.get("head", ""),
        base=form.get("base", ""),
        body=form.get("body", ""),
        draft=form.get("draft") == "1",
    )
    reply = perform(visit, operation(rest_pulls.OPERATIONS, rest_pulls.create), new)
    return f"{visit.home}/pull/{reply.body['number']}"


def linked(visit: Visit) -> Response:
    """The form of address that the API gives: compare/base...head, and the same with .diff or .patch."""
    base, _, head = visit.path["rest"].partition("...")
    name, _, form = head.rpartition(".")
    bare = repos.path(visit.sandbox, visit.repo)
    sides = [gitview.find_commit(bare, side) for side in (base, name)] if form in web_patches.FORMS else []
    if len(sides) == 2 and all(sides) and not gitview.find_commit(bare, head):
        first, last = (str(side) for side in sides)
        return web_patches.answer(bare, gitrepo.merge_base(bare, first, last) or gitview.EMPTY_TREE, last, form)
    return RedirectResponse(f"{visit.home}/compare?{urlencode({'base': base, 'head': head})}", 303)


_R = "/{owner}/{repo}"
PAGES = (
    Page(f"{_R}/compare", page, change=create),
    Page(f"{_R}/compare/{{rest:path}}", linked),
)
