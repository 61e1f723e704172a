"""Objects and refs are what Git says they are, whatever the environment, the clone and other processes do."""

from __future__ import annotations

import gc
import hashlib
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from conftest import commit, git, write
from gitml.errors import IntegrityError, OutsideError
from gitml.git import repository as repository_module
from gitml.git.commands import Git
from gitml.git.repository import Repository

NOWHERE = "0123456789" * 4


def readers() -> list[psutil.Process]:
    """Git's processes below this one that read objects."""
    found = []
    for child in psutil.Process().children():
        try:
            if "cat-file" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def made(root: Path, *options: str) -> Path:
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main", *options)
    write(root, {"sub/a.txt": "one\n", "b.txt": "two\n"})
    commit(root, "Files")
    return root


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return made(tmp_path / "clone")


@pytest.fixture
def repository(clone: Path) -> Iterator[Repository]:
    opened = Repository(clone)
    yield opened
    opened.close()


def head(root: Path, name: str = "HEAD") -> str:
    return git(root, "rev-parse", name).strip()


def test_resolves_ids_refs_and_revisions(clone: Path, repository: Repository) -> None:
    first = head(clone)
    write(clone, {"b.txt": "three\n"})
    second = commit(clone, "More")
    git(clone, "tag", "-a", "-m", "x", "v1", first)
    git(clone, "tag", "-a", "-m", "x", "again", "v1")
    git(clone, "tag", "-a", "-m", "x", "file", "HEAD:b.txt")
    git(clone, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
    for name in ("HEAD", "refs/heads/main", "main", second, second[:12], "refs/remotes/origin/HEAD"):
        assert repository.resolve(name) == second, name
    for name in ("HEAD^", "HEAD~1", "v1", "refs/tags/v1", "refs/tags/again", head(clone, "again")):
        assert repository.resolve(name) == first, name
    git(clone, "pack-refs", "--all")
    assert repository.resolve("refs/tags/again") == first
    assert repository.resolve("refs/heads/main") == second
    for name in ("", "refs/heads/none", "HEAD^^", NOWHERE, "refs/tags/file", head(clone, "HEAD:b.txt")):
        assert repository.resolve(name) is None, name


@pytest.mark.parametrize("options", [(), ("--object-format=sha256",)])
def test_lists_refs_loose_and_packed(tmp_path: Path, options: tuple[str, ...]) -> None:
    clone = made(tmp_path / "refs", *options)
    opened = Repository(clone)
    git(clone, "branch", "a/b")
    git(clone, "pack-refs", "--all")
    git(clone, "branch", "c")
    found = dict.fromkeys(("refs/heads/a/b", "refs/heads/c", "refs/heads/main"), head(clone))
    assert opened.refs() == found
    assert opened.refs("refs/heads/a") == {"refs/heads/a/b": head(clone)}
    git(clone, "branch", "-D", "a/b")
    assert list(opened.refs()) == ["refs/heads/c", "refs/heads/main"]
    assert opened.refs("refs/none") == {}
    opened.close()


def test_hostile_names_name_nothing(clone: Path, repository: Repository) -> None:
    (clone / ".git/refs/heads/odd").write_text("ref: refs/heads/odd\n")
    outside = clone.parent / "outside"
    outside.write_text(head(clone))
    for name in ("refs/heads/../../../outside", "HEAD\nHEAD", "--help", "refs/heads/odd", f"{NOWHERE}\n{NOWHERE}"):
        assert repository.resolve(name) is None, name
    with pytest.raises(IntegrityError, match="not the id"):
        repository.load(f"{head(clone)}\n{head(clone)}")
    assert repository.resolve("HEAD") == head(clone)


def test_a_missing_object_leaves_the_next_answers_right(clone: Path, repository: Repository) -> None:
    for _ in range(3):
        assert repository.load(NOWHERE) is None
        assert repository.blob(head(clone, "HEAD:b.txt")) == b"two\n"
    with pytest.raises(OutsideError, match="does not have"):
        repository.blob(NOWHERE)
    with pytest.raises(OutsideError, match="too large"):
        repository.blob(head(clone, "HEAD:b.txt"), largest=3)
    assert repository.blob(head(clone, "HEAD:sub/a.txt")) == b"one\n"


def test_variables_of_a_hook_do_not_lead_elsewhere(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = made(tmp_path / "other")
    write(other, {"b.txt": "other\n"})
    commit(other, "Other")
    expected = head(clone)
    for name, place in {
        "DIR": ".git",
        "COMMON_DIR": ".git",
        "OBJECT_DIRECTORY": ".git/objects",
        "WORK_TREE": ".",
    }.items():
        monkeypatch.setenv(f"GIT_{name}", str(other / place))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    git_of_clone = Git(clone / "sub")
    assert git_of_clone.resolve("HEAD") == expected
    assert git_of_clone.at("refs/heads/main").read("a.txt") == b"one\n"
    name = git_of_clone.repository.store("blob", b"new\n")
    assert (clone / ".git/objects" / name[:2] / name[2:]).is_file()
    assert not (other / ".git/objects" / name[:2] / name[2:]).exists()


def test_replaced_objects_do_not_count(clone: Path, repository: Repository) -> None:
    before = head(clone)
    write(clone, {"b.txt": "forged\n"})
    forged = commit(clone, "Forged")
    git(clone, "replace", before, forged)
    assert git(clone, "show", f"{before}:b.txt") == "forged"
    assert Git(clone).at(before).read("b.txt") == b"two\n"
    (listed,) = (entry.id for entry in repository.walk(before) if entry.path == "b.txt")
    assert repository.blob(listed) == b"two\n"


def test_linked_worktrees_share_objects_and_branches(clone: Path, tmp_path: Path) -> None:
    git(clone, "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"))
    linked = tmp_path / "linked"
    write(linked, {"c.txt": "side\n"})
    side = commit(linked, "Side")
    opened = Git(linked / "sub")
    assert opened.resolve("HEAD") == opened.resolve("refs/heads/side") == side
    assert opened.resolve("refs/heads/main") == head(clone)
    assert opened.repository.blob(opened.repository.store("blob", b"x")) == b"x"
    assert Git(clone).at(side).read("c.txt") == b"side\n"


def test_sees_what_others_pack_and_prune_meanwhile(clone: Path, repository: Repository) -> None:
    names = {}
    for number in range(4):
        content = f"version {number}\n" * 50
        write(clone, {"b.txt": content})
        commit(clone, f"Commit {number}")
        names[head(clone, "HEAD:b.txt")] = content.encode()
        assert {name: repository.blob(name) for name in names} == names
        git(clone, "gc", "-q", "--prune=now") if number % 2 else git(clone, "repack", "-q", "-a", "-d", "-f")
        assert not list(clone.glob(f".git/objects/{head(clone)[:2]}/{head(clone)[2:]}"))
        assert {name: repository.blob(name) for name in names} == names
        assert repository.resolve("refs/heads/main") == repository.resolve("HEAD") == head(clone)
        assert repository.entry("HEAD", "b.txt") is not None


def test_one_process_reads_and_ends_with_its_last_user(clone: Path) -> None:
    gc.collect()  # of other tests
    before = len(readers())
    opened = Git(clone)
    for _ in range(20):
        assert opened.at("HEAD").read("sub/a.txt") == b"one\n"
    assert len(readers()) == before + 1
    del opened
    gc.collect()
    assert len(readers()) == before


def test_a_reader_that_was_killed_is_replaced(clone: Path, repository: Repository) -> None:
    before = {process.pid for process in readers()}
    name = head(clone, "HEAD:b.txt")
    assert repository.blob(name) == b"two\n"
    (reader,) = [process for process in readers() if process.pid not in before]
    reader.kill()
    reader.wait()
    assert repository.blob(name) == b"two\n"
    assert repository.load(NOWHERE) is None
    assert repository.blob(name) == b"two\n"


def test_threads_do_not_get_each_others_answers(clone: Path, repository: Repository) -> None:
    contents = {repository.store("blob", f"{n}\n".encode() * n): f"{n}\n".encode() * n for n in range(1, 60)}
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(repository.blob, list(contents) * 5)) == list(contents.values()) * 5


