"""The ledger's line, attacked by ordinary pushes: what was there stays there, and what did more than add is named."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conftest import git
from gitml.git import history
from gitml.git.ledger import BRANCH, Remote, append, event_name, load, read, remembered
from gitml.git.ledgerline import Line, line_of
from gitml.git.repository import Repository

TIME = "2026-03-01T08:00:00Z"


def event(number: int, kind: str = "gate") -> tuple[str, bytes]:
    content = b'{"number": %d}\n' % number
    return event_name(TIME, kind, content), content


@dataclass(frozen=True)
class Ledger:
    """``clone`` pushes to the ledger by hand, ``honest`` are its three events."""

    server: Path
    clone: Path
    honest: tuple[str, ...]

    @property
    def repository(self) -> Repository:
        return Repository(self.server)

    @property
    def tip(self) -> str:
        return git(self.server, "rev-parse", BRANCH)

    def read(self, known: Line | None = None) -> Line:
        return line_of(self.repository, self.tip, known)

    def by_hand(self, script: str, date: str = "") -> str:
        """A commit on top, by what ``script`` does to the files; its id."""
        git(self.clone, "fetch", "-q", "origin", BRANCH)
        git(self.clone, "checkout", "-q", "-f", "FETCH_HEAD")
        who = "git -c user.name=eve -c user.email=eve@example.org"
        script = f"{script}; git add -A; {who} commit -q --allow-empty -m 'by hand'"
        env = {**os.environ, **({"GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date} if date else {})}
        subprocess.run(["sh", "-ec", script], cwd=self.clone, env=env, check=True)
        git(self.clone, "push", "-q", "origin", f"HEAD:{BRANCH}")
        return self.tip

    def append(self, number: int) -> str:
        name, content = event(number)
        append(Remote(f"file://{self.server}"), {name: content})
        return name


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "server.git")
    git(tmp_path / "server.git", "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "init", "-q", "clone")
    git(tmp_path / "clone", "remote", "add", "origin", f"file://{tmp_path}/server.git")
    made = Ledger(tmp_path / "server.git", tmp_path / "clone", ())
    return Ledger(made.server, made.clone, tuple(made.append(n) for n in range(3)))


def names(line: Line) -> list[str]:
    return sorted({entry.name for entry in line.entries})


def test_a_line_that_only_grows(ledger: Ledger) -> None:
    line = ledger.read()
    assert (names(line), line.breaks, line.head) == (sorted(ledger.honest), (), ledger.tip)
    fourth = ledger.append(4)
    assert names(ledger.read(line)) == sorted([*ledger.honest, fourth])
    assert set(ledger.read(line).entries.values()) == {()}


@pytest.mark.parametrize("known", [False, True])
def test_what_is_deleted_or_edited_stays_as_it_came(ledger: Ledger, known: bool) -> None:
    before = ledger.read() if known else None
    good = ledger.tip
    deleted = ledger.by_hand(f"git rm -q {ledger.honest[0]}")
    later = ledger.append(5)
    edited = ledger.by_hand(f"echo x > {ledger.honest[1]}")
    line = ledger.read(before)
    assert next((b.commit, b.good) for b in line.breaks) == (deleted, good)
    assert [b.commit for b in line.breaks] == [deleted, edited]
    behind = {entry.name: after for entry, after in line.entries.items() if entry.blob in blobs()}
    assert [behind[name] for name in ledger.honest] == [(), (), ()]
    assert behind[later] == (deleted,)


def blobs() -> set[str]:
    """Of what the honest appends brought."""
    raw = [event(n)[1] for n in (0, 1, 2, 4, 5, 6)]
    return {hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest() for content in raw}


def front(ledger: Ledger, second: str, kept: str = "") -> str:
    """A merge that puts a line of its own in front, with one chosen event, or none."""
    git(ledger.clone, "fetch", "-q", "origin", BRANCH)
    git(ledger.clone, "checkout", "-q", "-f", "--orphan", "front")
    git(ledger.clone, "rm", "-rqf", "--ignore-unmatch", ".")
    if kept:
        git(ledger.clone, "checkout", "-q", "FETCH_HEAD", "--", kept)
    git(ledger.clone, "commit", "-q", "--allow-empty", "-m", "front")
    tree = git(ledger.clone, "rev-parse", "HEAD^{tree}")
    made = git(ledger.clone, "commit-tree", tree, "-p", "HEAD", "-p", second, "-m", "merge")
    git(ledger.clone, "push", "-q", "origin", f"{made}:refs/heads/{BRANCH}")
    return made


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("veiled", [False, True])
def test_a_line_in_front_hides_nothing(ledger: Ledger, known: bool, veiled: bool) -> None:
    """Also where the ledger is put behind a commit with an empty tree first."""
    before = ledger.read() if known else None
    tip = second = ledger.tip
    if veiled:
        git(ledger.clone, "fetch", "-q", "origin", BRANCH)
        empty = git(ledger.clone, "hash-object", "-t", "tree", "-w", "/dev/null")
        second = git(ledger.clone, "commit-tree", empty, "-p", tip, "-m", "nothing here")
    merge = front(ledger, second, kept=ledger.honest[1])
    later = ledger.append(6)
    line = ledger.read(before)
    assert set(ledger.honest) <= set(names(line))
    assert merge in [b.commit for b in line.breaks]
    assert {line.entries[e] for e in line.entries if e.name in ledger.honest} == {()}
    assert {line.entries[e] for e in line.entries if e.name == later} == {
        tuple(b.commit for b in line.breaks)
    } or veiled


def test_who_saw_a_break_forgets_it_for_no_line_in_front(ledger: Ledger) -> None:
    """The line in front has all events and no break."""
    whole = git(ledger.server, "rev-parse", f"{BRANCH}^{{tree}}")
    broke = ledger.by_hand(f"git rm -q {ledger.honest[0]}")
    later = ledger.by_hand(f"git checkout -q HEAD^ -- {ledger.honest[0]}; true")
    seen = ledger.read()
    root = git(ledger.clone, "commit-tree", whole, "-m", "front")
    merge = git(ledger.clone, "commit-tree", whole, "-p", root, "-p", later, "-m", "merge")
    git(ledger.clone, "push", "-q", "origin", f"{merge}:refs/heads/{BRANCH}")
    line = ledger.read(seen)
    assert (line.head, line.breaks, line.entries) == (merge, seen.breaks, seen.entries)
    assert ledger.read() == replace(line, clean=ledger.read().clean), "nor does who comes later miss it"
    name = ledger.append(5)
    for before in (None, seen, line):
        assert [b.commit for b in ledger.read(before).breaks] == [broke]
        assert {after for e, after in ledger.read(before).entries.items() if e.name == name} == {(broke,)}


def test_lines_in_front_of_one_another_hide_no_break(ledger: Ledger) -> None:
    """Three times the same trick, and a line that is put behind, not in front, breaks as much."""
    whole = git(ledger.server, "rev-parse", f"{BRANCH}^{{tree}}")
    broke = ledger.by_hand(f"git rm -q {ledger.honest[0]}")
    made = broke
    for number in range(3):
        root = git(ledger.clone, "commit-tree", whole, "-m", f"front {number}")
        made = git(ledger.clone, "commit-tree", whole, "-p", root, "-p", made, "-m", "merge")
    git(ledger.clone, "push", "-q", "origin", f"{made}:refs/heads/{BRANCH}")
    line = ledger.read()
    assert ([b.commit for b in line.breaks], names(line)) == ([broke], sorted(ledger.honest))
    assert set(line.entries.values()) == {()}, "what stands on one of two lines stands"
    name = ledger.append(5)
    assert {after for e, after in ledger.read().entries.items() if e.name == name} == {(broke,)}


@pytest.mark.parametrize("how", ["another root", "a root behind", "a fork before it", "a fork after it"])
def test_a_copy_of_all_events_brings_none_before_a_break(ledger: Ledger, how: str) -> None:
    """Two merges by a writer, for readers who come anew: the event was signed after the break, whatever line has it."""
    good = ledger.tip
    broke = ledger.by_hand(f"git rm -q {ledger.honest[0]}")
    name = ledger.append(5)
    git(ledger.clone, "fetch", "-q", "origin", BRANCH)
    tip, tree = ledger.tip, git(ledger.server, "rev-parse", f"{BRANCH}^{{tree}}")
    base = {"a fork before it": ["-p", good], "a fork after it": ["-p", broke]}.get(how, [])
    copy = git(ledger.clone, "commit-tree", tree, *base, "-m", "copy")
    if how == "a fork after it":
        copy = git(ledger.clone, "commit-tree", tree, "-p", broke, "-p", copy, "-m", "taken in")
    parents = (tip, copy) if how == "a root behind" else (copy, tip)
    made = git(ledger.clone, "commit-tree", tree, *(w for p in parents for w in ("-p", p)), "-m", "merge")
    git(ledger.clone, "push", "-q", "origin", f"{made}:refs/heads/{BRANCH}")
    line = ledger.read()
    assert broke in [b.commit for b in line.breaks]
    (behind,) = (after for entry, after in line.entries.items() if entry.name == name)
    assert broke in behind
    honest = {entry.name: after for entry, after in line.entries.items() if entry.name in ledger.honest}
    assert set(honest.values()) == {()}, "what came before it stays where it was"
    assert broke in line.after[made]
    assert good not in line.after


@pytest.mark.parametrize("first", [True, False])
def test_an_octopus_hides_no_line_that_two_of_its_arms_lead_to(ledger: Ledger, first: bool) -> None:
    """The ledger is an arm of its own, and is merged into another arm as well."""
    tip = ledger.tip
    git(ledger.clone, "fetch", "-q", "origin", BRANCH)
    git(ledger.clone, "checkout", "-q", "-f", "FETCH_HEAD")
    git(ledger.clone, "rm", "-q", ledger.honest[0])
    less = git(ledger.clone, "write-tree")
    front, beside = (git(ledger.clone, "commit-tree", less, "-m", name) for name in ("front", "beside"))
    arm = git(ledger.clone, "commit-tree", less, "-p", beside, "-p", tip, "-m", "arm")
    arms = (tip, arm) if first else (arm, tip)
    parents = [word for parent in (front, *arms) for word in ("-p", parent)]
    made = git(ledger.clone, "commit-tree", less, *parents, "-m", "octopus")
    git(ledger.clone, "push", "-q", "origin", f"{made}:refs/heads/{BRANCH}")
    line = ledger.read()
    assert names(line) == sorted(ledger.honest)
    assert made in [b.commit for b in line.breaks]


def test_an_octopus_of_other_ledgers_costs_no_process_more_for_each(ledger: Ledger, spawned: list[object]) -> None:
    whole = git(ledger.server, "rev-parse", f"{BRANCH}^{{tree}}")
    git(ledger.clone, "fetch", "-q", "origin", BRANCH)
    counts = []
    for arms in (2, 12):
        roots = [git(ledger.clone, "commit-tree", whole, "-m", f"root {arms} {n}") for n in range(arms)]
        parents = [word for root in (ledger.tip, *roots) for word in ("-p", root)]
        made = git(ledger.clone, "commit-tree", whole, *parents, "-m", "octopus")
        git(ledger.clone, "push", "-q", "-f", "origin", f"{made}:refs/heads/{BRANCH}")
        spawned.clear()
        assert names(ledger.read()) == sorted(ledger.honest)
        counts.append(len(spawned))
    assert counts[0] == counts[1] <= 4


def test_a_commit_of_a_million_names_is_not_held(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of events count nowhere and break the line, others are not even looked at; what else there is goes on."""
    monkeypatch.setattr(history, "MOST_FILES", 20)
    other = ledger.by_hand("for n in $(seq 30); do echo $n > x$n; done")
    assert ledger.read().breaks == ()
    stems = "2026/03/20260301T0800$n-gate-000000000000.json"
    flood = ledger.by_hand(f"for n in $(seq 10 35); do echo > {stems.replace('$n', '${n}Z')}; done")
    later = ledger.append(5)
    line = ledger.read()
    assert names(line) == sorted([*ledger.honest, later])
    assert [(b.commit, b.good) for b in line.breaks] == [(flood, other)]
    assert "more than" in line.breaks[0].what
    assert {after for e, after in line.entries.items() if e.name == later} == {(flood,)}


