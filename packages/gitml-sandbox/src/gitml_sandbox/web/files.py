"""Pages of repositories and their files: the list, folders with README, files, raw files, branches."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import Response

from gitml_sandbox.forge import protections, pulls, repos, users
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.reading import Entry
from gitml_sandbox.rest.contents import clean
from gitml_sandbox.web import code as web_code
from gitml_sandbox.web import guard as web_guard
from gitml_sandbox.web import markdown as web_markdown
from gitml_sandbox.web.markdown import Place
from gitml_sandbox.web.serve import Page, Visit

MAX_SHOWN = 2 << 20
MAX_ENTRIES = 1_000
MAX_LOG = 400
# What raw files may do in a browser: nothing; a picture in SVG may have its own colours.
RAW_CSP = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"


@dataclass(frozen=True)
class At:
    """A place in a repository: ``ref`` as the address names it, its commit, the path below."""

    bare: Path
    ref: str
    sha: str
    path: str

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Each folder of the path: its name and its whole path."""
        parts = self.path.split("/") if self.path else []
        return [(name, "/".join(parts[: n + 1])) for n, name in enumerate(parts)]


def bare_of(visit: Visit) -> Path:
    return repos.path(visit.sandbox, visit.repo)


def place_of(visit: Visit, ref: str = "", folder: str = "") -> Place:
    """How Markdown of this repository is to be read."""
    base = visit.sandbox.base_url
    port = urlsplit(base).port
    scheme = base.partition("://")[0]
    hosts = {base, *(f"{scheme}://{name}:{port}" for name in ("localhost", "127.0.0.1"))}
    return Place(
        home=visit.home,
        ref=ref or visit.repo.default_branch,
        folder=folder,
        hosts=tuple(hosts),
        is_user=lambda login: users.find(visit.tx, login) is not None,
    )


