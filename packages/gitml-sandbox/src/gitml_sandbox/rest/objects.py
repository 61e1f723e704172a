"""REST: Git's own objects, tags, archives, and who wrote the commits."""

from __future__ import annotations

from collections import Counter

from gitml_sandbox.forge import emails
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.rest.call import Call, Operation, Reply, paged, text
from gitml_sandbox.rest.git import bare_of, commit_of, one_ref
from gitml_sandbox.serial import git as json_of
from gitml_sandbox.serial import people as people_json


def _object(call: Call, kind: str) -> str:
    """The object of this kind that the URL names in full."""
    name = call.path["sha"]
    sha = gitrepo.resolve(bare_of(call), name, kind) if len(name) == 40 and name.isalnum() else None
    if sha is None:
        raise not_found()
    return sha


def tree(call: Call) -> Reply:
    """A folder by the name of its tree or of a commit; ``recursive`` lists what is below it, too."""
    bare, name = bare_of(call), call.path["sha"]
    commit = gitview.find_commit(bare, name)
    sha = gitrepo.resolve(bare, commit, "tree") if commit else _object(call, "tree")
    found = gitview.tree(bare, str(sha), recursive="recursive" in call.query)
    return Reply(json_of.tree(call.view, call.repo, str(sha), found))


def blob(call: Call) -> Reply:
    sha = _object(call, "blob")
    data = gitview.blob(bare_of(call), sha)
    if call.wants("raw"):
        return text(data, "application/vnd.github.raw; charset=utf-8")
    return Reply(json_of.blob(call.view, call.repo, sha, data))


def commit(call: Call) -> Reply:
    this = gitview.commit(bare_of(call), _object(call, "commit"))
    return Reply(json_of.git_commit(call.view, call.repo, this))


def tag(call: Call) -> Reply:
    """An annotated tag."""
    sha = _object(call, "tag")
    return Reply(json_of.git_tag(call.view, call.repo, gitview.tag(bare_of(call), sha)))


def tags(call: Call) -> Reply:
    """All tags with the commits that they mean; one of something else is left out."""
    bare = bare_of(call)
    names = sorted(r.removeprefix("refs/tags/") for r in gitrepo.all_refs(bare) if r.startswith("refs/tags/"))[::-1]
    commits = gitrepo.resolve_all(bare, [f"refs/tags/{name}^{{commit}}" for name in names])
    found = [(name, sha) for name, sha in zip(names, commits, strict=False) if sha]
    return paged(call, found, lambda item: json_of.tag(call.view, call.repo, *item))


def contributors(call: Call) -> Reply:
    """Accounts by the number of commits that carry an address of theirs on the default branch."""
    view, bare = call.view, bare_of(call)
    sha = gitview.find_commit(bare, call.repo.default_branch)
    addresses = Counter(gitrepo.out(bare, "log", "--format=%ae", sha).splitlines() if sha else ())
    found: Counter[int] = Counter()
    for address, count in addresses.items():
        if who := emails.owner(view.tx, address):
            found[who.id] += count
    return paged(
        call, found.most_common(), lambda item: {**(people_json.user_id(view, item[0]) or {}), "contributions": item[1]}
    )


def branches_where_head(call: Call) -> Reply:
    view, repo, bare = call.view, call.repo, bare_of(call)
    sha = commit_of(call, call.path["commit_sha"])
    heads = [r.removeprefix("refs/heads/") for r, tip in gitrepo.all_refs(bare).items() if tip == sha]
    return paged(call, heads, lambda name: json_of.branch_head(view, repo, name, sha))


def tarball(call: Call) -> Reply:
    return _archive(call, "tar.gz", "application/x-gzip")


def zipball(call: Call) -> Reply:
    return _archive(call, "zip", "application/zip")


def _archive(call: Call, form: str, media: str) -> Reply:
    """The files themselves, where GitHub sends a client on to another host."""
    bare, repo = bare_of(call), call.repo
    sha = gitview.find_commit(bare, call.path.get("ref") or repo.default_branch)
    if sha is None:
        raise not_found()
    prefix = f"{repo.owner}-{repo.name}-{sha[:7]}"
    data = gitrepo.git(bare, "archive", f"--format={form}", f"--prefix={prefix}/", sha).stdout
    return Reply(data, media=media, headers={"Content-Disposition": f"attachment; filename={prefix}.{form}"})


def merge(call: Call) -> Reply:
    """POST merges: one way into a branch besides a push is enough here."""
    raise RefusalError(422, "The sandbox merges branches by pull requests alone")


_ONE = "/repos/{owner}/{repo}"
_ARCHIVES = (("tarball", tarball), ("zipball", zipball))
OPERATIONS = (
    Operation("GET", f"{_ONE}/git/trees/{{sha}}", tree, scope="contents"),
    Operation("GET", f"{_ONE}/git/blobs/{{sha}}", blob, scope="contents"),
    Operation("GET", f"{_ONE}/git/commits/{{sha}}", commit, scope="contents"),
    Operation("GET", f"{_ONE}/git/tags/{{sha}}", tag, scope="contents"),
    Operation("GET", f"{_ONE}/git/refs/{{ref}}", one_ref, scope="contents"),
    Operation("GET", f"{_ONE}/tags", tags, scope="contents"),
    Operation("GET", f"{_ONE}/contributors", contributors),
    Operation("GET", f"{_ONE}/commits/{{commit_sha}}/branches-where-head", branches_where_head, scope="contents"),
    Operation("POST", f"{_ONE}/merges", merge, scope="contents", role="write"),
    *(Operation("GET", f"{_ONE}/{name}", handler, scope="contents") for name, handler in _ARCHIVES),
    *(Operation("GET", f"{_ONE}/{name}/{{ref}}", handler, scope="contents") for name, handler in _ARCHIVES),
)
