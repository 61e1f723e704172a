import gc
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from gitml_sandbox.changes import refs
from gitml_sandbox.errors import OutsideError, RefError, UsageError
from gitml_sandbox.forge import context, events, push_policy, repos, tokens, users
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.store import Store
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO, Change
from gitml_sandbox.server import state as forge
from sandbox.forge_kit import commit, git


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return context.open_sandbox(tmp_path / "state", ddl=forge.schema(), base_url="http://localhost")


def test_a_block_that_raises_changes_nothing(box: Sandbox) -> None:
    def twice() -> None:
        with box.store.write() as tx:
            users.add(tx, "ada")
            users.add(tx, "ADA")

    with pytest.raises(UsageError):
        twice()
    with box.store.read() as tx:
        assert users.everyone(tx) == []


def test_reading_cannot_write_and_sees_one_moment(box: Sandbox) -> None:
    with box.store.read() as tx:
        assert users.everyone(tx) == []
        with box.store.write() as other:
            users.add(other, "ada")
        assert users.everyone(tx) == []
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            users.add(tx, "eve")
    with box.store.read() as tx:
        assert [u.login for u in users.everyone(tx)] == ["ada"]


def test_writes_do_not_nest(box: Sandbox) -> None:
    with box.store.write(), pytest.raises(RuntimeError, match="pass tx down"), box.store.write():
        pass