def test_ten_commits_of_1970_change_nothing(ledger: Ledger) -> None:
    line = ledger.read()
    for _ in range(10):
        ledger.by_hand("true", date="1970-01-02T00:00:00Z")
    later = ledger.append(4)
    again = ledger.read(line)
    assert (names(again), again.breaks) == (sorted([*ledger.honest, later]), ())
    for _ in range(10):
        ledger.by_hand("true", date="1970-01-02T00:00:00Z")
    assert names(ledger.read(again)) == names(again)


def test_commits_of_main_that_it_keeps_reachable_are_no_breaks(ledger: Ledger) -> None:
    git(ledger.clone, "checkout", "-q", "--orphan", "main")
    (ledger.clone / "train.py").write_text("pass\n", encoding="utf-8")
    git(ledger.clone, "add", "-A")
    git(ledger.clone, "commit", "-qm", "trained")
    git(ledger.clone, "push", "-q", "origin", "HEAD:main")
    name, content = event(7, "trained")
    append(Remote(f"file://{ledger.server}"), {name: content}, parents=[git(ledger.clone, "rev-parse", "HEAD")])
    line = ledger.read()
    assert (names(line), line.breaks) == (sorted([*ledger.honest, name]), ())
    assert line.clean == (git(ledger.clone, "rev-parse", "HEAD"),)


