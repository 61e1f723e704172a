"""Kill -9, at named points and at random moments: nothing acknowledged is lost, Git and the database agree."""

import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitml_sandbox.changes import refs
from gitml_sandbox.forge import protections, repos, users
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.protections import Protection, Reviews
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.server import serve
from gitml_sandbox.server import state as forge
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, commit, git, people
from sandbox.killpoints import POINTS
from sandbox.nursery import Forked, nursery

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

PUSH = [n for n in POINTS if n.startswith(("push-", "settle-"))]
INSIDE = [n for n in POINTS if n.startswith(("update-", "settle-"))]
# Where Git has moved the ref already, the recovered state must have it, acknowledged or not.
MOVED = {"push-received", "push-before-answer", "update-refs-moved", "update-recorded"}
MOVED |= {"settle-before-record", "settle-before-commit", "settle-recorded"}

INSIDE_SCRIPT = """
import sys, pathlib
from gitml_sandbox.changes import refs
from gitml_sandbox.forge import push_policy, repos, users
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.server import state as forge
box = forge.open_forge(pathlib.Path(sys.argv[1]), base_url="http://localhost")
with box.store.read() as tx:
    repo, olga = repos.get(tx, sys.argv[2]), users.get(tx, "olga")
change = gitrepo.Change("refs/heads/main", sys.argv[3], sys.argv[4])
refs.update(box, repo, [change], push_policy.Actor(olga), data={"why": "test"})
print("acknowledged")
"""


class Template:
    """A state folder with one repository, and a clone that is one commit ahead."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        with serving(self.state, Options(port=0, runner=False)) as running:
            kit = Kit(running.sandbox, running.address.url, people(running.sandbox))
            self.tokens = kit.token
            self.repo, self.clone = kit.seeded(folder / "clone")
            self.old = git(self.clone, "rev-parse", "HEAD").strip()
            self.new = commit(self.clone, "x", "x")
            git(self.clone, "push", "-q", "origin", "HEAD:topic")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("crash"))


@pytest.fixture
def state(template: Template, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template.state, tmp_path / "state"))


@contextmanager
def server(state: Path, point: str = "") -> Iterator[tuple[Forked, str]]:
    """The real command in a process of its own; killed at the end."""
    words = ["up", "--foreground", "--no-runner", "--port", "0", "--state", str(state)]
    running = nursery().start(words, state.parent / "log", point=point)
    try:
        deadline = time.monotonic() + 60
        while (found := serve.address(state)) is None or found.pid != running.pid:
            assert running.poll() is None, (state.parent / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield running, found.url
    finally:
        running.kill()
        running.wait(20)


def push(url: str, template: Template, words: str, who: str = "olga") -> bool:
    """Whether the push was acknowledged."""
    remote = f"http://x:{template.tokens[who]}@{url.partition('://')[2]}/{template.repo.full_name}.git"
    try:
        git(template.clone, "push", "-q", remote, words)
    except AssertionError:
        return False
    return True


@contextmanager
def recovered(state: Path) -> Iterator[Sandbox]:
    """What a new start sees: recovered, and in agreement everywhere; a second recovery changes nothing."""
    box = forge.open_forge(state, base_url="http://localhost")
    try:
        forge.recover(box)
        agree(box)
        yield box
        assert forge.recover(box) == 0
    finally:
        box.store.close()


def agree(box: Sandbox) -> None:
    with box.store.read() as tx:
        assert tx.execute("SELECT count(*) FROM ref_journal").fetchone()[0] == 0
        assert tx.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        for repo in repos.listing(tx, everything=True):
            real = refs.current(box, repo)
            assert refs.stored(tx, repo.id) == real
            told = {}
            for row in tx.execute("SELECT * FROM events WHERE repo_id = ? AND name = 'push' ORDER BY id", (repo.id,)):
                payload = json.loads(row["payload"])
                # Events of a ref form a chain without gaps or repetitions.
                assert payload["before"] == told.get(row["ref"], gitrepo.ZERO)
                told[row["ref"]] = payload["after"]
            assert {ref: sha for ref, sha in told.items() if sha != gitrepo.ZERO} == real


def last_push(box: Sandbox, repo: Repo) -> tuple[str, str]:
    with box.store.read() as tx:
        row = tx.execute(
            "SELECT * FROM events WHERE repo_id = ? AND name = 'push' AND ref = 'refs/heads/main' ORDER BY id DESC",
            (repo.id,),
        ).fetchone()
        return users.by_id(tx, row["actor_id"]).login, row["sha"]


@pytest.mark.parametrize("point", PUSH)
def test_push_killed_at(template: Template, state: Path, point: str) -> None:
    if point == "push-refused":
        box = forge.open_forge(state, base_url="http://localhost")
        with box.store.write() as tx:
            rule = Protection(required_pull_request_reviews=Reviews())
            protections.save(tx, template.repo.id, "main", rule)
        box.store.close()
    with server(state, point) as (running, url):
        acknowledged = push(url, template, "HEAD:main")
        assert running.wait(20) == -9, "the point was not passed"
    with recovered(state) as box:
        who, sha = last_push(box, template.repo)
        assert sha in (template.old, template.new)
        assert not acknowledged or sha == template.new
        assert point not in MOVED or sha == template.new
        # What is finished later is still told of the one who pushed.
        assert who == ("olga" if sha == template.new else "ada")
        assert point != "push-refused" or sha == template.old
        git(repos.path(box, template.repo), "fsck", "--full")


@pytest.mark.parametrize("point", INSIDE)
def test_change_from_inside_killed_at(template: Template, state: Path, point: str) -> None:
    words = [str(state), template.repo.full_name, template.old, template.new]
    done = nursery().start(words, state.parent / "log", point=point, code=INSIDE_SCRIPT)
    assert done.wait(30) == -9, (state.parent / "log").read_text()
    with recovered(state) as box:
        who, sha = last_push(box, template.repo)
        assert sha == (template.new if point in MOVED else template.old)
        assert who == ("olga" if sha == template.new else "ada")


@pytest.mark.parametrize("point", ["repo-before-commit", "repo-created", "repo-rows-deleted"])
def test_repository_killed_at(template: Template, state: Path, point: str) -> None:
    script = """
