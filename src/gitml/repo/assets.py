"""Pictures of reports on a branch of their own: no work tree, no clone, content-addressed, safe with many writers."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gitml.errors import IntegrityError, OutsideError
from gitml.process import run

BRANCH = "gitml-assets"
MAX_PICTURE = 5_000_000
_REF = f"refs/heads/{BRANCH}"
_PNG = b"\x89PNG\r\n\x1a\n"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_MOVED = re.compile(
    "stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|already exists|incorrect old value"
)
_TRIES = 10
_SECONDS = 120.0


class _MovedError(OutsideError):
    """Somebody else pushed in between."""


@dataclass(frozen=True)
class Remote:
    """Where to push: a URL without a password, and the token. The token reaches git by the environment alone."""

    url: str
    token: str = field(default="", repr=False)

    def environment(self) -> dict[str, str]:
        """Git's settings for a child process: the token for this server, no hooks, no questions."""
        settings = {"core.hooksPath": os.devnull, "credential.helper": ""}
        parts = urlsplit(self.url)
        if self.token and parts.scheme in ("http", "https"):
            settings[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {self._basic}"
        env = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return env

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"x-access-token:{self.token}".encode()).decode()

    def clean(self, text: str) -> str:
        """The text without the token, plain or encoded."""
        if not self.token:
            return text
        return text.replace(self.token, "***").replace(self._basic, "***")


def address_of(name: str, content: bytes) -> str:
    """The picture's path on the branch: what it holds decides, so the same picture is there once.

    Raises IntegrityError for what is no PNG, is too large, or has a name that a path may not have.
    """
    if not content.startswith(_PNG):
        raise IntegrityError(f"{name[:100]!r} is no PNG picture")
    if len(content) > MAX_PICTURE:
        raise IntegrityError(f"{name[:100]!r} is larger than {MAX_PICTURE:,} bytes")
    if not _NAME.fullmatch(name):
        raise IntegrityError(f"{name[:100]!r} is no name for a picture")
    return f"{hashlib.sha256(content).hexdigest()[:20]}/{name}"


def push_pictures(remote: Remote, pictures: Mapping[str, bytes], *, message: str = "Pictures of a report") -> str:
    """Bring pictures, by ``address_of``, to the branch and return its commit.

    Those that are there add nothing. Nothing is overwritten: when the branch moved meanwhile it starts over on top.
    """
    began = time.monotonic()
    for tries in range(1, _TRIES + 1):
        with tempfile.TemporaryDirectory(prefix="gitml-assets-") as folder:
            try:
                return _Scratch(Path(folder), remote).push(pictures, message)
            except _MovedError:
                if tries == _TRIES or time.monotonic() - began > _SECONDS:
                    raise
        time.sleep(random.uniform(0.05, 0.3) * tries)  # noqa: S311 - so that many writers do not meet again
    raise AssertionError


@dataclass(frozen=True)
class _Scratch:
    """A bare repository that knows the tip of the branch and its folders, and none of the pictures there."""

    folder: Path
    remote: Remote

    def push(self, pictures: Mapping[str, bytes], message: str) -> str:
        self._git("init", "--quiet", "--bare", "--template=", str(self.folder))
        tip = self._fetch()
        root = self._list(tip) if tip else {}
        tree = self._merged(root, pictures)
        if tip and tree == self._text("rev-parse", f"{tip}^{{tree}}"):
            return tip
        commit = self._commit(tree, tip, message)
        self._push(commit, tip)
        return commit

    def _fetch(self) -> str | None:
        """The branch's tip; the pictures themselves are left on the server where it can do that."""
        listed = self._text("ls-remote", self.remote.url, _REF).split()
        if not listed:
            return None
        self._git(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--filter=blob:none", self.remote.url, f"+{_REF}:{_REF}"
        )
        return self._text("rev-parse", _REF)

    def _list(self, tree: str) -> dict[str, str]:
        """Each entry of a tree by its name, as mktree reads it."""
        listed = self._git("ls-tree", "-z", tree).stdout.decode("utf-8", "surrogateescape")
        return {line.partition("\t")[2]: line for line in listed.split("\0") if line}

    def _merged(self, root: dict[str, str], pictures: Mapping[str, bytes]) -> str:
        folders: dict[str, dict[str, str]] = {}
        for path, content in pictures.items():
            folder, _, name = path.partition("/")
            there = folders.setdefault(folder, self._below(root, folder))
            blob = self._text("hash-object", "-w", "--stdin", stdin=content)
            there[name] = f"100644 blob {blob}\t{name}"
        trees = {folder: f"040000 tree {self._tree(entries)}\t{folder}" for folder, entries in folders.items()}
        return self._tree({**root, **trees})

    def _below(self, root: Mapping[str, str], folder: str) -> dict[str, str]:
        entry = root.get(folder, "").split()
        return self._list(entry[2]) if entry[1:2] == ["tree"] else {}

    def _tree(self, entries: Mapping[str, str]) -> str:
        lines = "\0".join(entries.values()).encode("utf-8", "surrogateescape")
        return self._text("mktree", "-z", "--missing", stdin=lines + b"\0" if lines else b"")

    def _commit(self, tree: str, parent: str | None, message: str) -> str:
        who = {"NAME": "gitml", "EMAIL": "gitml@users.noreply.github.com"}
        env = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
        parents = ["-p", parent] if parent else []
        return self._text("commit-tree", tree, *parents, "-m", message, env=env)

    def _push(self, commit: str, tip: str | None) -> None:
        """Compare and swap: the server takes it only while the branch is where we saw it."""
        lease = f"--force-with-lease={_REF}:{tip or ''}"
        try:
            self._git("push", "--no-verify", lease, self.remote.url, f"{commit}:{_REF}")
        except OutsideError as exc:
            if _MOVED.search(exc.message):
                raise _MovedError(f"{BRANCH} moved again and again: {exc.message}", "try again") from exc
            raise

    def _text(self, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        return self._git(*words, stdin=stdin, env=env).stdout.decode().strip()

    def _git(
        self, *words: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        given = {**self.remote.environment(), **(env or {})}
        try:
            return run(["git", *words], cwd=self.folder, env=given, stdin=stdin, timeout=_SECONDS)
        except OutsideError as exc:
            raise OutsideError(self.remote.clean(exc.message), exc.hint) from None


def picture_files(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The pictures below ``folder`` by their names there; links and what leads out of the folder are refused."""
    found = {}
    for name in names:
        path = folder / name
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()):
            raise IntegrityError(f"{name[:100]!r} is a link")
        if path.is_file():
            with path.open("rb") as stream:
                found[name] = stream.read(MAX_PICTURE + 1)
    return found
