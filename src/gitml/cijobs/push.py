"""One commit of the bot on a branch that people push to as well: made beside the work tree, pushed if nobody moved."""

from __future__ import annotations

import os
import tempfile
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml.cijobs.context import Push
from gitml.control.place import BOT_EMAIL, BOT_NAME
from gitml.errors import OutsideError
from gitml.git.commands import Git
from gitml.process import run

TRAILER = "Gitml-Trained"
_QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false")
_MOVED = ("[rejected]", "non-fast-forward", "fetch first", "cannot lock ref", "stale info")


@dataclass(frozen=True)
class Change:
    """What a commit does to the tree: ``add`` are paths as the work tree has them, ``remove`` paths that go."""

    message: str
    add: Sequence[str] = ()
    remove: Sequence[str] = ()


def remote_head(root: Path, push: Push, branch: str) -> str | None:
    """The commit that the remote's branch is at now, None when there is no such branch."""
    done = run(["git", "ls-remote", push.git_url, f"refs/heads/{branch}"], cwd=root, env=credentials(push))
    return done.stdout.decode().split("\t")[0] or None


def commit_on(root: Path, parents: Sequence[str], change: Change) -> str | None:
    """A commit on top of ``parents[0]``, not on any branch yet; None when it would change nothing."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**_identity(), "GIT_INDEX_FILE": str(Path(folder, "index"))}
        _git(root, env, "read-tree", parents[0])
        paths = "\0".join([*change.add, *change.remove])
        if paths:
            _git(root, env, "update-index", "--add", "--remove", "-z", "--stdin", stdin=paths.encode("utf-8"))
        tree = _git(root, env, "write-tree")
        if tree == _git(root, env, "rev-parse", f"{parents[0]}^{{tree}}"):
            return None
        return commit_tree(root, tree, parents, change.message)


def commit_tree(root: Path, tree: str, parents: Sequence[str], message: str) -> str:
    """A commit of ``tree``, not on any branch yet."""
    words = [word for parent in parents for word in ("-p", parent)]
    return _git(root, _identity(), "commit-tree", tree, *words, stdin=message.encode("utf-8"))


def push_to(root: Path, push: Push, commit: str, branch: str) -> bool:
    """Move the remote's branch forward to ``commit``; False when it has moved, which is never overwritten.

    Raises OutsideError when the remote refuses for another reason.
    """
    words = ["git", *_QUIET, "push", "--quiet", "--porcelain", push.git_url, f"{commit}:refs/heads/{branch}"]
    done = run(words, cwd=root, env=credentials(push), check=False)
    if done.returncode == 0:
        return True
    said = (done.stdout + done.stderr).decode(errors="replace")
    if any(word in said for word in _MOVED) and "protected" not in said:
        return False
    lines = [line for line in said.strip().splitlines() if line.strip()]
    raise OutsideError(
        "the commit could not be pushed: " + " / ".join(lines[-4:])[:600],
        "give the job `contents: write`, and let the bot push to branches; `gitml doctor` checks it",
    )


def made_for(git: Git, commit: str, pushed: str) -> bool:
    """Whether ``commit`` is what the bot made of ``pushed``: a run that was killed after its push finds its own."""
    if git.resolve(f"{commit}^") != pushed:
        return False
    return is_bots(git, commit) and trailer(git, commit) == pushed


def take_over(git: Git, made: str | None, pushed: str) -> str:
    """The bot's commit on top of ``pushed``, if ``made`` is one, with its files in the work tree; else empty.

    A run that starts again, or a second one for the same push, finds lock, records and outputs, and has nothing to do.
    """
    if made is None or made == pushed or not made_for(git, made, pushed):
        return ""
    git.read(*_QUIET, "restore", f"--source={made}", "--worktree", "--", ".")
    return made


def is_settled(git: Git) -> bool:
    """Whether HEAD is what the bot made of the commit before it: its push must not train again what it commits."""
    before = git.resolve("HEAD^")
    return before is not None and made_for(git, "HEAD", before)


def is_bots(git: Git, commit: str) -> bool:
    """Whether the commit calls the bot its committer. Anyone can: it decides about nothing but the bot's own files."""
    return git.text("show", "-s", "--format=%ce", commit).strip() == BOT_EMAIL


def trailer(git: Git, commit: str) -> str:
    """The commit that the bot trained when it made ``commit``; empty when it does not say."""
    return git.text("show", "-s", f"--format=%(trailers:key={TRAILER},valueonly)", commit).strip()


def fetch(root: Path, push: Push, commit: str) -> None:
    """Have ``commit`` of the remote here."""
    run(["git", *_QUIET, "fetch", "--quiet", "--no-tags", push.git_url, commit], cwd=root, env=credentials(push))


def credentials(push: Push) -> Mapping[str, str]:
    """The token for Git over HTTP, in the environment: arguments can be seen by everybody on the machine."""
    if not push.token or not push.server.startswith(("http://", "https://")):
        return {}
    secret = b64encode(f"x-access-token:{push.token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{push.server}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {secret}",
    }


def _identity() -> dict[str, str]:
    who = {"NAME": BOT_NAME, "EMAIL": BOT_EMAIL}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def _git(root: Path, env: Mapping[str, str], *words: str, stdin: bytes | None = None) -> str:
    return run(["git", *_QUIET, *words], cwd=root, env=env, stdin=stdin).stdout.decode().strip()
