"""What is in a bare repository: commits, trees, blobs, differences. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitml_sandbox.clock import iso_of
from gitml_sandbox.errors import OutsideError
from gitml_sandbox.git.repository import ask, git, out, resolve_all

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# GitHub leaves the patch of a very large file out; so do we.
MAX_PATCH = 500_000
_FIELDS = ("%H", "%T", "%P", "%an", "%ae", "%at", "%cn", "%ce", "%ct", "%B")


@dataclass(frozen=True)
class Signature:
    name: str
    email: str
    date: str


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str

    @property
    def subject(self) -> str:
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True)
class Entry:
    """One name in a tree. ``type``: blob, tree or commit (a submodule); ``size`` of a blob in bytes."""

    mode: str
    type: str
    sha: str
    size: int
    path: str


@dataclass(frozen=True)
class Tag:
    """An annotated tag: ``of`` is the object that it names, ``kind`` what that is."""

    sha: str
    name: str
    of: str
    kind: str
    tagger: Signature
    message: str


@dataclass(frozen=True)
class FileDiff:
    """One file of a difference. ``patch`` None: binary, or too large. ``status`` in GitHub's words."""

    path: str
    previous: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None


def commits(repo: Path, shas: Sequence[str]) -> list[Commit]:
    """The commits of these full names, in this order."""
    if not shas:
        return []
    words = ["log", "--no-walk=unsorted", "--stdin", "-z", "--encoding=UTF-8", f"--format={'%x00'.join(_FIELDS)}"]
    raw = git(repo, *words, stdin="\n".join(dict.fromkeys(shas)).encode()).stdout
    cells = raw.decode(errors="replace").split("\0")
    size = len(_FIELDS)
    found = [_commit(cells[at : at + size]) for at in range(0, len(cells) - size + 1, size)]
    by_sha = {c.sha: c for c in found}
    return [by_sha[s] for s in shas]


def _commit(cells: Sequence[str]) -> Commit:
    sha, tree, parents, name, email, at, cname, cemail, ct, message = cells
    return Commit(
        sha.strip(),
        tree,
        tuple(parents.split()),
        Signature(name, email, _time(at)),
        Signature(cname, cemail, _time(ct)),
        message.rstrip("\n"),
    )


def _time(epoch: str) -> str:
    return iso_of(int(epoch or 0))


def commit(repo: Path, sha: str) -> Commit:
    return commits(repo, [sha])[0]


@dataclass(frozen=True)
class LogQuery:
    """Which commits to list, newest first; empty texts: any. Of several authors or committers one is enough."""

    path: str = ""
    author: Sequence[str] = ()
    committer: Sequence[str] = ()
    since: str = ""
    until: str = ""


def log(repo: Path, sha: str, query: LogQuery | None = None) -> list[str]:
    """Names of the commits reachable from ``sha``, newest first."""
    wanted = query or LogQuery()
    words = ["rev-list", "--fixed-strings", "--regexp-ignore-case"]
    words += [f"--author={word}" for word in wanted.author]
    words += [f"--committer={word}" for word in wanted.committer]
    for name in ("since", "until"):
        value = getattr(wanted, name)
        if value:
            words.append(f"--{name}={value}")
    tail = ["--", wanted.path] if wanted.path else ["--"]
    return out(repo, "--literal-pathspecs", *words, sha, *tail).split()


def tree(repo: Path, treeish: str, path: str = "", *, recursive: bool = False) -> list[Entry]:
    """The names of one folder, or of all that is below it; empty when it is none."""
    rev = f"{treeish}:{path}" if path else treeish
    done = git(repo, "ls-tree", "-z", "--long", *(("-r", "-t") if recursive else ()), rev, check=False)
    if done.returncode != 0:
        return []
    prefix = f"{path}/" if path else ""
    lines = done.stdout.decode(errors="surrogateescape").split("\0")
    return [_entry(line, prefix) for line in lines if line]


def _entry(line: str, prefix: str) -> Entry:
    head, name = line.split("\t", 1)
    mode, kind, sha, size = head.split()
    return Entry(mode, kind, sha, int(size) if size != "-" else 0, prefix + name)


def entry(repo: Path, treeish: str, path: str) -> Entry | None:
    """One path of a commit, or None. Never follows symbolic links."""
    words = ["--literal-pathspecs", "ls-tree", "-z", "--long", "--full-tree", treeish, "--", path]
    with suppress(OutsideError):
        lines = [line for line in ask(repo, *words, ids=(treeish,))[1].split("\0") if line]
        return _entry(lines[0], "") if lines else None
    return None


def blob(repo: Path, sha: str) -> bytes:
    return git(repo, "cat-file", "blob", sha).stdout


def tag(repo: Path, sha: str) -> Tag:
    """An annotated tag by its full name."""
    head, _, message = git(repo, "cat-file", "tag", sha).stdout.decode(errors="replace").partition("\n\n")
    said = dict(line.split(" ", 1) for line in head.splitlines())
    name, _, rest = said.get("tagger", " <> 0 +0000").partition(" <")
    email, _, when = rest.partition("> ")
    return Tag(sha, said["tag"], said["object"], said["type"], Signature(name, email, _time(when.split()[0])), message)