def test_writers_wait_for_each_other(box: Sandbox) -> None:
    other = Store(box.store.path, forge.schema())  # as a second process has it

    def add(store: Store, start: int) -> None:
        for number in range(start, start + 20):
            with store.write() as tx:
                users.add(tx, f"u{number}")

    threads = [threading.Thread(target=add, args=(s, n)) for s, n in ((box.store, 0), (other, 100), (box.store, 200))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with other.read() as tx:
        assert len(users.everyone(tx)) == 60
    other.close()


def test_events_wake_and_other_writes_do_not(box: Sandbox) -> None:
    with box.store.write() as tx:
        ada = users.add(tx, "ada")
    repo = repos.create(box, ada.id, "x")
    assert not box.wake.is_set()
    with box.store.write() as tx:
        events.emit(tx, repo_id=repo.id, name="push", actor_id=ada.id, token_kind="user", payload={})
        assert not box.wake.is_set()
    assert box.wake.is_set()


def test_state_of_another_version_is_refused(box: Sandbox) -> None:
    with box.store.write() as tx:
        tx.execute("UPDATE meta SET value = 'older' WHERE key = 'schema'")
    with pytest.raises(OutsideError, match="another version of gitml") as raised:
        Store(box.store.path, forge.schema())
    assert "down --delete" in raised.value.hint


def test_passwords(box: Sandbox) -> None:
    with box.store.write() as tx:
        users.add(tx, "ada", password="correct horse")
        users.add(tx, "gitml-bot[bot]", type="Bot")
        stored = tx.execute("SELECT password FROM users WHERE login = 'ada'").fetchone()[0]
        assert "correct horse" not in stored
        assert users.hash_password("correct horse") != stored
        found = users.check_password(tx, "Ada", "correct horse")
        assert found is not None
        assert found.login == "ada"
        wrong = [("ada", "correct"), ("ada", ""), ("eve", "correct horse"), ("gitml-bot[bot]", "")]
        assert [users.check_password(tx, *pair) for pair in wrong] == [None] * 4
        users.set_password(tx, found.id, "new")
        assert users.check_password(tx, "ada", "correct horse") is None
        assert users.check_password(tx, "ada", "new") == found


@pytest.mark.parametrize(
    "login", ["", "-a", "a-", "a--b", "a b", "../x", "a/b", "ü", "a" * 40, "api", "Login", "x[bot]"]
)
def test_logins_that_nobody_may_have(box: Sandbox, login: str) -> None:
    with box.store.write() as tx, pytest.raises(UsageError):
        users.add(tx, login)


def test_tokens(box: Sandbox) -> None:
    with box.store.write() as tx:
        ada = users.add(tx, "ada")
        made = tokens.mint(tx, user_id=ada.id, kind="user", permissions={"contents": "write", "issues": "read"})
        assert made.startswith("ghp_")
        assert made not in "".join(map(str, tx.execute("SELECT * FROM tokens").fetchone()))
        token = tokens.find(tx, made, box.now())
        assert token is not None
        allowed = [token.allows(w, level) for w in ("contents", "issues", "statuses") for level in ("read", "write")]
        assert allowed == [True, True, True, False, False, False]
        assert token.allows("metadata", "read")
        assert not token.allows("metadata", "write")
        assert tokens.find(tx, made + "x", box.now()) is None
        timed = tokens.mint(tx, user_id=ada.id, kind="user", expires_at="2030-01-01T00:00:00Z")
        assert tokens.find(tx, timed, "2029-12-31T23:59:59Z")
        assert tokens.find(tx, timed, "2030-01-01T00:00:00Z") is None
        with pytest.raises(UsageError):
            tokens.mint(tx, user_id=ada.id, kind="user", permissions={"contents": "admin"})


def test_who_may_do_what(box: Sandbox) -> None:
    with box.store.write() as tx:
        org = users.add(tx, "acme", type="Organization")
        ids = {
            name: users.add(tx, name, site_admin=name == "root").id for name in ("root", "boss", "rita", "olga", "eve")
        }
        users.add_member(tx, org.id, ids["boss"], "admin")
        users.add_member(tx, org.id, ids["rita"])
        users.add_member(tx, org.id, ids["olga"])
        team = users.add_team(tx, org.id, "Risk")
        users.add_team_member(tx, team, ids["rita"])
    repo = repos.create(box, org.id, "x", private=True)
    with box.store.write() as tx:
        repos.set_team(tx, repo.id, team, "maintain")
        repos.set_collaborator(tx, repo.id, ids["rita"], "triage")
        found = {name: repos.permission(tx, repo, number) for name, number in ids.items()}
        assert found == {"root": "admin", "boss": "admin", "rita": "maintain", "olga": "read", "eve": "none"}
        assert repos.permission(tx, repo, None) == "none"
        repos.set_team(tx, repo.id, team, "none")
        assert repos.permission(tx, repo, ids["rita"]) == "triage"
        assert [r.id for r in repos.listing(tx, ids["olga"])] == [repo.id]
        assert repos.listing(tx, ids["eve"]) == []


def test_forks_are_independent(box: Sandbox) -> None:
    with box.store.write() as tx:
        ada, eve = users.add(tx, "ada"), users.add(tx, "eve")
    repo = repos.create(box, ada.id, "x")
    tree = gitrepo.out(repos.path(box, repo), "mktree", stdin=b"")
    identity = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    sha = gitrepo.out(repos.path(box, repo), "commit-tree", tree, "-m", "one", env=identity)
    refs.update(box, repo, [Change("refs/heads/main", ZERO, sha)], push_policy.Actor(ada))
    gitrepo.update_refs(repos.path(box, repo), [Change("refs/pull/1/head", ZERO, sha)])
    fork = repos.create(box, eve.id, "x", fork_of=repo)
    with box.store.read() as tx:
        assert refs.stored(tx, fork.id) == {"refs/heads/main": sha}
    repos.delete(box, repo)
    assert not repos.path(box, repo).exists()
    gitrepo.git(repos.path(box, fork), "fsck", "--full")
    with box.store.read() as tx:
        assert repos.by_id(tx, fork.id).fork_of is None
        with pytest.raises(RefError):
            repos.get(tx, "ada/x")


def test_refs_moved_behind_our_back_are_found(tmp_path: Path) -> None:
    box = forge.open_forge(tmp_path / "state", base_url="http://localhost")
    with box.store.write() as tx:
        ada = users.add(tx, "ada")
    repo = repos.create(box, ada.id, "x")
    bare = repos.path(box, repo)
    identity = {f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    sha = gitrepo.out(bare, "commit-tree", gitrepo.out(bare, "mktree", stdin=b""), "-m", "one", env=identity)
    gitrepo.update_refs(bare, [Change("refs/heads/main", ZERO, sha)])
    assert forge.recover(box) == 1
    assert forge.recover(box) == 0
    with box.store.read() as tx:
        rows = tx.execute("SELECT name, actor_id FROM events ORDER BY id").fetchall()
    assert [(r["name"], r["actor_id"]) for r in rows] == [("create", ada.id), ("push", ada.id)]


@pytest.mark.parametrize(
    ("ref", "valid"),
    [
        ("refs/heads/main", True),
        ("refs/heads/a/b", True),
        ("refs/heads/ü", True),
        ("HEAD", False),
        ("main", False),
        ("refs/heads/", False),
        ("refs/heads/../x", False),
        ("refs/heads/.x", False),
        ("refs/heads/x.lock", False),
        ("refs/heads/a b", False),
        ("refs/heads/a\nb", False),
        ("refs/heads/a@{b", False),
        ("refs/heads/x.", False),
        ("refs//heads", False),
    ],
)
def test_names_of_refs(box: Sandbox, ref: str, valid: bool) -> None:
    assert gitrepo.valid_ref(ref) == valid
    said = gitrepo.git(box.root, "check-ref-format", ref, check=False).returncode == 0
    assert said == valid


@pytest.mark.parametrize("closes", [True, False])
def test_a_store_that_is_gone_holds_no_file(tmp_path: Path, closes: bool) -> None:
    store = Store(tmp_path / "box.db", forge.schema())
    with store.read() as outer, store.read():
        assert outer.execute("SELECT count(*) FROM events").fetchone()[0] == 0
        if closes:
            store.close()
    assert bool(_open(tmp_path)) is not closes
    del store
    gc.collect()
    assert not _open(tmp_path)


def _open(folder: Path) -> list[str]:
    links = (os.path.realpath(link) for link in Path("/proc/self/fd").iterdir())
    return [path for path in links if path.startswith(f"{folder}/")]


def test_a_question_about_objects_is_put_to_git_once(tmp_path: Path) -> None:
    """By full names, and only when git could answer: what is missing may still come."""
    git(tmp_path, "init", "-q", "a")
    clone = tmp_path / "a"
    first, second = commit(clone, "x", "1"), commit(clone, "x", "2")
    bare = tmp_path / "bare"
    gitrepo.create(bare)
    gitrepo.git(bare, "fetch", "-q", str(clone), f"+{first}:refs/heads/main")
    assert not gitrepo.is_ancestor(bare, first, second)
    assert gitrepo.merge_base(bare, first, second) is None
    gitrepo.git(bare, "fetch", "-q", str(clone), f"+{second}:refs/heads/main")
    before = gitrepo._asked.cache_info()
    for _ in range(3):
        assert gitrepo.is_ancestor(bare, first, second)
        assert not gitrepo.is_ancestor(bare, second, first)
        assert gitrepo.merge_base(bare, first, second) == first
        assert gitrepo.commits_between(bare, first, second) == [second]
        assert gitrepo.merge_base(bare, "main", second) == second
    after = gitrepo._asked.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (4, 8)


def test_refs_are_read_loose_and_packed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    first = commit(tmp_path, "x", "1")
    bare = tmp_path / ".git"
    git(tmp_path, "tag", "-a", "v1", "-m", "x")
    git(tmp_path, "symbolic-ref", "refs/heads/same", "refs/heads/main")
    tag = git(tmp_path, "rev-parse", "v1").strip()
    for _ in range(2):
        found = {ref: gitrepo.ref_sha(bare, ref) for ref in ("refs/heads/main", "refs/heads/same", "refs/tags/v1")}
        assert found == {"refs/heads/main": first, "refs/heads/same": first, "refs/tags/v1": tag}
        assert [gitrepo.ref_sha(bare, ref) for ref in ("refs/heads", "refs/heads/none", "refs/../config")] == [None] * 3
        git(tmp_path, "pack-refs", "--all")
    second = commit(tmp_path, "x", "2")
    assert gitrepo.ref_sha(bare, "refs/heads/main") == second
