"""REST: branches, refs, commits, comparisons."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from gitml_sandbox.changes import refs
from gitml_sandbox.forge import emails, protections, pulls, repos, users
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.refusals import RefusalError, invalid, not_found
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.reading import Commit, LogQuery
from gitml_sandbox.git.repository import ZERO, Change
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, created, page_bounds, paged, text
from gitml_sandbox.serial import checks as checks_json
from gitml_sandbox.serial import git as json_of
from gitml_sandbox.serial import pulls as pulls_json

MAX_FILES = 300
_DIFF, _PATCH, _SHA = (f"application/vnd.github.{kind}; charset=utf-8" for kind in ("diff", "patch", "sha"))


class NewRef(Body):
    ref: str
    sha: str


class MoveRef(Body):
    sha: str
    force: bool = False


def bare_of(call: Call) -> Path:
    return repos.path(call.sandbox, call.repo)


def commit_of(call: Call, name: str) -> str:
    """The commit that a word of the URL means. Raises RefusalError: 409 in an empty repository, 422 for nothing."""
    bare = bare_of(call)
    sha = gitview.find_commit(bare, name)
    if sha is None:
        if not gitrepo.all_refs(bare):
            raise RefusalError(409, "Git Repository is empty.")
        raise RefusalError(422, f"No commit found for SHA: {name}")
    return sha


def branches(call: Call) -> Reply:
    view, repo = call.view, call.repo
    rules = protections.branches(view.tx, repo.id)
    heads = {
        ref.removeprefix("refs/heads/"): sha
        for ref, sha in gitrepo.all_refs(bare_of(call)).items()
        if ref.startswith("refs/heads/")
    }
    wanted = call.query.get("protected")
    names = [n for n in heads if wanted not in ("true", "false") or (n in rules) == (wanted == "true")]
    return paged(call, names, lambda n: checks_json.short_branch(view, repo, n, heads[n], rules.get(n)))


def branch(call: Call) -> Reply:
    view, repo, name = call.view, call.repo, call.path["branch"]
    sha = gitrepo.ref_sha(bare_of(call), f"refs/heads/{name}")
    if sha is None:
        raise RefusalError(404, "Branch not found")
    short = checks_json.short_branch(view, repo, name, sha, protections.find(view.tx, repo.id, name))
    url = short["protection_url"].removesuffix("/protection")
    links = {"self": url, "html": f"{call.sandbox.base_url}/{repo.full_name}/tree/{name}"}
    commit = json_of.full_commit(view, repo, gitview.commit(bare_of(call), sha), [])
    return Reply({**short, "commit": commit, "_links": links})


def one_ref(call: Call) -> Reply:
    name = f"refs/{call.path['ref']}"
    found = _kinds(call).get(name)
    if found is None:
        raise not_found()
    return Reply(json_of.git_ref(call.view, call.repo, name, *found))


def matching_refs(call: Call) -> Reply:
    start = f"refs/{call.path['ref']}"
    found = [(name, *rest) for name, rest in _kinds(call).items() if name.startswith(start)]
    return paged(call, found, lambda item: json_of.git_ref(call.view, call.repo, *item))


def _kinds(call: Call) -> dict[str, tuple[str, str]]:
    listed = gitrepo.out(bare_of(call), "for-each-ref", "--format=%(refname) %(objectname) %(objecttype)")
    lines = [line.split(" ") for line in listed.splitlines()]
    return {name: (sha, kind) for name, sha, kind in lines}


def create_ref(call: Call) -> Reply:
    wanted = call.body(NewRef)
    if not gitrepo.valid_ref(wanted.ref) or wanted.ref.count("/") < 2:
        raise RefusalError(422, "Reference name must start with 'refs/' and have at least two slashes")
    _changeable(wanted.ref)
    bare = bare_of(call)
    if not _is_object(bare, wanted.sha):
        raise RefusalError(422, "Object does not exist")
    if gitrepo.ref_sha(bare, wanted.ref) is not None:
        raise RefusalError(422, "Reference already exists")
    _move(call, Change(wanted.ref, ZERO, wanted.sha))
    return created(_shown(call, wanted.ref))


def _is_object(bare: Path, sha: str) -> bool:
    full = len(sha) == 40 and all(c in "0123456789abcdef" for c in sha)
    return full and gitrepo.resolve(bare, sha, "") is not None


def _shown(call: Call, ref: str) -> dict[str, object]:
    with call.sandbox.store.read() as tx:
        view = View(call.sandbox, tx, call.by.user.id)
        return json_of.git_ref(view, call.repo, ref, *_kinds(call)[ref])


def move_ref(call: Call) -> Reply:
    name, wanted, bare = f"refs/{call.path['ref']}", call.body(MoveRef), bare_of(call)
    _changeable(name)
    old = gitrepo.ref_sha(bare, name)
    if old is None:
        raise RefusalError(422, "Reference does not exist")
    if not _is_object(bare, wanted.sha):
        raise RefusalError(422, "Object does not exist")
    if not wanted.force and not gitrepo.is_ancestor(bare, old, wanted.sha):
        raise RefusalError(422, "Update is not a fast forward")
    if old != wanted.sha:
        _move(call, Change(name, old, wanted.sha))
    return Reply(_shown(call, name))


def delete_ref(call: Call) -> Reply:
    name = f"refs/{call.path['ref']}"
    _changeable(name)
    old = gitrepo.ref_sha(bare_of(call), name)
    if old is None:
        raise RefusalError(422, "Reference does not exist")
    _move(call, Change(name, old, ZERO))
    return Reply(status=204)


def _changeable(ref: str) -> None:
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        raise invalid("Reference", "ref", "custom", "only branches and tags can be changed")


def _move(call: Call, change: Change) -> None:
    refs.update(call.sandbox, call.repo, [change], call.by)


def commits(call: Call) -> Reply:
    view, bare, asked = call.view, bare_of(call), call.query
    if not gitrepo.all_refs(bare):
        raise RefusalError(409, "Git Repository is empty.")
    sha = gitview.find_commit(bare, asked.get("sha") or call.repo.default_branch)
    if sha is None:
        raise not_found()
    query = LogQuery(
        asked.get("path", "").strip("/"),
        _addresses(view, asked.get("author", "")),
        _addresses(view, asked.get("committer", "")),
        asked.get("since", ""),
        asked.get("until", ""),
    )
    found = gitview.log(bare, sha, query)
    return _commit_page(call, found)


def _commit_page(call: Call, shas: list[str]) -> Reply:
    """Only the page that is asked for is read from Git."""
    page, size = page_bounds(call)
    known = {c.sha: c for c in gitview.commits(bare_of(call), shas[(page - 1) * size : page * size])}
    return paged(call, shas, lambda sha: json_of.commit(call.view, call.repo, known[sha]))


def _addresses(view: View, word: str) -> tuple[str, ...]:
    """A login means each of the person's addresses; anything else is searched as it is."""
    who = users.find(view.tx, word) if word and "@" not in word else None
    return emails.every(view.tx, who) if who else (word,) if word else ()


