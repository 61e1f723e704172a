"""Bare repositories and their refs: small functions over git, blind to anybody's configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from gitml_sandbox import process
from gitml_sandbox.errors import OutsideError

ZERO = "0" * 40
_FULL = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")

# Configuration given by environment beats what is in a repository, so that no file in it can weaken these.
_CONFIG = {
    "advice.detachedHead": "false",
    "core.alternateRefsCommand": "true",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "gc.auto": "0",
    "init.defaultBranch": "main",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "user.useConfigOnly": "false",
}


def environment(extra: Mapping[str, str] | None = None, config: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that make git deaf to system, user and repository settings that matter."""
    settings = {**_CONFIG, **(config or {})}
    numbered = {f"GIT_CONFIG_KEY_{n}": key for n, key in enumerate(settings)}
    numbered |= {f"GIT_CONFIG_VALUE_{n}": value for n, value in enumerate(settings.values())}
    fixed = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
    return {**fixed, "GIT_CONFIG_COUNT": str(len(settings)), **numbered, **(extra or {})}


def git(
    repo: Path,
    *words: str,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a bare repository; at most two minutes."""
    command = ["git", f"--git-dir={repo}", *words]
    return process.run(command, cwd=repo, env=environment(env), stdin=stdin, timeout=120, check=check)


def out(repo: Path, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
    """The text that git prints, without the last line end."""
    return git(repo, *words, stdin=stdin, env=env).stdout.decode(errors="surrogateescape").rstrip("\n")


def ask(repo: Path, *words: str, ids: Sequence[str]) -> tuple[int, str]:
    """Exit code (0 or 1) and text of a question about the objects ``ids``, which are among the words.

    Objects never change: by their full names, the same question is put to git once. Raises OutsideError.
    """
    return _asked(repo, words) if all(map(_FULL.fullmatch, ids)) else _ask(repo, words)


@lru_cache(maxsize=1024)
def _asked(repo: Path, words: tuple[str, ...]) -> tuple[int, str]:
    return _ask(repo, words)


def _ask(repo: Path, words: tuple[str, ...]) -> tuple[int, str]:
    done = git(repo, *words, check=False)
    if done.returncode > 1:
        # Raised, so not remembered: an object that is missing may still come.
        raise OutsideError(f"git {words[0]} failed: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return done.returncode, done.stdout.decode(errors="surrogateescape").rstrip("\n")


@dataclass(frozen=True)
class Change:
    """One ref from ``old`` to ``new``; ZERO means that it does not exist."""

    ref: str
    old: str
    new: str


def create(path: Path, *, branch: str = "main", source: Path | None = None) -> None:
    """A bare repository at ``path``: empty, or with branches and tags of ``source``. Whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=path.parent))
    try:
        words = ["clone", "--bare", "--quiet", "--template=", str(source)] if source else ["init", "--bare", "--quiet"]
        extra = [] if source else ["--template=", f"--initial-branch={branch}"]
        bare = scratch / "bare"
        process.run(["git", *words, *extra, str(bare)], cwd=scratch, env=environment(), timeout=600)
        if source:
            git(bare, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
            git(bare, "remote", "remove", "origin", check=False)
        remove(path)
        bare.rename(path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove(path: Path) -> None:
    if path.exists():
        gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=path.parent))
        path.rename(gone / "bare")
        shutil.rmtree(gone, ignore_errors=True)


def set_head(repo: Path, branch: str) -> None:
    git(repo, "symbolic-ref", "HEAD", f"refs/heads/{branch}")


def valid_ref(ref: str) -> bool:
    """Whether git would take it as a full ref name. Pure: the rules of git-check-ref-format(1)."""
    parts = ref.split("/")
    if any("\ud800" <= c <= "\udfff" for c in ref):
        return False  # no UTF-8: git would take it, JSON and SQLite would not
    if len(parts) < 2 or parts[0] != "refs" or len(ref.encode(errors="replace")) > 255 or ref.endswith("."):
        return False
    if any(not p or p.startswith(".") or p.endswith(".lock") for p in parts):
        return False
    return not any(c <= " " or c in "~^:?*[\\\x7f" for c in ref) and ".." not in ref and "@{" not in ref