@pytest.mark.nightly
def test_one_huge_file_under_sixty_names_is_never_read(ledger: Ledger) -> None:
    """95 MB of zeros cost 420 kB on the forge."""
    stems = [f"2026/03/20260301T0800{n:02}Z-gate-000000000000.json" for n in range(60)]
    script = f"head -c 95000000 /dev/zero > big && for f in {' '.join(stems)}; do ln big $f; done; rm big"
    ledger.by_hand(script)
    assert {e.name for e in load(ledger.repository, ledger.read().entries)} == set(ledger.honest)


def test_a_clone_remembers_how_far_the_ledger_only_grew(ledger: Ledger) -> None:
    memory = ledger.server / "gitml" / "ledger-only-grew"
    remembered(ledger.repository, ledger.tip)
    good = ledger.tip
    assert memory.read_text(encoding="ascii") == good
    ledger.by_hand(f"git rm -q {ledger.honest[0]}")
    later = ledger.append(5)
    line = remembered(ledger.repository, ledger.tip)
    assert (names(line), len(line.breaks)) == (sorted([*ledger.honest, later]), 1)
    assert memory.read_text(encoding="ascii") == good, "not beyond the break"
    assert [e.name for e in read(ledger.server, BRANCH)] == sorted([*ledger.honest, later])
    assert names(remembered(ledger.repository, good)) == sorted(ledger.honest)
    assert names(remembered(ledger.repository, git(ledger.server, "rev-parse", f"{good}^"))) == sorted(
        ledger.honest[:2]
    )
    assert memory.read_text(encoding="ascii") == good, "never backwards"
    memory.write_text("f" * 40, encoding="ascii")
    assert names(remembered(ledger.repository, ledger.tip)) == names(line)