def one_commit(call: Call) -> Reply:
    bare, view = bare_of(call), call.view
    sha = commit_of(call, call.path["ref"])
    if call.wants("sha"):
        return text(sha, _SHA)
    parent = gitview.first_parent_or_empty(bare, sha)
    if call.wants("diff"):
        return text(gitview.diff(bare, parent, sha), _DIFF)
    if call.wants("patch"):
        return text(gitview.patch(bare, ["-1", sha]), _PATCH)
    files = gitview.files(bare, parent, sha)
    page, size = page_bounds(call)
    several = size if "per_page" in call.query else MAX_FILES
    shown = files[(page - 1) * several : page * several]
    return Reply(json_of.full_commit(view, call.repo, gitview.commit(bare, sha), shown))


def pulls_of_commit(call: Call) -> Reply:
    view, repo = call.view, call.repo
    found = pulls.of_commit(call.sandbox, view.tx, repo, commit_of(call, call.path["commit_sha"]))
    return paged(call, found, lambda p: pulls_json.pull_simple(view, repo, p))


def compare(call: Call) -> Reply:
    names = _sides(call)
    bare = bare_of(call)
    base, head = (gitview.find_commit(bare, unquote(name.rpartition(":")[2])) for name in names)
    if base is None or head is None:
        raise not_found()
    middle = gitrepo.merge_base(bare, base, head)
    if middle is None:
        raise RefusalError(404, f"No common ancestor between {names[0]} and {names[1]}.")
    if call.wants("diff"):
        return text(gitview.diff(bare, middle, head), _DIFF)
    if call.wants("patch"):
        return text(gitview.patch(bare, [f"{middle}..{head}"]), _PATCH)
    return _comparison(call, names, (base, middle, head))


def _sides(call: Call) -> tuple[str, str]:
    base, dots, head = call.path["basehead"].partition("...")
    if not dots or not base or not head:
        raise not_found()
    for side in (base, head):
        owner = side.rpartition(":")[0]
        if owner and owner.lower() != call.repo.owner.lower():
            raise not_found()
    return base, head


def _comparison(call: Call, names: tuple[str, str], sides: tuple[str, str, str]) -> Reply:
    bare, repo = bare_of(call), call.repo
    base, middle, head = sides
    ahead = gitrepo.commits_between(bare, base, head)
    page, size = page_bounds(call)
    several = size if "per_page" in call.query else 250
    shown = gitview.commits(bare, ahead[(page - 1) * several : page * several])
    files = gitview.files(bare, middle, head)[:MAX_FILES] if page == 1 else []
    first, second, third = _three(bare, sides)
    behind = gitrepo.ahead_behind(bare, base, head)[1]
    body = json_of.comparison(call.view, repo, names, (first, second, third), (len(ahead), behind), (shown, files))
    link = paged(call, ahead, lambda sha: sha).headers if "per_page" in call.query else {}
    return Reply(body, headers=link)


def _three(bare: Path, sides: tuple[str, str, str]) -> tuple[Commit, Commit, Commit]:
    first, second, third = gitview.commits(bare, sides)
    return first, second, third


_ONE = "/repos/{owner}/{repo}"
OPERATIONS = (
    Operation("GET", f"{_ONE}/branches", branches, scope="contents"),
    Operation("GET", f"{_ONE}/branches/{{branch}}", branch, scope="contents"),
    Operation("GET", f"{_ONE}/git/ref/{{ref}}", one_ref, scope="contents"),
    Operation("GET", f"{_ONE}/git/matching-refs/{{ref}}", matching_refs, scope="contents"),
    Operation("POST", f"{_ONE}/git/refs", create_ref, scope="contents", role="write", tx="none", body=NewRef),
    Operation("PATCH", f"{_ONE}/git/refs/{{ref}}", move_ref, scope="contents", role="write", tx="none", body=MoveRef),
    Operation("DELETE", f"{_ONE}/git/refs/{{ref}}", delete_ref, scope="contents", role="write", tx="none"),
    Operation("GET", f"{_ONE}/commits", commits, scope="contents"),
    Operation("GET", f"{_ONE}/commits/{{ref}}", one_commit, scope="contents"),
    Operation("GET", f"{_ONE}/commits/{{commit_sha}}/pulls", pulls_of_commit, scope="pull-requests"),
    Operation("GET", f"{_ONE}/compare/{{basehead}}", compare, scope="contents"),
)
