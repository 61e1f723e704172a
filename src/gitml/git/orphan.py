"""Branches that share no history with main: files are added without a clone or a work tree, safe with many writers.

A push starts from the branch's newest commit and is taken only while the branch is still there. Nothing is ever
overwritten. The files that the branch holds are left on the server where it can do that.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import secrets
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gitml import clock
from gitml.errors import IntegrityError, OutsideError
from gitml.git.bot import BOT_AUTHOR
from gitml.git.runner import git, settings
from gitml.retries import Patience

_MOVED = re.compile(
    "stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|already exists|incorrect old value"
)
_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ABSENT = "couldn't find remote ref"
# What a server or something before it says of a moment: too many requests, or nobody there.
_PASSING = re.compile(r"(?:returned error: |HTTP |HTTP/\d\.?\d? )(?:429|502|503|504)\b")
_PATIENCE = Patience(tries=5, first=0.5, longest=8.0)
_TRIES = 40
_SECONDS = 120.0
# Trees of months are fetched one by one when they are needed: a branch may have thousands of files.
_CONFIG = """\
[core]
    repositoryformatversion = 1
    bare = true
[extensions]
    partialClone = there
[fastimport]
    unpackLimit = 1
[gc]
    auto = 0
[maintenance]
    auto = false
"""


class _MovedError(OutsideError):
    """Somebody else pushed in between."""


@dataclass(frozen=True)
class Remote:
    """Where to push: a URL without a password, and the token. The token reaches git by the environment alone."""

    url: str
    token: str = field(default="", repr=False)
    user: str = "x-access-token"

    @classmethod
    def of(cls, url: str, token: str) -> Remote:
        """``url`` as people give it: a password in it is the token, unless there is another one, and leaves the URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or "@" not in parts.netloc:
            return cls(url, token)
        info, _, host = parts.netloc.rpartition("@")
        name, _, password = info.partition(":")
        bare = parts._replace(netloc=host).geturl()
        if token or not info:
            return cls(bare, token)
        # A token may stand alone before the @.
        return cls(bare, unquote(password or name), unquote(name) if password else cls.user)

    def environment(self) -> dict[str, str]:
        """Git's settings for a child process: the token for this server, no hooks, no questions."""
        wanted = {"credential.helper": ""}
        parts = urlsplit(self.url)
        if self.token and parts.scheme in ("http", "https"):
            wanted[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {self._basic}"
        return settings(wanted)

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.token}".encode()).decode()

    def clean(self, text: str) -> str:
        """The text without the token, plain or encoded."""
        if not self.token:
            return text
        return text.replace(self.token, "***").replace(self._basic, "***")

    def git(self, folder: Path, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
        """What ``git WORDS…`` prints in ``folder``; again after a while where the server is busy or away.

        Raises OutsideError without the token in it.
        """
        given = {**self.environment(), **(env or {})}
        failures = 0
        while True:
            try:
                return git(folder, *words, env=given, stdin=stdin, timeout=_SECONDS).stdout
            except OutsideError as exc:
                failures += 1
                # A push that came through before its answer was lost is up to date the second time.
                if failures == _PATIENCE.tries or not _PASSING.search(exc.message):
                    raise OutsideError(self.clean(exc.message), exc.hint) from None
            time.sleep(_PATIENCE.wait(failures))


@dataclass(frozen=True)
class Addition:
    """Files for a branch by their paths there, and the message of the commit that brings them.

    ``parents``: commits of other branches that it keeps reachable.
    """

    branch: str
    files: Mapping[str, bytes]
    message: str
    parents: Sequence[str] = ()

    def __post_init__(self) -> None:
        wrong = [path for path in self.files if not _PATH.fullmatch(path)]
        wrong += [parent for parent in self.parents if not _COMMIT.fullmatch(parent)]
        if wrong:
            raise IntegrityError(f"{wrong[0][:200]!r} is no path or commit for the branch {self.branch}")

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"

    @property
    def folders(self) -> list[str]:
        """All folders on the way to the files."""
        parts = (path.split("/")[:-1] for path in self.files)
        return sorted({"/".join(p[: i + 1]) for p in parts for i in range(len(p))})


def add(remote: Remote, addition: Addition) -> str:
    """Bring the files to the branch and return its commit; those that are there already add nothing.

    When the branch moved meanwhile it starts over on top. Raises IntegrityError when the branch holds something else
    under one of the paths, OutsideError when the server refuses or cannot be reached.
    """
    began = time.monotonic()
    for tries in range(1, _TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="gitml-branch-") as folder:
            work = _Work(Path(folder), remote, addition, "there")
            try:
                return work.add_to(_fetched(work))
            except _MovedError:
                if tries == _TRIES or time.monotonic() - began > _SECONDS:
                    raise
        # Writers that met are spread out, the longer the more often they met.
        time.sleep(random.uniform(0.01, 0.05) * min(tries, 20))  # noqa: S311
    raise AssertionError


def add_to(tip: str, near: Path, remote: Remote, addition: Addition, *, track: str) -> str | None:
    """The same without a fetch, where the clone ``near`` has the branch's ``tip``; None if it is not the tip any more.

    The objects are made in the clone, and its ref ``track`` follows what the server took.
    """
    name = "gitml-near"
    known = (f"remote.{name}.url={remote.url}", f"remote.{name}.fetch=+{addition.ref}:{track}")
    try:
        return _Work(near, remote, addition, name, known).add_to(tip)
    except _MovedError:
        return None


def growth(remote: Remote, branch: str, most: int) -> tuple[tuple[datetime, str], ...]:
    """When the newest commits of the branch were made, ``most`` of them, and what they say, newest first.

    Nothing is fetched but these commits. Raises OutsideError when the server cannot be asked.
    """
    with tempfile.TemporaryDirectory(prefix="gitml-branch-") as folder:
        work = _Work(Path(folder), remote, Addition(branch, {}, ""), "there")
        tip = _fetched(work, depth=most, filtered="tree:0")
        if tip is None:
            return ()
        told = work.git("log", f"-{most}", "--no-show-signature", "--format=%ct%n%B%x00", tip).decode(errors="replace")
        parts = (one.lstrip("\n").partition("\n") for one in told.split("\0") if one.strip())
        return tuple((datetime.fromtimestamp(int(when), UTC), said) for when, _, said in parts)


def _fetched(work: _Work, depth: int = 1, filtered: str = "tree:2") -> str | None:
    """The branch's tip in a new bare repository, and of its files none; None when there is no such branch yet."""
    _init(work)
    ref, parents = work.addition.ref, work.addition.parents
    words = (
        "fetch",
        "--quiet",
        f"--depth={depth}",
        "--no-tags",
        "--no-write-fetch-head",
        f"--filter={filtered}",
        work.there,
    )
    try:
        work.git(*words, f"+{ref}:{ref}", *parents)
    except OutsideError as exc:
        if f"{_ABSENT} {ref}" not in exc.message:
            raise
        if parents:
            work.git(*words, *parents)
        return None
    return (work.folder / ref).read_text(encoding="utf-8").strip()


def _init(work: _Work) -> None:
    """What `git init` would do, without the process."""
    for name in ("objects", "refs"):
        (work.folder / name).mkdir()
    url = work.remote.url.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    there = f'[remote "{work.there}"]\n    url = "{url}"\n    promisor = true\n'
    (work.folder / "config").write_text(_CONFIG + there, encoding="utf-8")
    (work.folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")


@dataclass(frozen=True)
class _Work:
    """A repository to make a commit in; ``there`` is what it calls the remote, which ``known`` describes to it."""

    folder: Path
    remote: Remote
    addition: Addition
    there: str
    known: Sequence[str] = ()

    def add_to(self, tip: str | None) -> str:
        """The commit on top of ``tip``, pushed; the tip itself when it has all of the files."""
        commit, is_new = self._import(tip)
        if is_new:
            self._push(commit, tip)
        return commit

    def _import(self, tip: str | None) -> tuple[str, bool]:
        """Blobs, trees and commit in one process; the commit, and whether it brings anything that is not there."""
        ask = [f'ls {tip} ""', *(f"ls {tip} {path}" for path in (*self.addition.folders, *self.addition.files))]
        asked = [f"{line}\n".encode() for line in ask if tip]
        # fast-import commits to a branch only: this one is nobody else's, and gone before it is written.
        branch = f"refs/gitml/new-{secrets.token_hex(8)}".encode()
        forget = b"reset %s\nfrom %s\n\n" % (branch, b"0" * len(tip or "0" * 40))
        stdin = b"".join([*asked, *self._commands(tip, branch), b'get-mark :1\nls :1 ""\n', forget])
        said = self.git("fast-import", "--quiet", stdin=stdin)
        *before, commit, tree = said.decode("utf-8", "surrogateescape").splitlines()
        if tip:
            self._refuse_overwriting(before[1:])
        return (tip, False) if tip and tree == before[0] else (commit, True)

    def _commands(self, tip: str | None, branch: bytes) -> list[bytes]:
        message = self.addition.message.encode("utf-8")
        head = b"commit %s\nmark :%d\ncommitter %s %d +0000\n"
        who, now = BOT_AUTHOR.encode(), int(clock.timestamp())
        # Without a commit before it, the first of the other parents would become the branch's own past.
        first = tip is None and bool(self.addition.parents)
        lines = [head % (branch, 2, who, now) + b"data 6\nBegin\n\n"] if first else []
        lines += [head % (branch, 1, who, now), b"data %d\n%s\n" % (len(message), message)]
        if tip or first:
            lines.append(f"from {tip or ':2'}\n".encode())
        lines += [f"merge {parent}\n".encode() for parent in self.addition.parents]
        for path, content in self.addition.files.items():
            lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
        return lines

    def _refuse_overwriting(self, listed: Sequence[str]) -> None:
        """``listed``: what the tip has under the folders and the paths, in their order."""
        folders = self.addition.folders
        for path, line in zip((*folders, *self.addition.files), listed, strict=True):
            if line == f"missing {path}":
                continue
            wanted = "040000 tree" if path in folders else f"100644 blob {_blob_id(self.addition.files[path], line)}"
            if not line.startswith(wanted):
                raise IntegrityError(
                    f"the branch {self.addition.branch} holds something else as {path}",
                    "see who put it there; nothing was written",
                )

    def _push(self, commit: str, tip: str | None) -> None:
        """Compare and swap: the server takes it only while the branch is where we saw it."""
        ref = self.addition.ref
        lease = f"--force-with-lease={ref}:{tip or ''}"
        # Without a negotiation the other parents would be sent again, as no branch may point at them.
        negotiate = f"push.negotiate={str(bool(self.addition.parents)).lower()}"
        options = [word for setting in (negotiate, *self.known) for word in ("-c", setting)]
        try:
            self.git(*options, "push", "--quiet", "--no-verify", lease, self.there, f"{commit}:{ref}")
        except OutsideError as exc:
            if _MOVED.search(exc.message):
                branch = self.addition.branch
                raise _MovedError(f"{branch} moved again and again: {exc.message}", "try again") from exc
            raise

    def git(self, *words: str, stdin: bytes | None = None) -> bytes:
        return self.remote.git(self.folder, *words, stdin=stdin)


def _blob_id(content: bytes, line: str) -> str:
    """Git's name of ``content`` in the hash that ``line`` of a listing uses."""
    hashed = hashlib.sha256 if len(line.split("\t")[0].split(" ")[-1]) == 64 else hashlib.sha1
    return hashed(b"blob %d\0%s" % (len(content), content)).hexdigest()