import sys, pathlib
from gitml_sandbox.forge import repos
from gitml_sandbox.server import state as forge
box = forge.open_forge(pathlib.Path(sys.argv[1]), base_url="http://localhost")
repos.delete(box, repos.create(box, 2, "fresh"))
"""
    done = nursery().start([str(state)], state.parent / "log", point=point, code=script)
    assert done.wait(30) == -9, (state.parent / "log").read_text()
    with recovered(state) as box:
        with box.store.read() as tx:
            found = repos.find(tx, "ada", "fresh")
        assert (found is not None) == (point == "repo-created")
        if found is None:
            # Whatever was left behind does not stand in the way.
            made = repos.create(box, 2, "fresh")
            assert refs.current(box, made) == {}


def test_killed_at_random_moments(template: Template, state: Path) -> None:
    """Four clients push as fast as they can; ten kills; every push that was acknowledged is there."""
    chance = random.Random(20)
    acknowledged: dict[str, str] = {}
    for round_ in range(10):
        with server(state) as (running, url):
            more = threading.Semaphore(0)

            def client(number: int, url: str = url, round_: int = round_, more: threading.Semaphore = more) -> None:
                # A push that is not acknowledged has met the kill: there is nobody to push to any more.
                for count in range(20):
                    ref = f"refs/heads/r{round_}-{number}-{count}"
                    if not push(url, template, f"{template.new}:{ref}"):
                        break
                    acknowledged[ref] = template.new
                    more.release()

            clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
            for one in clients:
                one.start()
            # After so many pushes, at any moment of the next one: however busy the machine is.
            for _ in range(chance.randrange(4)):
                assert more.acquire(timeout=60)
            time.sleep(chance.uniform(0, 0.15))
            running.kill()
            for one in clients:
                one.join(30)
        with recovered(state) as box:
            with box.store.read() as tx:
                stored = refs.stored(tx, template.repo.id)
            assert acknowledged.items() <= stored.items()
    assert len(acknowledged) >= 10
    git(state / "repos" / f"{template.repo.full_name}.git", "fsck", "--full")