def locate(visit: Visit) -> At:
    """Split the rest of the address into ref and path: the longest branch or tag wins, then a commit."""
    rest, bare = visit.path.get("rest", "").strip("/"), bare_of(visit)
    words = rest.split("/") if rest else [visit.repo.default_branch]
    if len(rest) > 4096 or any(ord(c) < 32 for c in rest):
        raise not_found()
    names = ["/".join(words[:n]) for n in range(min(len(words), 12), 0, -1)]
    refs = [f"refs/{kind}/{name}" for name in names for kind in ("heads", "tags")]
    found = gitrepo.resolve_all(bare, [f"{r}^{{commit}}" if gitrepo.valid_ref(r) else "" for r in refs])
    for number, sha in enumerate(found):
        if sha:
            name = names[number // 2]
            return At(bare, name, sha, _path(rest[len(name) :].strip("/")))
    sha = gitview.find_commit(bare, words[0])
    if sha is None:
        raise not_found()
    return At(bare, words[0], sha, _path("/".join(words[1:])))


def _path(path: str) -> str:
    if path and not clean(path):
        raise not_found()
    return path


def index(visit: Visit) -> Response:
    """All repositories that the visitor can see."""
    owner = visit.path.get("login", "")
    found = repos.listing(visit.tx, visit.user.id if visit.user else None)
    rows = [r for r in found if not owner or r.owner.lower() == owner.lower()]
    rows.sort(key=lambda r: r.pushed_at, reverse=True)
    who = users.find(visit.tx, owner) if owner else None
    if owner and who is None:
        raise not_found()
    counts = {r.id: _open_pulls(visit.tx, r) for r in rows}
    return visit.show("repos.html", rows=rows, counts=counts, who=who)


def _open_pulls(tx: sqlite3.Connection, repo: Repo) -> int:
    sql = "SELECT count(*) AS n FROM issues WHERE repo_id = ? AND is_pull = 1 AND state = 'open'"
    return int(tx.execute(sql, (repo.id,)).fetchone()["n"])


def home(visit: Visit) -> Response:
    """The files of the default branch; of an empty repository, how to fill it."""
    bare = bare_of(visit)
    if gitrepo.ref_sha(bare, f"refs/heads/{visit.repo.default_branch}") is None:
        return visit.show("empty.html", tab="files", clone=clone_url(visit))
    return tree(visit)


def clone_url(visit: Visit) -> str:
    return f"{visit.sandbox.base_url}/{visit.repo.full_name}.git"


def tree(visit: Visit) -> Response:
    """A folder, with its README below."""
    at = locate(visit)
    entries = gitview.tree(at.bare, at.sha, at.path)
    if not entries and at.path:
        raise not_found()
    entries.sort(key=lambda e: (e.type != "tree", e.path.lower()))
    return visit.show(
        "tree.html",
        tab="files",
        at=at,
        entries=entries[:MAX_ENTRIES],
        left_out=max(len(entries) - MAX_ENTRIES, 0),
        changed=last_changes(at, entries),
        latest=gitview.commit(at.bare, at.sha),
        commits=int(gitrepo.out(at.bare, "rev-list", "--count", at.sha)),
        branches=branch_names(at.bare),
        tags=gitrepo.out(at.bare, "for-each-ref", "--count=200", "--format=%(refname:lstrip=2)", "refs/tags").split(
            "\n"
        ),
        readme=_readme(visit, at, entries),
        clone=clone_url(visit),
    )


def branch_names(bare: Path) -> list[str]:
    listed = gitrepo.out(bare, "for-each-ref", "--count=500", "--format=%(refname:lstrip=2)", "refs/heads")
    return listed.split("\n") if listed else []


def last_changes(at: At, entries: list[Entry]) -> dict[str, tuple[str, str, str]]:
    """For each name of a folder: the newest commit that touched it (name, time, subject), in the last 400 commits."""
    words = ["log", "-z", f"--max-count={MAX_LOG}", "--first-parent", "-m", "--name-only", "--no-renames"]
    tail = ["--", at.path] if at.path else ["--"]
    form = "--format=%x01%H%x02%cI%x02%s%x03"
    said = gitrepo.out(at.bare, "--literal-pathspecs", *words, form, at.sha, *tail)
    names = {e.path for e in entries}
    found: dict[str, tuple[str, str, str]] = {}
    prefix = f"{at.path}/" if at.path else ""
    for block in said.split("\x01")[1:]:
        head, _, paths = block.partition("\x03")
        sha, when, subject = head.split("\x02", 2)
        for path in paths.strip("\0\n").split("\0"):
            name = prefix + path[len(prefix) :].partition("/")[0]
            if name in names:
                found.setdefault(name, (sha, when, subject))
        if len(found) == len(names):
            break
    return found


def _readme(visit: Visit, at: At, entries: list[Entry]) -> dict[str, Any] | None:
    wanted = ("readme.md", "readme.markdown", "readme", "readme.txt", "readme.rst")
    files = {e.path.rpartition("/")[2].lower(): e for e in reversed(entries) if e.type == "blob" and e.mode != "120000"}
    entry = next((files[name] for name in wanted if name in files), None)
    if entry is None or entry.size > MAX_SHOWN:
        return None
    text = gitview.blob(at.bare, entry.sha).decode(errors="replace")
    is_markdown = entry.path.lower().endswith((".md", ".markdown"))
    html = web_markdown.render(text, place_of(visit, at.ref, at.path)) if is_markdown else None
    return {"name": entry.path.rpartition("/")[2], "html": html, "text": text}


def blob(visit: Visit) -> Response:
    """One file: text with numbered lines, Markdown as a page, a picture, or a word about why not."""
    at = locate(visit)
    entry = gitview.entry(at.bare, at.sha, at.path) if at.path else None
    if entry is None or entry.type == "tree":
        if entry is not None or not at.path:
            return tree(visit)
        raise not_found()
    shown = _shown(visit, at, entry)
    return visit.show("blob.html", tab="files", at=at, entry=entry, branches=branch_names(at.bare), **shown)


def _shown(visit: Visit, at: At, entry: Entry) -> dict[str, Any]:
    kind: dict[str, Any] = {"kind": "", "lines": [], "html": None, "target": "", "left_out": 0}
    if entry.type == "commit":
        return {**kind, "kind": "submodule"}
    if entry.size > MAX_SHOWN:
        return {**kind, "kind": "large"}
    data = gitview.blob(at.bare, entry.sha)
    if entry.mode == "120000":
        return {**kind, "kind": "link", "target": data.decode(errors="replace")}
    if web_code.image_type(data, entry.path):
        return {**kind, "kind": "image"}
    if web_code.is_binary(data):
        return {**kind, "kind": "binary"}
    text = data.decode(errors="replace")
    if entry.path.lower().endswith((".md", ".markdown")) and visit.query.get("plain") != "1":
        place = place_of(visit, at.ref, at.path.rpartition("/")[0])
        return {**kind, "kind": "markdown", "html": web_markdown.render(text, place)}
    left_out = max(text.count("\n") - web_code.MAX_LINES, 0)
    return {**kind, "kind": "text", "lines": web_code.lines(text, entry.path), "left_out": left_out}


def raw(visit: Visit) -> Response:
    """The bytes of a file. Only pictures keep their type: all else is plain text or a download."""
    at = locate(visit)
    entry = gitview.entry(at.bare, at.sha, at.path) if at.path else None
    if entry is None or entry.type != "blob" or entry.mode == "120000":
        raise not_found()
    data = gitview.blob(at.bare, entry.sha)
    kind = web_code.image_type(data, entry.path)
    if kind is None:
        kind = "application/octet-stream" if web_code.is_binary(data) else "text/plain; charset=utf-8"
    headers = {**web_guard.CACHE, "Content-Security-Policy": RAW_CSP}
    if kind == "application/octet-stream":
        name = re.sub(r"[^A-Za-z0-9._-]", "_", entry.path.rpartition("/")[2])
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(data, headers=headers, media_type=kind)


def branches(visit: Visit) -> Response:
    """All branches, newest first, with their protection and their open pull request."""
    bare = bare_of(visit)
    form = "--format=%(refname:lstrip=2)%00%(objectname)%00%(committerdate:iso-strict)%00%(subject)"
    said = gitrepo.out(bare, "for-each-ref", "--sort=-committerdate", "--count=500", form, "refs/heads")
    rows = [line.split("\0", 3) for line in said.split("\n") if line]
    opened = {p.head_ref: p for p in pulls.listing(visit.tx, visit.repo.id) if p.head_repo_id == visit.repo.id}
    guarded = protections.branches(visit.tx, visit.repo.id)
    return visit.show("branches.html", tab="branches", rows=rows, opened=opened, guarded=guarded)


_R = "/{owner}/{repo}"
PAGES = (
    Page("/", index),
    Page(_R, home),
    Page(f"{_R}/tree/{{rest:path}}", tree),
    Page(f"{_R}/blob/{{rest:path}}", blob),
    Page(f"{_R}/raw/{{rest:path}}", raw, scope="contents"),
    Page(f"{_R}/branches", branches),
)
