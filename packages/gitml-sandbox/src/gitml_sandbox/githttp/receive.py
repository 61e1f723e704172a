"""One push: git receive-pack behind `git http-backend`, with the rules asked before a ref moves.

The pre-receive hook is a shell script of two lines that talks to this process through two inherited pipes: no
socket, no secret, nothing to find or forge, and when this process dies the hook reads an end of file and refuses.
"""

from __future__ import annotations

import fcntl
import os
import select
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import IO

from gitml_sandbox import process
from gitml_sandbox.changes import refs
from gitml_sandbox.errors import LockedError, OutsideError, SandboxError
from gitml_sandbox.forge import push_policy, repos
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO, Change

HOOK = """#!/bin/sh
# Written by gitml sandbox at each start. Asks the running sandbox whether the refs may move.
{ printf '%s\\n' "$GIT_OBJECT_DIRECTORY" "$GIT_ALTERNATE_OBJECT_DIRECTORIES" && cat && echo .; } \\
    >"/dev/fd/$GITML_ASK" || exit 1
while IFS= read -r line; do
    [ "$line" = ok ] && exit 0
    [ "$line" = . ] && exit 1
    printf '%s\\n' "$line" >&2
done <"/dev/fd/$GITML_ANSWER"
echo "error: the sandbox is going down: nothing was changed" >&2
exit 1
"""
MAX_QUESTION = 1 << 20
SECONDS = 900.0


@dataclass(frozen=True)
class Push:
    """One push: where to, whose, and the variables for the backend."""

    repo: Repo
    actor: Actor
    cgi: Mapping[str, str]


def ensure_hook(sandbox: Sandbox) -> None:
    """Put the hook where git looks for it. Without one, or with one that cannot run, git lets everything pass."""
    path = sandbox.root / "hooks" / "pre-receive"
    if path.is_file() and path.stat().st_mode & 0o100 and path.read_text() == HOOK:
        return
    fresh = Path(tempfile.mkdtemp(dir=sandbox.root / "tmp")) / "pre-receive"
    fresh.write_text(HOOK)
    fresh.chmod(0o500)
    os.replace(fresh, path)
    fresh.parent.rmdir()


def configuration(sandbox: Sandbox) -> dict[str, str]:
    """Settings that beat those of the repository, for the advertisement of refs and the push alike."""
    return {
        "core.hooksPath": str(sandbox.root / "hooks"),
        "http.getanyfile": "false",
        "http.receivepack": "true",
        "receive.advertisePushOptions": "false",
        "receive.denyDeletes": "false",
        "receive.denyNonFastForwards": "false",
        "receive.fsckObjects": "true",
        "receive.fsck.zeroPaddedFilemode": "ignore",
    }


def receive(sandbox: Sandbox, push: Push, body: IO[bytes]) -> IO[bytes]:
    """Run the push to its end and return the backend's whole CGI answer; all that it says is then on disk.

    Blocks; call it from a thread. Raises OutsideError when the backend takes too long.
    """
    answer = tempfile.TemporaryFile(dir=sandbox.root / "tmp")  # noqa: SIM115 - the caller closes it
    try:
        with ExitStack() as stack:
            deadline = time.monotonic() + SECONDS
            ask, say, running = _start(sandbox, push, body, answer, stack)
            question = _question(ask, deadline)
            if question is None:
                _wait(running, deadline)
                _undo_unasked(sandbox, push.repo)
            else:
                _decide(sandbox, push, question, running, say, deadline)
    except BaseException:
        answer.close()
        raise
    answer.seek(0)
    return answer


