"""The ledger against real servers: nothing is lost, nothing overwritten, and a rewritten one is not taken."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import git
from gitml.errors import IntegrityError, OutsideError
from gitml.git import ledger
from gitml.git.ledger import BRANCH, Event, Remote, append, event_name, fetch, read
from gitml.git.orphan import Addition, add
from sandbox.forge_kit import Kit
from sandbox.rest_kit import seeded

TIME = "2026-03-01T08:00:00Z"


def event(number: int, time: str = TIME, kind: str = "gate") -> tuple[str, bytes]:
    content = b'{"number": %d}\n' % number
    return event_name(time, kind, content), content


@pytest.fixture
def server(tmp_path: Path) -> Remote:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "server.git")
    git(tmp_path / "server.git", "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "init", "-q", "-b", "main", "clone")
    return Remote(f"file://{tmp_path}/server.git")


def bare(remote: Remote, *words: str) -> str:
    return git(Path(remote.url.removeprefix("file://")), *words)


def there(tmp_path: Path, remote: Remote) -> list[Event]:
    head = fetch(tmp_path / "clone", remote)
    assert head
    return read(tmp_path / "clone", head)


def test_what_is_appended_is_read_newest_last(server: Remote, tmp_path: Path) -> None:
    assert fetch(tmp_path / "clone", server) is None
    late, early, other = event(1, "2026-12-01T00:00:00Z"), event(2, "2025-01-01T00:00:00Z"), event(3, kind="approved")
    first = append(server, dict([late]))
    second = append(server, dict([early, other]))
    assert [e.name for e in there(tmp_path, server)] == [early[0], other[0], late[0]]
    assert [e.content for e in there(tmp_path, server)] == [early[1], other[1], late[1]]
    assert bare(server, "rev-list", "--parents", BRANCH).splitlines() == [f"{second} {first}", first]
    assert append(server, dict([late, early])) == second


def test_without_filters_on_the_server(server: Remote, tmp_path: Path) -> None:
    bare(server, "config", "uploadpack.allowFilter", "false")
    for number in range(3):
        append(server, dict([event(number)]))
    assert len(there(tmp_path, server)) == 3


def test_training_commits_stay_reachable(server: Remote, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / "big").write_bytes(b"0" * 1000)
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "start")
    git(clone, "push", "-q", server.url, "HEAD:main")
    git(clone, "commit", "-q", "--allow-empty", "-m", "trained")
    trained = git(clone, "rev-parse", "HEAD")
    git(clone, "push", "-q", server.url, "HEAD:topic")
    alone = append(server, dict([event(1)]), parents=[trained])
    first, second = bare(server, "rev-parse", f"{alone}^@").split()
    assert (second, bare(server, "ls-tree", first)) == (trained, ""), "main's past is not the ledger's own"
    made = append(server, dict([event(2, kind="trained")]), parents=[trained])
    assert bare(server, "rev-parse", f"{made}^@").split() == [alone, trained]
    bare(server, "update-ref", "-d", "refs/heads/topic")
    bare(server, "reflog", "expire", "--all", "--expire=now")
    bare(server, "gc", "-q", "--prune=now")
    assert bare(server, "cat-file", "-t", trained) == "commit"
    assert bare(server, "fsck", "--full", "--strict") == ""
    with pytest.raises(OutsideError):
        append(server, dict([event(3)]), parents=["f" * 40])
    assert len(there(tmp_path, server)) == 2


def test_six_writers_lose_none(server: Remote, tmp_path: Path) -> None:
    def go(number: int) -> str:
        return append(server, dict([event(number)]))

    with ThreadPoolExecutor(6) as pool:
        commits = list(pool.map(go, range(6)))
    assert len(set(commits)) == 6
    assert {e.name for e in there(tmp_path, server)} == {event(n)[0] for n in range(6)}
    assert len(bare(server, "rev-list", "--first-parent", BRANCH).split()) == 6


WRITER = """\
import sys
from gitml.git.ledger import Remote, append, event_name
content = sys.argv[2].encode()
append(Remote(sys.argv[1]), {event_name("2026-03-01T08:00:00Z", "gate", content): content})
"""


@pytest.mark.slow
@pytest.mark.nightly
def test_twenty_processes_and_those_that_are_killed(server: Remote, tmp_path: Path) -> None:
    def start(number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WRITER, server.url, f"event {number}"], stderr=subprocess.PIPE)

    running = [start(n) for n in range(20)]
    for number in (3, 7, 11):
        running[number].kill()
    ends = [(p.wait(timeout=120), p.stderr.read() if p.stderr else b"") for p in running]
    for process in running:
        if process.stderr:
            process.stderr.close()
    found = {e.content.decode() for e in there(tmp_path, server)}
    wanted = {f"event {n}" for n in range(20) if n not in (3, 7, 11)}
    assert [said for code, said in ends if code not in (0, -9)] == []
    assert wanted <= found
    assert bare(server, "fsck", "--full", "--no-dangling") == ""


def test_near_a_clone_that_knows_the_ledger(server: Remote, tmp_path: Path) -> None:
    """The same commits as without it, whether the clone is up to date, behind, or knows nothing; no other ref moves."""
    near = tmp_path / "clone"
    git(near, "commit", "-q", "--allow-empty", "-m", "start")
    git(near, "push", "-q", server.url, "HEAD:main")
    refs = git(near, "for-each-ref")
    heads = [append(server, dict([event(0)]), near=near)]
    assert git(near, "for-each-ref") == refs
    fetch(near, server)
    heads.append(append(server, dict([event(1)]), near=near))
    heads.append(append(server, dict([event(2)]), near=near, parents=[git(near, "rev-parse", "HEAD")]))
    assert ledger.head(near) == heads[-1]
    assert append(server, dict([event(1)]), near=near) == heads[-1]
    heads.append(append(server, dict([event(3)])))
    heads.append(append(server, dict([event(4)]), near=near))
    with pytest.raises(OutsideError):
        append(server, dict([event(5)]), near=near, parents=["f" * 40])
    assert bare(server, "rev-list", "--first-parent", "--reverse", BRANCH).split() == heads
    assert [e.content for e in there(tmp_path, server)] == sorted(
        (event(n)[1] for n in range(5)), key=lambda c: event_name(TIME, "gate", c)
    )
    assert len(git(near, "for-each-ref").splitlines()) == 2
    assert not list((near / ".git").glob("fast_import_crash_*"))


def test_through_the_sandbox(kit: Kit, tmp_path: Path) -> None:
    """Over HTTP, with tokens: who may not write appends nothing, and no error shows the token."""
    _, ada, _, _ = seeded(kit, private=True)
    mine = Remote(f"{kit.url}/{ada.repo}.git", kit.token["ada"])
    head = append(mine, dict([event(1)]))
    assert ada.tip(BRANCH) == head
    git(tmp_path, "init", "-q", "clone")
    assert fetch(tmp_path / "clone", mine) == head
    for token in (kit.token["eve"], "ghp_wrongwrongwrong"):
        with pytest.raises(OutsideError) as caught:
            append(Remote(mine.url, token), dict([event(2)]))
        assert token not in caught.value.message + caught.value.hint
    assert ada.tip(BRANCH) == head


def test_a_rewritten_ledger_is_not_taken(server: Remote, tmp_path: Path) -> None:
    first = append(server, dict([event(1)]))
    append(server, dict([event(2)]))
    assert len(there(tmp_path, server)) == 2
    bare(server, "update-ref", f"refs/heads/{BRANCH}", first)
    with pytest.raises(IntegrityError, match="rewritten"):
        fetch(tmp_path / "clone", server)
    assert len(read(tmp_path / "clone")) == 2
    bare(server, "update-ref", "-d", f"refs/heads/{BRANCH}")
    with pytest.raises(IntegrityError, match="gone"):
        fetch(tmp_path / "clone", server)


def test_nothing_is_overwritten(server: Remote, tmp_path: Path) -> None:
    add(server, Addition(BRANCH, {"2026/03/x": b"a", "odd": b"b"}, "by hand"))
    for files in ({"2026/03/x": b"c"}, {"odd/y": b"c"}, {"2026": b"c"}):
        with pytest.raises(IntegrityError, match="something else"):
            add(server, Addition(BRANCH, files, "by hand"))
    append(server, dict([event(1)]))
    assert bare(server, "show", f"{BRANCH}:odd") == "b"
    assert [e.name for e in there(tmp_path, server)] == [event(1)[0]]


@pytest.mark.parametrize("path", ["", "/a", "a/", "../a", "a/../b", ".git/x", 'a"b', "a\nb", "a b", "-/é"])
def test_paths_that_are_none(server: Remote, path: str) -> None:
    with pytest.raises(IntegrityError):
        add(server, Addition(BRANCH, {path: b""}, "by hand"))


def test_names_say_what_the_content_is(server: Remote) -> None:
    name, content = event(1)
    wrong = [(name, content + b" "), (name.replace("gate", "GATE"), content), (name.replace("/03/", "/04/"), content)]
    for pair in wrong:
        with pytest.raises(IntegrityError):
            append(server, dict([pair]))
    large = b"0" * (ledger.MAX_EVENT + 1)
    with pytest.raises(IntegrityError, match="larger"):
        append(server, {event_name(TIME, "gate", large): large})
    for time, kind in (("yesterday", "gate"), (TIME, "../x"), (TIME, "")):
        with pytest.raises(ValueError, match="no name of an event"):
            event_name(time, kind, b"")


def test_the_answer_to_a_push_is_lost(server: Remote, tmp_path: Path) -> None:
    """A server that takes the push and fails afterwards: calling again finds the event there, and adds nothing."""
    hook = Path(server.url.removeprefix("file://")) / "hooks/post-update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    with pytest.raises(OutsideError):
        append(server, dict([event(1)]))
    hook.unlink()
    append(server, dict([event(1)]))
    assert bare(server, "rev-list", "--count", BRANCH) == "1"


def test_a_server_that_refuses(server: Remote) -> None:
    hook = Path(server.url.removeprefix("file://")) / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only robots may' >&2; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(OutsideError, match="only robots may"):
        append(server, dict([event(1)]))


def test_a_lost_object_is_said(server: Remote, tmp_path: Path) -> None:
    append(server, dict([event(1)]))
    fetch(tmp_path / "clone", server)
    blob = hashlib.sha1(b"blob %d\0" % len(event(1)[1]) + event(1)[1]).hexdigest()
    stored = tmp_path / "clone/.git/objects" / blob[:2] / blob[2:]
    stored.unlink()
    with pytest.raises(IntegrityError, match=blob):
        read(tmp_path / "clone")


def test_a_huge_file_under_an_events_name_is_no_event(server: Remote, tmp_path: Path) -> None:
    small, large = event(1), b"0" * (ledger.MAX_EVENT + 1)
    append(server, dict([small]))
    # Past gitml, as whoever may push could.
    add(server, Addition(BRANCH, {event_name(TIME, "gate", large): large}, "x"))
    assert [e.name for e in there(tmp_path, server)] == [small[0]]
