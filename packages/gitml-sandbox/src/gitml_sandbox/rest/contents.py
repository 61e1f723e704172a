"""REST: files, read and written one at a time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from gitml_sandbox.changes import refs
from gitml_sandbox.clock import iso
from gitml_sandbox.forge import push_policy, repos
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.refusals import RefusalError, invalid, not_found
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git import writing as gitwrite
from gitml_sandbox.git.reading import Entry, Signature
from gitml_sandbox.git.repository import ZERO, Change
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, text
from gitml_sandbox.rest.git import bare_of
from gitml_sandbox.serial import git as json_of
from gitml_sandbox.serial.people import JSON

_RAW = "application/vnd.github.raw; charset=utf-8"


class Person(Body):
    name: str
    email: str
    date: str | None = None


class File(Body):
    message: str
    content: str
    sha: str | None = None
    branch: str | None = None
    author: Person | None = None
    committer: Person | None = None


def _at(call: Call) -> tuple[str, str]:
    """The ref as asked and its commit."""
    ref = call.query.get("ref") or call.repo.default_branch
    sha = gitview.find_commit(bare_of(call), ref)
    if sha is None:
        raise RefusalError(
            404, f"No commit found for the ref {ref}" if "ref" in call.query else "This repository is empty."
        )
    return ref, sha


def read(call: Call) -> Reply:
    """A file, the list of a folder, a link or a submodule; raw bytes where the client accepts them."""
    ref, sha = _at(call)
    bare = bare_of(call)
    path = call.path.get("path", "").strip("/")
    if not path:
        return _folder(call, ref, gitview.tree(bare, sha), path)
    entry = gitview.entry(bare, sha, path) if clean(path) else None
    if entry is None:
        raise not_found()
    if entry.type == "tree":
        return _folder(call, ref, gitview.tree(bare, sha, path), path, entry)
    if entry.type == "blob" and call.wants("raw"):
        return text(gitview.blob(bare, entry.sha), _RAW)
    return Reply(_item(call, ref, entry))


def _item(call: Call, ref: str, entry: Entry) -> JSON:
    view, repo, bare = call.view, call.repo, bare_of(call)
    if entry.type == "commit":
        return {**json_of.content(view, repo, entry, ref), "submodule_git_url": ""}
    data = gitview.blob(bare, entry.sha)
    if entry.mode == "120000":
        return {**json_of.content(view, repo, entry, ref), "target": data.decode(errors="replace")}
    return json_of.content(view, repo, entry, ref, data)


def _folder(call: Call, ref: str, entries: Sequence[Entry], path: str, me: Entry | None = None) -> Reply:
    items = [json_of.content(call.view, call.repo, e, ref) for e in entries[:1000]]
    if call.wants("object"):
        root = me or Entry(
            "040000", "tree", gitrepo.out(bare_of(call), "rev-parse", f"{_at(call)[1]}^{{tree}}"), 0, path
        )
        media = "application/vnd.github.object+json; charset=utf-8"
        return Reply({**json_of.content(call.view, call.repo, root, ref), "entries": items}, media=media)
    return Reply(items)


def readme(call: Call) -> Reply:
    ref, sha = _at(call)
    bare = bare_of(call)
    names = ("readme.md", "readme", "readme.rst", "readme.txt")
    files = {e.path.rsplit("/", 1)[-1].lower(): e for d in (".github", "", "docs")[::-1] for e in _blobs(call, sha, d)}
    entry = next((files[n] for n in names if n in files), None)
    if entry is None:
        raise not_found()
    data = gitview.blob(bare, entry.sha)
    return text(data, _RAW) if call.wants("raw") else Reply(json_of.content(call.view, call.repo, entry, ref, data))


def _blobs(call: Call, sha: str, folder: str) -> list[Entry]:
    return [e for e in gitview.tree(bare_of(call), sha, folder) if e.mode in ("100644", "100755")]


def clean(path: str) -> bool:
    """Whether it can be a path inside a work tree: nothing that leaves it, nothing of Git's own."""
    parts = path.split("/")
    return (
        all(p and p not in (".", "..") and p.lower() != ".git" for p in parts)
        and not any(ord(c) < 32 or c == "\x7f" for c in path)
        and len(path) <= 4096
    )