def text(repo: Path, commit_sha: str, path: str) -> str | None:
    """The text of a file of a commit; None if it is not there."""
    found = entry(repo, commit_sha, path)
    if found is None or found.type != "blob" or found.mode == "120000":
        return None
    return blob(repo, found.sha).decode(errors="replace")


def first_parent_or_empty(repo: Path, sha: str) -> str:
    parents = commit(repo, sha).parents
    return parents[0] if parents else EMPTY_TREE


def changed_paths(repo: Path, old: str, new: str) -> list[str]:
    """Every path that differs: of a rename both names, so that owners of either are asked."""
    _, raw = ask(repo, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new, ids=(old, new))
    return [p for p in raw.split("\0") if p]


def same_changes(repo: Path, a: tuple[str, str], b: tuple[str, str]) -> bool:
    """Whether two differences (old, new) turn the same blobs into the same blobs."""
    words = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev"]
    return ask(repo, *words, *a, ids=a) == ask(repo, *words, *b, ids=b)


_STATUS = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}
_DIFF = ("-r", "-M", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")


def diff(repo: Path, old: str, new: str) -> str:
    """The unified difference as text."""
    return git(repo, "diff-tree", "-p", "--binary", "--full-index", *_DIFF, old, new).stdout.decode(errors="replace")


def patch(repo: Path, span: Sequence[str]) -> str:
    """`git format-patch` of ["-1", commit] or ["a..b"], as one mailbox."""
    words = ["format-patch", "--stdout", "--no-signature", "--no-ext-diff", "--no-textconv", "--binary"]
    return git(repo, *words, *span).stdout.decode(errors="replace")


def files(repo: Path, old: str, new: str) -> list[FileDiff]:
    """What changed, file by file, with patches."""
    names = list(_raw(out(repo, "diff-tree", "-z", "--raw", "--no-abbrev", *_DIFF, old, new)))
    counts = _counts(out(repo, "diff-tree", "-z", "--numstat", *_DIFF, old, new))
    patches = iter(_patches(git(repo, "diff-tree", "-p", *_DIFF, old, new).stdout.decode(errors="replace")))
    found = []
    for letter, sha, previous, path in names:
        # A file that turns into a link is two differences of one path: removed and added.
        parts = [next(patches, None) for _ in range(2 if letter == "T" else 1)]
        body = "\n".join(p for p in parts if p) or None
        added, removed = counts.get(path, (0, 0))
        found.append(FileDiff(path, previous, _STATUS.get(letter, "changed"), sha, added, removed, body))
    return found


def _raw(text_: str) -> Iterator[tuple[str, str, str | None, str]]:
    cells = iter(text_.split("\0"))
    for cell in cells:
        if not cell.startswith(":"):
            continue
        _, _, old_sha, new_sha, status = cell.split(" ")
        first = next(cells)
        second = next(cells) if status[0] in "RC" else None
        sha = old_sha if status[0] == "D" else new_sha
        yield status[0], sha, (first if second is not None else None), second if second is not None else first


def _counts(text_: str) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    cells = iter(text_.split("\0"))
    for cell in cells:
        if cell.count("\t") < 2:
            continue
        added, removed, path = cell.split("\t", 2)
        if not path:
            next(cells)
            path = next(cells)
        found[path] = (_number(added), _number(removed))
    return found


def counts(repo: Path, old: str, new: str) -> tuple[int, int, int]:
    """Files changed, lines added, lines removed."""
    found = _counts(ask(repo, "diff-tree", "-z", "--numstat", *_DIFF, old, new, ids=(old, new))[1])
    return len(found), sum(a for a, _ in found.values()), sum(r for _, r in found.values())


def _number(word: str) -> int:
    return int(word) if word.isdigit() else 0


def _patches(text_: str) -> Iterator[str | None]:
    """The hunks of each file. Lines of content never start with `diff --git`: they have a sign in front."""
    section: list[str] | None = None
    for line in text_.split("\n"):
        if line.startswith("diff --git "):
            if section is not None:
                yield _hunks(section)
            section = []
        elif section is not None:
            section.append(line)
    if section is not None:
        yield _hunks(section)


def _hunks(lines: list[str]) -> str | None:
    start = next((n for n, line in enumerate(lines) if line.startswith("@@ ")), None)
    if start is None:
        return None
    body = "\n".join(lines[start:]).rstrip("\n")
    return body if len(body) <= MAX_PATCH else None


def find_commit(repo: Path, name: str) -> str | None:
    """A branch, a tag, a full ref or the name of a commit (also short), in GitHub's order."""
    if not name or name.startswith("-") or any(c in name for c in "~^:?*[\\ ") or ".." in name or "@{" in name:
        return None
    is_hex = 4 <= len(name) <= 40 and all(c in "0123456789abcdefABCDEF" for c in name)
    full = name.startswith("refs/") or is_hex
    asked = [f"refs/heads/{name}", f"refs/tags/{name}", f"refs/{name}", *([name] if full else [])]
    return next(filter(None, resolve_all(repo, [f"{rev}^{{commit}}" for rev in asked])), None)