def all_refs(repo: Path) -> dict[str, str]:
    """Every ref and the object it names, refs/pull/ included."""
    listed = out(repo, "for-each-ref", "--format=%(refname) %(objectname)")
    return dict(line.split(" ", 1) for line in listed.splitlines())


def resolve(repo: Path, rev: str, kind: str = "commit", *, env: Mapping[str, str] | None = None) -> str | None:
    """The full name of the object of this kind ('commit', 'tree', 'blob', 'tag', '' for any), or None."""
    return resolve_all(repo, [f"{rev}^{{{kind}}}" if kind else rev], env=env)[0]


def resolve_all(repo: Path, revs: Sequence[str], *, env: Mapping[str, str] | None = None) -> list[str | None]:
    """The full names of many objects in one call; None for each that is not there."""
    asked = ["-" if "\n" in rev or "\0" in rev or not rev else rev for rev in revs]
    lines = "".join(f"{rev}\n" for rev in asked).encode(errors="surrogateescape")
    said = out(repo, "cat-file", "--batch-check=%(objectname)", stdin=lines, env=env).split("\n")
    return [words if re.fullmatch("[0-9a-f]{40,64}", words) else None for words in said]


def ref_sha(repo: Path, ref: str) -> str | None:
    """What a full ref name points at now."""
    if not valid_ref(ref):
        return None
    try:
        # git moves a ref by renaming a new file to it, and a file counts before what is packed.
        word = (repo / ref).read_text().strip()
    except (OSError, UnicodeDecodeError):
        word = ""
    return word if _FULL.fullmatch(word) else resolve(repo, ref, "")


def update_refs(repo: Path, changes: Iterable[Change]) -> None:
    """All of them or none, each only if it still is at ``old``. Raises OutsideError when it is not."""
    for change in changes:
        if not valid_ref(change.ref):
            raise OutsideError(f"{change.ref!r} is no name for a ref")
    words = b"".join(f"update {c.ref}\0{c.new}\0{c.old}\0".encode(errors="surrogateescape") for c in changes)
    git(repo, "update-ref", "-z", "--stdin", "--no-deref", stdin=words)


def is_ancestor(repo: Path, old: str, new: str, *, env: Mapping[str, str] | None = None) -> bool:
    words = ("merge-base", "--is-ancestor", old, new)
    if env is not None:
        return git(repo, *words, env=env, check=False).returncode == 0
    with suppress(OutsideError):
        return ask(repo, *words, ids=(old, new))[0] == 0
    return False


def merge_base(repo: Path, a: str, b: str) -> str | None:
    with suppress(OutsideError):
        return ask(repo, "merge-base", a, b, ids=(a, b))[1] or None
    return None


def merges_between(repo: Path, old: str, new: str, *, env: Mapping[str, str] | None = None) -> list[str]:
    """Merge commits that ``new`` has and ``old`` (ZERO: nothing) has not."""
    span = [new] if old == ZERO else [new, f"^{old}"]
    return out(repo, "rev-list", "--merges", *span, env=env).split()


def ahead_behind(repo: Path, base: str, head: str) -> tuple[int, int]:
    """How many commits head has that base has not, and the other way round."""
    behind, ahead = out(repo, "rev-list", "--left-right", "--count", f"{base}...{head}").split()
    return int(ahead), int(behind)


def commits_between(repo: Path, old: str | None, new: str, *, limit: int = 0) -> list[str]:
    """Commits of ``new`` that ``old`` has not, oldest first; with a limit, the newest of them."""
    from_start = old is None or old == ZERO
    span = [new] if from_start else [new, f"^{old}"]
    bound = [f"--max-count={limit}"] if limit else []
    ids = (new,) if from_start else (new, str(old))
    return ask(repo, "rev-list", "--topo-order", *bound, *span, ids=ids)[1].split()[::-1]


def fetch(repo: Path, source: Path, sha: str, ref: str) -> None:
    """Bring a commit of another repository of this sandbox here, under ``ref``."""
    git(repo, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", str(source), f"+{sha}:{ref}")