def write(call: Call) -> Reply:
    """Create or replace a file: 201 or 200; 409 when ``sha`` is not what is there; 422 when it is missing."""
    wanted, path, bare = call.body(File), call.path["path"].strip("/"), bare_of(call)
    if not clean(path):
        raise invalid("Commit", "path", "custom", "path contains a malformed path component")
    branch = wanted.branch or call.repo.default_branch
    ref = f"refs/heads/{branch}"
    if not gitrepo.valid_ref(ref):
        raise invalid("Commit", "branch")
    with call.sandbox.locks.of(call.repo.id):
        tip = gitrepo.ref_sha(bare, ref)
        if tip is None and gitrepo.all_refs(bare):
            raise RefusalError(404, f"Branch {branch} not found")
        before = gitview.entry(bare, tip, path) if tip else None
        _check_sha(path, before, wanted.sha)
        made = _commit(call, wanted, path, before, tip)
        try:
            refs.update(call.sandbox, call.repo, [Change(ref, tip or ZERO, made)], call.by)
        except push_policy.RefusedError as exc:
            raise _rule_violation(exc) from exc
    return _written(call, path, branch, made, existed=before is not None)


def _check_sha(path: str, before: Entry | None, sha: str | None) -> None:
    if before is not None and sha is None:
        raise RefusalError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if before is not None and before.type == "tree":
        raise RefusalError(422, f"{path} is a folder")
    if sha is not None and (before is None or before.sha != sha):
        raise RefusalError(409, f"{path} does not match {sha}")


def _commit(call: Call, wanted: File, path: str, before: Entry | None, tip: str | None) -> str:
    try:
        data = base64.b64decode(wanted.content.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        raise RefusalError(422, "content is not valid Base64") from None
    bare = bare_of(call)
    mode = before.mode if before and before.mode in ("100644", "100755") else "100644"
    tree = gitwrite.edit_tree(bare, tip, {path: (mode, gitwrite.write_blob(bare, data))})
    me = Signature(call.by.user.name or call.by.user.login, call.by.user.mail, call.sandbox.now())
    committer = _signature(wanted.committer, me)
    author = _signature(wanted.author or wanted.committer, me)
    message = wanted.message if wanted.message.strip() else f"Update {path}"
    return gitwrite.make_commit(bare, tree, [tip] if tip else [], message, gitwrite.Stamp(author, committer))


def _signature(person: Person | None, me: Signature) -> Signature:
    if person is None:
        return me
    for field in (person.name, person.email, person.date or ""):
        if any(c in field for c in "<>\n\0"):
            raise invalid("Commit", "author")
    if not person.name.strip() or not person.email.strip():
        raise invalid("Commit", "author", "missing_field")
    return Signature(person.name, person.email, _moment(person.date) if person.date else me.date)


def _moment(word: str) -> str:
    try:
        return iso(datetime.fromisoformat(word))
    except (ValueError, OverflowError):
        raise invalid("Commit", "date") from None


def _rule_violation(exc: push_policy.RefusedError) -> RefusalError:
    reasons = " ".join(line.removeprefix("error: ") for line in exc.lines)
    return RefusalError(409, f"Could not change file: {reasons}")


def _written(call: Call, path: str, branch: str, made: str, *, existed: bool) -> Reply:
    bare = bare_of(call)
    with call.sandbox.store.read() as tx:
        view = View(call.sandbox, tx, call.by.user.id)
        repo = repos.by_id(tx, call.repo.id)
        body = json_of.file_commit(view, repo, gitview.entry(bare, made, path), branch, gitview.commit(bare, made))
    return Reply(body, 200 if existed else 201)


_ONE = "/repos/{owner}/{repo}"
OPERATIONS = (
    Operation("GET", f"{_ONE}/contents", read, scope="contents"),
    Operation("GET", f"{_ONE}/contents/{{path}}", read, scope="contents"),
    Operation("PUT", f"{_ONE}/contents/{{path}}", write, scope="contents", role="write", tx="none", body=File),
    Operation("GET", f"{_ONE}/readme", readme, scope="contents"),
)