def test_files_of_main_that_look_like_events_hide_nothing(ledger: Ledger) -> None:
    """A break is told, with what it would hide: whether any of it counts is for whoever knows the keys."""
    name, content = event(9)
    git(ledger.clone, "checkout", "-q", "--orphan", "main")
    (ledger.clone / "2024" / "01").mkdir(parents=True)
    (ledger.clone / "2024" / "01" / "sales.json").write_text("{}", encoding="utf-8")
    git(ledger.clone, "add", "-A")
    git(ledger.clone, "commit", "-qm", "data by month are no events")
    clean = git(ledger.clone, "rev-parse", "HEAD")
    (ledger.clone / "2026" / "03").mkdir(parents=True, exist_ok=True)
    (ledger.clone / name).write_bytes(content)
    git(ledger.clone, "add", "-A")
    git(ledger.clone, "commit", "-qm", "planted")
    planted = git(ledger.clone, "rev-parse", "HEAD")
    git(ledger.clone, "push", "-q", "origin", "HEAD:main")
    for number, parent in ((7, clean), (8, planted)):
        trained, raw = event(number, "trained")
        append(Remote(f"file://{ledger.server}"), {trained: raw}, parents=[parent])
    (found,) = ledger.read().breaks
    assert [entry.name for entry in found.hid] == [name]
