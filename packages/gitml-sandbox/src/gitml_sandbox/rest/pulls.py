"""REST: pull requests, and merging them."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from gitml_sandbox.changes import announce, merge, pull_follow
from gitml_sandbox.forge import access, issues, judging, pulls, repos, users
from gitml_sandbox.forge.pulls import Pull
from gitml_sandbox.forge.refusals import RefusalError, forbidden, invalid, not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, page_bounds, paged, text
from gitml_sandbox.rest.issues import change_state
from gitml_sandbox.serial import git as git_json
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial import pulls as json_of


class NewPull(Body):
    title: str | None = None
    issue: int | None = None
    head: str
    base: str
    head_repo: str | None = None
    body: str | None = None
    draft: bool = False
    maintainer_can_modify: bool = False


class EditPull(Body):
    title: str | None = None
    body: str | None = None
    state: Literal["open", "closed"] | None = None
    base: str | None = None
    maintainer_can_modify: bool | None = None


class MergeOrder(Body):
    commit_title: str | None = None
    commit_message: str | None = None
    sha: str | None = None
    merge_method: Literal["merge", "squash", "rebase"] = "merge"


def pull_of(call: Call) -> Pull:
    return pulls.get(call.view.tx, call.repo.id, call.number("pull_number"))


def shown(call: Call, pull: Pull) -> dict[str, Any]:
    return json_of.pull(call.view, call.repo, pull, judging.mergeable_state(call.view, pull))


def listing(call: Call) -> Reply:
    asked = call.query
    state = asked.get("state", "open")
    if state not in ("open", "closed", "all"):
        raise invalid("PullRequest", "state", "invalid", value=state)
    sort = asked.get("sort", "created")
    wanted = pulls.Wanted(
        state=state,
        head=asked.get("head", "") if ":" in asked.get("head", "") else "",
        base=asked.get("base", ""),
        sort=sort,
        ascending=asked.get("direction", "desc") == "asc",
    )
    rows = pulls.listing(call.view.tx, call.repo.id, wanted)
    return paged(call, rows, lambda p: json_of.pull_simple(call.view, call.repo, p))


def create(call: Call) -> Reply:
    view, wanted = call.view, call.body(NewPull)
    if wanted.issue is not None:
        raise RefusalError(422, "The sandbox does not turn issues into pull requests")
    if wanted.title is None:
        raise invalid("PullRequest", "title", "missing_field")
    if call.by_job and not call.repo.settings.get("can_approve_pull_request_reviews", False):
        raise forbidden("GitHub Actions is not permitted to create or approve pull requests.")
    home, branch = _head(call, wanted)
    new = pulls.New(
        title=wanted.title,
        head_repo=home,
        head=branch,
        base=wanted.base,
        body=wanted.body,
        draft=wanted.draft,
        maintainer_can_modify=wanted.maintainer_can_modify and home.id != call.repo.id,
    )
    pull = pulls.open_pull(call.sandbox, view.tx, call.repo, new, call.by)
    announce.pull(view, pull, "opened", call.by)
    _ask_owners(call, pull)
    # Like GitHub, the answer does not know yet whether it can be merged.
    body = shown(call, pulls.by_id(view.tx, pull.id))
    return created({**body, "mergeable": None, "rebaseable": None, "mergeable_state": "unknown"})


def _head(call: Call, wanted: NewPull) -> tuple[Repo, str]:
    """The repository and branch that `head` means. Who opens it must be able to push there."""
    owner, _, branch = wanted.head.rpartition(":")
    tx = call.view.tx
    if wanted.head_repo:
        home = repos.find(
            tx, *(wanted.head_repo.split("/", 1) if "/" in wanted.head_repo else (owner, wanted.head_repo))
        )
    elif owner and owner.lower() != call.repo.owner.lower():
        home = next((r for r in repos.listing(tx, call.by.user.id) if _is_fork(r, owner, call.repo)), None)
    else:
        home = call.repo
    if home is None:
        raise invalid("PullRequest", "head", "invalid")
    role = access.role(tx, home, call.by.user.id, call.by.token)
    if home.id != call.repo.id and (home.fork_of != call.repo.id or role == "none"):
        raise invalid("PullRequest", "head", "invalid")
    if not repos.at_least(role, "write"):
        raise forbidden("Must have push access to the head branch.")
    return home, branch


def _is_fork(repo: Repo, owner: str, of: Repo) -> bool:
    return repo.owner.lower() == owner.lower() and repo.fork_of == of.id


def _ask_owners(call: Call, pull: Pull) -> None:
    """Code owners of what changed are asked for a review, as on GitHub, unless it is a draft."""
    if pull.draft:
        return
    view, repo = call.view, call.repo
    base = gitrepo.ref_sha(repos.path(call.sandbox, repo), f"refs/heads/{pull.base_ref}")
    groups = judging.owned(view, repo, pull, base) if base else ()
    people = {n for g in groups for n in g.owners} - {pull.author_id}
    for number in sorted(people):
        pulls.request_reviews(view.tx, pull, [number])
        asked = people_json.user(view, users.by_id(view.tx, number))
        announce.pull(view, pull, "review_requested", call.by, requested_reviewer=asked)


def one(call: Call) -> Reply:
    """``mergeable`` is null after the base moved: it is computed when this answer has left."""
    pull, bare = pull_of(call), repos.path(call.sandbox, call.repo)
    start = pulls.merge_base(call.sandbox, call.repo, pull)
    if call.wants("diff"):
        return text(gitview.diff(bare, start, pull.head_sha), "application/vnd.github.diff; charset=utf-8")
    if call.wants("patch"):
        span = [f"{start}..{pull.head_sha}"] if start != gitview.EMPTY_TREE else ["--root", pull.head_sha]
        return text(gitview.patch(bare, span), "application/vnd.github.patch; charset=utf-8")
    stale = pull.state == "open" and pull.mergeable is None
    return Reply(shown(call, pull), after=partial(pulls.refresh, call.sandbox, pull.id) if stale else None)


def _own(call: Call, pull: Pull) -> None:
    role = access.role(call.view.tx, call.repo, call.by.user.id, call.by.token)
    if pull.author_id != call.by.user.id and not repos.at_least(role, "write"):
        raise forbidden("Must have push access to edit the pull request of somebody else.")


def drafted(call: Call, pull: Pull, *, draft: bool) -> Pull:
    """A draft, or ready for review; the same again where it is so already."""
    _own(call, pull)
    if draft == pull.draft:
        return pull
    pull = pulls.set_draft(call.view.tx, pull, draft=draft, now=call.sandbox.now())
    announce.pull(call.view, pull, "converted_to_draft" if draft else "ready_for_review", call.by)
    _ask_owners(call, pull)
    return pull


def edit(call: Call) -> Reply:
    wanted, pull = call.body(EditPull), pull_of(call)
    _own(call, pull)
    if pull.merged and (wanted.state == "open" or wanted.base):
        raise invalid("PullRequest", "state", "invalid", "The pull request was merged.")
    pull = _edit_text(call, pull, wanted)
    if wanted.state is not None and wanted.state != pull.state:
        pull = change_state(call, pull, wanted.state)
    return Reply(shown(call, pull))


def _edit_text(call: Call, pull: Pull, wanted: EditPull) -> Pull:
    view = call.view
    changes: dict[str, Any] = {}
    if wanted.title is not None and wanted.title != pull.title:
        changes["title"] = {"from": pull.title}
    if wanted.body is not None and wanted.body != pull.body:
        changes["body"] = {"from": pull.body or ""}
    if changes:
        row = issues.by_id(view.tx, pull.id)
        issues.edit(view.tx, row, title=wanted.title, body=wanted.body, now=call.sandbox.now())
        pull = pulls.by_id(view.tx, pull.id)
    if wanted.base is not None and wanted.base != pull.base_ref:
        changes["base"] = {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}
        before, pull = pull, pulls.set_base(call.sandbox, view.tx, pull, wanted.base)
        pull_follow.base_changed(view, before, pull, call.by)
    if changes:
        announce.pull(view, pull, "edited", call.by, changes=changes)
    return pull


def commits(call: Call) -> Reply:
    """Oldest first, 250 at most, as GitHub."""
    pull, bare = pull_of(call), repos.path(call.sandbox, call.repo)
    start = pulls.merge_base(call.sandbox, call.repo, pull)
    old = start if start != gitview.EMPTY_TREE else None
    shas = gitrepo.commits_between(bare, old, pull.head_sha)[:250]
    page, size = page_bounds(call)
    known = {c.sha: c for c in gitview.commits(bare, shas[(page - 1) * size : page * size])}
    return paged(call, shas, lambda sha: git_json.commit(call.view, call.repo, known[sha]))


def files(call: Call) -> Reply:
    pull, bare = pull_of(call), repos.path(call.sandbox, call.repo)
    found = gitview.files(bare, pulls.merge_base(call.sandbox, call.repo, pull), pull.head_sha)[:3000]
    return paged(call, found, lambda f: git_json.diff_entry(call.view, call.repo, f, pull.head_sha))


def is_merged(call: Call) -> Reply:
    if not pull_of(call).merged:
        raise not_found()
    return Reply(status=204)


def do_merge(call: Call) -> Reply:
    wanted = call.body(MergeOrder)
    order = merge.Order(wanted.merge_method, wanted.sha, wanted.commit_title, wanted.commit_message)
    sha = merge.merge(call.sandbox, call.repo, call.number("pull_number"), call.by, order)
    return Reply({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


_PULLS = "/repos/{owner}/{repo}/pulls"
_ONE = f"{_PULLS}/{{pull_number}}"
_SCOPE = "pull-requests"
OPERATIONS = (
    Operation("GET", _PULLS, listing, scope=_SCOPE),
    Operation("POST", _PULLS, create, scope=_SCOPE, tx="write", body=NewPull),
    Operation("GET", _ONE, one, scope=_SCOPE),
    Operation("PATCH", _ONE, edit, scope=_SCOPE, tx="write", body=EditPull),
    Operation("GET", f"{_ONE}/commits", commits, scope=_SCOPE),
    Operation("GET", f"{_ONE}/files", files, scope=_SCOPE),
    Operation("GET", f"{_ONE}/merge", is_merged, scope="contents"),
    Operation("PUT", f"{_ONE}/merge", do_merge, scope="contents", role="write", tx="none", body=MergeOrder),
)