def test_a_partial_clone_fetches_what_it_reads(clone: Path, tmp_path: Path) -> None:
    git(clone, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{clone}", "partial.git")
    opened = Repository(tmp_path / "partial.git")
    entry = opened.entry("HEAD", "sub/a.txt")
    assert entry is not None
    assert opened.blob(entry.id) == b"one\n"
    opened.close()


def test_a_repository_with_sha256_names_is_read_and_written(tmp_path: Path) -> None:
    clone = made(tmp_path / "sha256", "--object-format=sha256")
    opened = Git(clone / "sub")
    assert opened.resolve("HEAD") == opened.resolve(head(clone)) == opened.resolve("refs/heads/main") == head(clone)
    assert len(head(clone)) == 64
    tree = opened.at("HEAD")
    assert tree.read("a.txt") == b"one\n"
    assert [(e.path, len(e.id)) for e in tree.entries("")] == [("a.txt", 64)]
    assert [e.path for e in tree.walk()] == ["a.txt"]
    assert opened.resolve("ab" * 32) is None
    name = opened.repository.store("blob", b"new\n")
    assert name == hashlib.sha256(b"blob 4\0new\n").hexdigest()
    assert opened.repository.blob(name) == b"new\n"
    with pytest.raises(OutsideError, match="too large"):
        opened.repository.blob(name, largest=3)


@pytest.mark.parametrize("names", [["a", "a"], [".."], ["a/b"], [""]])
def test_trees_that_git_would_not_make_are_refused(clone: Path, names: list[str]) -> None:
    blob = bytes.fromhex(head(clone, "HEAD:b.txt"))
    content = b"".join(b"100644 %s\0%s" % (name.encode(), blob) for name in names)
    tree = forced(clone, "tree", content)
    hostile = forced(clone, "commit", b"tree %s\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx\n" % tree.encode())
    with pytest.raises(IntegrityError, match="does not allow"):
        Git(clone).at(hostile).read("a")


def test_a_folder_of_a_million_names_hides_no_other(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(clone, {f"large/{n}": "" for n in range(9)})
    commit(clone, "Many")
    write(clone, {f"many{n}": "" for n in range(9)})
    commit(clone, "Many more")
    monkeypatch.setattr(repository_module, "LARGEST_FOLDER", 200)
    tree = Git(clone).at(head(clone, "HEAD"))
    assert (tree.read("sub/a.txt"), tree.read("b.txt"), tree.read("large/7")) == (b"one\n", b"two\n", b"")
    assert [e.path for e in tree.entries("sub")] == ["sub/a.txt"]
    assert (tree.read("none"), tree.read("b.txt/x")) == (None, None)
    for folder in ("", "large"):
        with pytest.raises(OutsideError, match="more names than are read"):
            tree.entries(folder)


def test_a_damaged_tree_is_refused(clone: Path) -> None:
    tree = forced(clone, "tree", b"100644 a\0short")
    hostile = forced(clone, "commit", b"tree %s\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nx\n" % tree.encode())
    with pytest.raises(IntegrityError):
        Git(clone).at(hostile).entries("")


def forced(root: Path, kind: str, content: bytes) -> str:
    """An object that Git itself refuses to write."""
    whole = b"%s %d\0" % (kind.encode(), len(content)) + content
    name = hashlib.sha1(whole).hexdigest()
    place = root / ".git/objects" / name[:2] / name[2:]
    os.makedirs(place.parent, exist_ok=True)
    place.write_bytes(zlib.compress(whole))
    return name