@contextmanager
def receiving(sandbox: Sandbox, *, exclusive: bool = False, seconds: float = 60.0) -> Iterator[int]:
    """Hold the lock file that every backend inherits, and yield its descriptor.

    Exclusive at start: a backend that outlived a killed sandbox may still move a ref, and must end first.
    """
    descriptor = os.open(sandbox.root / "receiving.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, seconds)
        yield descriptor
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                hint = "see which git processes hold it: fuser receiving.lock"
                raise LockedError("a push that began before is still running", hint) from None
            time.sleep(0.02)
        else:
            return


def _start(
    sandbox: Sandbox, push: Push, body: IO[bytes], answer: IO[bytes], stack: ExitStack
) -> tuple[int, int, Popen[bytes]]:
    guard = stack.enter_context(receiving(sandbox))
    ensure_hook(sandbox)
    ask, ask_child = os.pipe()
    answer_child, say = os.pipe()
    for ours in (ask, say):
        stack.callback(os.close, ours)
    try:
        running = process.start(
            ["git", "http-backend"],
            cwd=sandbox.repositories,
            env=_environment(sandbox, push, ask_child, answer_child),
            stdin=body,
            stdout=answer,
            pass_fds=(ask_child, answer_child, guard),
        )
    finally:
        os.close(ask_child)
        os.close(answer_child)
    stack.callback(process.stop, running)
    return ask, say, running


def _environment(sandbox: Sandbox, push: Push, ask: int, answer: int) -> dict[str, str]:
    names = {"GITML_ASK": str(ask), "GITML_ANSWER": str(answer)}
    return gitrepo.environment({**push.cgi, **names}, configuration(sandbox))


def _question(ask: int, deadline: float) -> list[str] | None:
    """What the hook asks: two folders of objects, then one line for each ref. None: it did not ask."""
    said = b""
    while not said.endswith(b"\n.\n"):
        ready, _, _ = select.select([ask], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise OutsideError("the push took too long", "push fewer or smaller objects at a time")
        part = os.read(ask, 65536)
        said += part
        if not part:
            return None
        if len(said) > MAX_QUESTION:
            raise OutsideError("too many refs in one push", "push them in several parts")
    return said.decode(errors="surrogateescape").split("\n")[:-2]


def _decide(
    sandbox: Sandbox, push: Push, question: list[str], running: Popen[bytes], say: int, deadline: float
) -> None:
    """Judge, write the intent, let Git go on, and record what it did: all under the lock of the repository."""
    lock = sandbox.locks.of(push.repo.id)
    if not lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
        raise OutsideError("other pushes to this repository took too long", "push again")
    try:
        refs.settle(sandbox, push.repo)
        with suppress(BrokenPipeError):  # the hook has died: git then refuses
            os.write(say, _verdict(sandbox, push, question))
        try:
            _wait(running, deadline)
        finally:
            process.stop(running)
            refs.settle(sandbox, push.repo)
    finally:
        lock.release()


def _undo_unasked(sandbox: Sandbox, repo: Repo) -> None:
    """Nobody asked, so no ref may have moved. Should one have, put it back."""
    with sandbox.locks.of(repo.id):
        with sandbox.store.read() as tx:
            before = refs.stored(tx, repo.id)
        now = refs.current(sandbox, repo)
        names = [name for name in {*before, *now} if before.get(name) != now.get(name)]
        moved = [Change(name, now.get(name, ZERO), before.get(name, ZERO)) for name in names]
        if moved:
            gitrepo.update_refs(repos.path(sandbox, repo), moved)
            raise OutsideError("the hook that judges pushes did not run: the push was undone", "push again")


def _verdict(sandbox: Sandbox, push: Push, question: list[str]) -> bytes:
    quarantine, alternates, *lines = question
    env = {"GIT_OBJECT_DIRECTORY": quarantine, "GIT_ALTERNATE_OBJECT_DIRECTORIES": alternates}
    changes = [Change(ref, old, new) for old, new, ref in (line.split(" ", 2) for line in lines)]
    repo = push.repo
    check = push_policy.checker(sandbox, repo, changes, push.actor, env=env if quarantine else None)
    try:
        with sandbox.store.write() as tx:
            check(tx)
            refs.intend(tx, repo, changes, push.actor, {})
    except SandboxError as exc:
        said = "\n".join(line for line in exc.message.splitlines() if line not in ("ok", "."))
        return f"{said}\n.\n".encode(errors="replace")
    return b"ok\n"


def _wait(running: Popen[bytes], deadline: float) -> None:
    try:
        running.wait(timeout=max(deadline - time.monotonic(), 0))
    except TimeoutExpired:
        raise OutsideError("the push took too long", "push fewer or smaller objects at a time") from None
