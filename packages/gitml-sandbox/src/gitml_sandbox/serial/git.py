"""JSON of what is in Git: commits, files, refs, comparisons."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from gitml_sandbox.forge import emails, protections, repos
from gitml_sandbox.forge.context import View
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git.reading import Commit, Entry, FileDiff, Signature, Tag
from gitml_sandbox.serial import people as people_json
from gitml_sandbox.serial.people import JSON, node_id, repo_api, repo_web

_UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def _git_user(who: Signature) -> JSON:
    return {"name": who.name, "email": who.email, "date": who.date}


def _account(view: View, who: Signature) -> JSON | None:
    found = emails.owner(view.tx, who.email)
    return people_json.user(view, found) if found else None


def commit(view: View, repo: Repo, this: Commit) -> JSON:
    """commit, without files and stats."""
    api, web = repo_api(view, repo), repo_web(view, repo)
    count = "SELECT count(*) AS n FROM commit_comments WHERE repo_id = ? AND sha = ?"
    return {
        "sha": this.sha,
        "node_id": node_id("Commit", this.sha),
        "commit": {
            "author": _git_user(this.author),
            "committer": _git_user(this.committer),
            "message": this.message,
            "tree": {"sha": this.tree, "url": f"{api}/git/trees/{this.tree}"},
            "url": f"{api}/git/commits/{this.sha}",
            "comment_count": view.tx.execute(count, (repo.id, this.sha)).fetchone()["n"],
            "verification": _UNSIGNED,
        },
        "url": f"{api}/commits/{this.sha}",
        "html_url": f"{web}/commit/{this.sha}",
        "comments_url": f"{api}/commits/{this.sha}/comments",
        "author": _account(view, this.author),
        "committer": _account(view, this.committer),
        "parents": [{"sha": p, "url": f"{api}/commits/{p}", "html_url": f"{web}/commit/{p}"} for p in this.parents],
    }


def git_commit(view: View, repo: Repo, this: Commit) -> JSON:
    """git-commit: the object alone."""
    full = commit(view, repo, this)
    inner = {k: full["commit"][k] for k in ("author", "committer", "message", "tree", "url", "verification")}
    return {**{k: full[k] for k in ("sha", "node_id", "html_url", "parents")}, **inner}


def git_tag(view: View, repo: Repo, this: Tag) -> JSON:
    """git-tag."""
    api = repo_api(view, repo)
    return {
        "node_id": node_id("Tag", this.sha),
        "tag": this.name,
        "sha": this.sha,
        "url": f"{api}/git/tags/{this.sha}",
        "message": this.message,
        "tagger": _git_user(this.tagger),
        "object": {"sha": this.of, "type": this.kind, "url": f"{api}/git/{this.kind}s/{this.of}"},
        "verification": _UNSIGNED,
    }


def tag(view: View, repo: Repo, name: str, sha: str) -> JSON:
    api, ref = repo_api(view, repo), quote(f"refs/tags/{name}")
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{api}/commits/{sha}"},
        "zipball_url": f"{api}/zipball/{ref}",
        "tarball_url": f"{api}/tarball/{ref}",
        "node_id": node_id("Ref", f"{repo.id}:refs/tags/{name}"),
    }


def tree(view: View, repo: Repo, sha: str, entries: list[Entry]) -> JSON:
    """git-tree. A submodule has no link: its commit is elsewhere."""
    api = repo_api(view, repo)
    kinds = {"tree": "trees", "blob": "blobs"}
    listed = [
        {
            "path": e.path,
            "mode": e.mode,
            "type": e.type,
            "sha": e.sha,
            **({"size": e.size} if e.type == "blob" else {}),
            **({"url": f"{api}/git/{kinds[e.type]}/{e.sha}"} if e.type in kinds else {}),
        }
        for e in entries
    ]
    return {"sha": sha, "url": f"{api}/git/trees/{sha}", "tree": listed, "truncated": False}


def blob(view: View, repo: Repo, sha: str, data: bytes) -> JSON:
    return {
        "sha": sha,
        "node_id": node_id("Blob", sha),
        "size": len(data),
        "url": f"{repo_api(view, repo)}/git/blobs/{sha}",
        "content": base64.encodebytes(data).decode(),
        "encoding": "base64",
    }


def branch_head(view: View, repo: Repo, name: str, sha: str) -> JSON:
    """branch-short."""
    guarded = protections.find(view.tx, repo.id, name) is not None
    return {"name": name, "commit": {"sha": sha, "url": f"{repo_api(view, repo)}/commits/{sha}"}, "protected": guarded}


def full_commit(view: View, repo: Repo, this: Commit, files: list[FileDiff]) -> JSON:
    added, removed = sum(f.additions for f in files), sum(f.deletions for f in files)
    return {
        **commit(view, repo, this),
        "stats": {"total": added + removed, "additions": added, "deletions": removed},
        "files": [diff_entry(view, repo, f, this.sha) for f in files],
    }


def diff_entry(view: View, repo: Repo, file: FileDiff, sha: str) -> JSON:
    api, web, path = repo_api(view, repo), repo_web(view, repo), quote(file.path)
    return {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{web}/blob/{sha}/{path}",
        "raw_url": f"{web}/raw/{sha}/{path}",
        "contents_url": f"{api}/contents/{path}?ref={sha}",
        **({"patch": file.patch} if file.patch is not None else {}),
        **({"previous_filename": file.previous} if file.previous else {}),
    }


def git_ref(view: View, repo: Repo, ref: str, sha: str, kind: str) -> JSON:
    api = repo_api(view, repo)
    return {
        "ref": ref,
        "node_id": node_id("Ref", f"{repo.id}:{ref}"),
        "url": f"{api}/git/{quote(ref)}",
        "object": {"sha": sha, "type": kind, "url": f"{api}/git/{kind}s/{sha}"},
    }


def content(view: View, repo: Repo, entry: Entry, ref: str, data: bytes | None = None) -> JSON:
    """One path: content-file with ``data``, else an item of content-directory."""
    api, web, path = repo_api(view, repo), repo_web(view, repo), quote(entry.path)
    kind = content_type(entry)
    place = "tree" if kind == "dir" else "blob"
    git_url = f"{api}/git/{'trees' if kind == 'dir' else 'blobs'}/{entry.sha}"
    links = {
        "self": f"{api}/contents/{path}?ref={quote(ref)}",
        "git": git_url,
        "html": f"{web}/{place}/{quote(ref)}/{path}",
    }
    shown: dict[str, Any] = {
        "name": entry.path.rsplit("/", 1)[-1],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size,
        "url": links["self"],
        "html_url": links["html"],
        "git_url": git_url,
        "download_url": None if kind in ("dir", "submodule") else f"{web}/raw/{quote(ref)}/{path}",
        "type": kind,
        "_links": links,
    }
    if data is not None:
        shown |= _body(data)
    return shown


def content_type(entry: Entry) -> str:
    return {"040000": "dir", "160000": "submodule", "120000": "symlink"}.get(entry.mode, "file")


# GitHub sends no content above one megabyte: the client has to ask for raw.
MAX_INLINE = 1024 * 1024


def _body(data: bytes) -> JSON:
    if len(data) > MAX_INLINE:
        return {"content": "", "encoding": "none"}
    return {"content": base64.encodebytes(data).decode(), "encoding": "base64"}


def file_commit(view: View, repo: Repo, entry: Entry | None, branch: str, made: Commit) -> JSON:
    full = commit(view, repo, made)
    inner = full["commit"]
    return {
        "content": content(view, repo, entry, branch) if entry else None,
        "commit": {
            **{k: full[k] for k in ("sha", "node_id", "url", "html_url", "parents")},
            **{k: inner[k] for k in ("author", "committer", "message", "tree", "verification")},
        },
    }


def comparison(
    view: View,
    repo: Repo,
    names: tuple[str, str],
    sides: tuple[Commit, Commit, Commit],
    counts: tuple[int, int],
    page: tuple[list[Commit], list[FileDiff]],
) -> JSON:
    """commit-comparison. ``sides`` are base, merge base, head; ``counts`` ahead and behind."""
    api, web = repo_api(view, repo), repo_web(view, repo)
    base, middle, head = sides
    ahead, behind = counts
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}.get(
        (ahead > 0, behind > 0), "diverged"
    )
    span = f"{quote(names[0], safe='')}...{quote(names[1], safe='')}"
    owner = repos.by_id(view.tx, repo.id).owner
    return {
        "url": f"{api}/compare/{span}",
        "html_url": f"{web}/compare/{span}",
        "permalink_url": f"{web}/compare/{owner}:{base.sha[:7]}...{owner}:{head.sha[:7]}",
        "diff_url": f"{web}/compare/{span}.diff",
        "patch_url": f"{web}/compare/{span}.patch",
        "base_commit": commit(view, repo, base),
        "merge_base_commit": commit(view, repo, middle),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [commit(view, repo, c) for c in page[0]],
        "files": [diff_entry(view, repo, f, head.sha) for f in page[1]],
    }
