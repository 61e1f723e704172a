"""Each rule of a protected branch, and a push that tries to break it."""

import subprocess
from pathlib import Path

import pytest

from gitml_sandbox.changes import refs
from gitml_sandbox.forge import protections, repos, statuses, tokens, users
from gitml_sandbox.forge.protections import Actors, Check, Checks, Protection, Reviews
from gitml_sandbox.forge.push_policy import Actor, RefusedError
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading
from gitml_sandbox.git import repository as gitrepo
from gitml_sandbox.git.repository import ZERO, Change
from gitml_sandbox.process import run
from sandbox.forge_kit import Kit, commit, git


def protect(kit: Kit, repo: Repo, rule: Protection, branch: str = "main") -> None:
    with kit.sandbox.store.write() as tx:
        protections.save(tx, repo.id, branch, rule)


def tip(kit: Kit, repo: Repo, ref: str = "refs/heads/main") -> str | None:
    return gitrepo.ref_sha(repos.path(kit.sandbox, repo), ref)


def refused(kit: Kit, repo: Repo, clone: Path, who: str, *words: str) -> str:
    """The push fails, nothing moves, no event is written, no intent is left. Returns what the client said."""
    before = gitrepo.all_refs(repos.path(kit.sandbox, repo)), kit.events(repo)
    said = git(clone, "push", *words[:-1], kit.remote(repo, who), words[-1], ok=False)
    assert (gitrepo.all_refs(repos.path(kit.sandbox, repo)), kit.events(repo)) == before
    with kit.sandbox.store.read() as tx:
        assert tx.execute("SELECT count(*) FROM ref_journal").fetchone()[0] == 0
    return said


def test_direct_push(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(required_pull_request_reviews=Reviews()))
    commit(clone, "x", "x")
    said = refused(kit, repo, clone, "olga", "HEAD:main")
    assert "GH006" in said
    assert "Changes must be made through a pull request" in said
    refused(kit, repo, clone, "olga", "--force", "HEAD:main")
    refused(kit, repo, clone, "olga", "--atomic", "HEAD:main")
    # Another branch is free, and administrators pass while the rule does not name them.
    git(clone, "push", "-q", kit.remote(repo, "olga"), "HEAD:topic")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:main")


def test_administrators_too(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(required_pull_request_reviews=Reviews(), enforce_admins=True))
    commit(clone, "x", "x")
    for who in ("ada", "root"):
        assert "GH006" in refused(kit, repo, clone, who, "HEAD:main")


def test_a_jobs_token_never_bypasses(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(required_pull_request_reviews=Reviews()))
    commit(clone, "x", "x")
    with kit.sandbox.store.write() as tx:
        ada = users.get(tx, "ada").id
        job = tokens.mint(tx, user_id=ada, kind="job", repo_id=repo.id, permissions={"contents": "write"})
    assert "GH006" in refused(kit, repo, clone, job, "HEAD:main")


@pytest.mark.parametrize("admins", [True, False])
def test_forced_push_and_deletion(kit: Kit, tmp_path: Path, admins: bool) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    git(clone, "push", "-q", "origin", "HEAD:release")
    who = "ada" if admins else "olga"
    protect(kit, repo, Protection(enforce_admins=True), "release")
    git(clone, "commit", "-q", "--amend", "-m", "rewritten")
    assert "Cannot force-push" in refused(kit, repo, clone, who, "--force", "HEAD:release")
    assert "Cannot delete" in refused(kit, repo, clone, who, ":release")
    # One refused ref refuses the push: none of the others moves.
    refused(kit, repo, clone, who, "HEAD:new") if False else None
    said = git(clone, "push", "--force", kit.remote(repo, who), "HEAD:release", "HEAD:new", ok=False)
    assert "hook declined" in said
    assert tip(kit, repo, "refs/heads/new") is None
    protect(kit, repo, Protection(enforce_admins=True, allow_force_pushes=True, allow_deletions=True), "release")
    git(clone, "push", "-q", "--force", kit.remote(repo, who), "HEAD:release")
    git(clone, "push", "-q", kit.remote(repo, who), ":release")
    assert kit.events(repo)[-3:] == ["push", "push", "delete"]


def test_default_branch_and_pull_refs_are_the_forges(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    assert "default branch" in refused(kit, repo, clone, "ada", ":main")
    assert "neither a branch nor a tag" in refused(kit, repo, clone, "ada", "HEAD:refs/pull/1/head")
    assert "neither a branch nor a tag" in refused(kit, repo, clone, "root", "HEAD:refs/pull/1/merge")


@pytest.mark.parametrize(
    "ref", ["refs/replace/{sha}", "refs/notes/commits", "refs/stash", "refs/original/refs/heads/main"]
)
def test_only_branches_and_tags_can_be_pushed(kit: Kit, tmp_path: Path, ref: str) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    sha = commit(clone, "x", "x")
    assert "neither a branch nor a tag" in refused(kit, repo, clone, "ada", f"HEAD:{ref.format(sha=sha)}")
    before = tip(kit, repo)
    change = Change(ref.format(sha=before), ZERO, before or ZERO)
    with pytest.raises(RefusedError, match="neither a branch nor a tag"):
        refs.update(kit.sandbox, repo, [change], Actor(kit.user("ada")))


def test_a_replaced_commit_changes_nothing_that_is_shown_or_fetched(kit: Kit, tmp_path: Path) -> None:
    """One that lies in the repository already, from before such refs were refused."""
    repo, clone = kit.seeded(tmp_path / "a")
    good = tip(kit, repo)
    assert good is not None
    forged = commit(clone, "README.md", "forged\n")
    git(clone, "push", "-q", "origin", "HEAD:topic")
    bare = repos.path(kit.sandbox, repo)
    git(bare, "update-ref", f"refs/replace/{good}", forged)
    assert git(bare, "show", f"{good}:README.md") == "forged\n"
    assert reading.text(bare, good, "README.md") == "hello\n"
    assert run(["git", "cat-file", "blob", f"{good}:README.md"], cwd=bare).stdout == b"hello\n"
    git(tmp_path, "clone", "-q", kit.remote(repo, "ada"), "again")
    assert (tmp_path / "again/README.md").read_text() == "hello\n"


def test_a_name_that_is_no_text(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    commit(clone, "x", "x")
    words = ["git", "push", kit.remote(repo, "ada").encode(), b"HEAD:refs/heads/caf\xe9"]
    done = subprocess.run(words, cwd=clone, capture_output=True)
    assert done.returncode == 1
    assert b"is no name for a ref" in done.stderr
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:refs/heads/café")
    assert kit.events(repo, "push") == ["refs/heads/main", "refs/heads/café"]


def test_many_tags_make_no_events(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    git(clone, "tag", "v0")
    git(clone, "push", "-q", "--tags", "origin")
    assert kit.events(repo)[2:] == ["create", "push"]
    for number in range(1, 5):
        git(clone, "tag", "-a", "-m", "x", f"v{number}")
    git(clone, "push", "-q", "--tags", "origin")
    assert kit.events(repo)[4:] == []
    with kit.sandbox.store.read() as tx:
        assert len(refs.stored(tx, repo.id)) == 6


def test_linear_history(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(required_linear_history=True, enforce_admins=True))
    git(clone, "checkout", "-q", "-b", "side")
    commit(clone, "side", "x")
    git(clone, "checkout", "-q", "-b", "both", "HEAD~1")
    commit(clone, "trunk", "x")
    git(clone, "push", "-q", kit.remote(repo, "olga"), "HEAD:main")
    git(clone, "merge", "-q", "--no-ff", "-m", "merge", "side")
    assert "merge commits" in refused(kit, repo, clone, "olga", "HEAD:main")


def test_restricted_pushers(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    rule = Protection(restrictions=Actors(users=("OLGA",), apps=("gitml-bot",)), enforce_admins=True)
    protect(kit, repo, rule)
    with kit.sandbox.store.write() as tx:
        repos.set_collaborator(tx, repo.id, users.get(tx, "gitml-bot[bot]").id, "write")
    commit(clone, "x", "x")
    for who in ("rita", "ada"):
        assert "not authorized" in refused(kit, repo, clone, who, "HEAD:main")
    for number, who in enumerate(("olga", "gitml-bot[bot]")):
        commit(clone, "y", str(number))
        git(clone, "push", "-q", kit.remote(repo, who), "HEAD:main")


def test_restricted_to_a_team(kit: Kit, tmp_path: Path) -> None:
    with kit.sandbox.store.write() as tx:
        org = users.add(tx, "apex", type="Organization")
        ada, olga = users.get(tx, "ada"), users.get(tx, "olga")
        for who in (ada, olga):
            users.add_member(tx, org.id, who.id)
        team = users.add_team(tx, org.id, "Release Crew")
        users.add_team_member(tx, team, olga.id)
    made = repos.create(kit.sandbox, org.id, "shared")
    with kit.sandbox.store.write() as tx:
        for who in (ada, olga):
            repos.set_collaborator(tx, made.id, who.id, "write")
    clone = kit.clone(made, tmp_path / "a")
    commit(clone, "x", "x")
    git(clone, "push", "-q", "origin", "HEAD:main")
    protect(kit, made, Protection(restrictions=Actors(teams=("release-crew",))))
    commit(clone, "y", "y")
    assert "not authorized" in refused(kit, made, clone, "ada", "HEAD:main")
    git(clone, "push", "-q", kit.remote(made, "olga"), "HEAD:main")


def test_required_status(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    checks = Checks(checks=(Check(context="ci"),))
    protect(kit, repo, Protection(required_status_checks=checks, enforce_admins=True))
    sha = commit(clone, "x", "x")
    assert '"ci" is expected' in refused(kit, repo, clone, "ada", "HEAD:main")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:topic")
    for state in ("failure", "success"):
        with kit.sandbox.store.write() as tx:
            olga = users.get(tx, "olga").id
            how = {"context": "ci", "description": "", "target_url": None, "creator_id": olga}
            statuses.create(tx, repo_id=repo.id, sha=sha, state=state, **how)
        if state == "failure":
            assert "failing" in refused(kit, repo, clone, "ada", "HEAD:main")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:main")


def test_locked_branch(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(lock_branch=True, enforce_admins=True))
    commit(clone, "x", "x")
    assert "locked" in refused(kit, repo, clone, "ada", "HEAD:main")


def test_configuration_of_the_repository_cannot_switch_the_hook_off(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(required_pull_request_reviews=Reviews()))
    bare = repos.path(kit.sandbox, repo)
    git(bare, "config", "core.hooksPath", "/dev/null")
    git(bare, "config", "receive.denyNonFastForwards", "false")
    git(bare, "config", "receive.advertisePushOptions", "true")
    commit(clone, "x", "x")
    assert "GH006" in refused(kit, repo, clone, "olga", "--no-verify", "HEAD:main")
    assert "does not support push options" in refused(kit, repo, clone, "olga", "-o", "skip", "HEAD:main")


def test_a_hook_that_does_not_ask(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    protect(kit, repo, Protection(required_pull_request_reviews=Reviews()))
    hook = kit.sandbox.root / "hooks" / "pre-receive"
    commit(clone, "x", "x")
    hook.chmod(0o600)
    assert "GH006" in refused(kit, repo, clone, "olga", "HEAD:main")
    hook.chmod(0o700)
    hook.write_text("#!/bin/sh\nexit 0\n")
    assert "GH006" in refused(kit, repo, clone, "olga", "HEAD:main")
    hook.unlink()
    assert "GH006" in refused(kit, repo, clone, "olga", "HEAD:main")


def test_workflow_files_need_their_permission(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    with kit.sandbox.store.write() as tx:
        ada = users.get(tx, "ada").id
        job = tokens.mint(tx, user_id=ada, kind="job", repo_id=repo.id, permissions={"contents": "write"})
    commit(clone, ".github/workflows/ci.yml", "on: push\n")
    assert "without `workflows` permission" in refused(kit, repo, clone, job, "HEAD:topic")
    git(clone, "push", "-q", kit.remote(repo, "ada"), "HEAD:main")
    commit(clone, "x", "x")
    git(clone, "push", "-q", kit.remote(repo, job), "HEAD:topic")
    with kit.sandbox.store.read() as tx:
        row = tx.execute("SELECT token_kind FROM events WHERE repo_id = ? ORDER BY id DESC", (repo.id,)).fetchone()
    assert row["token_kind"] == "job"


def test_changes_from_inside_follow_the_same_rules(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    old = tip(kit, repo) or ""
    new = commit(clone, "x", "x")
    git(clone, "push", "-q", "origin", "HEAD:topic")
    protect(kit, repo, Protection(required_pull_request_reviews=Reviews()))
    change = [Change("refs/heads/main", old, new)]
    olga = Actor(kit.user("olga"))
    with pytest.raises(RefusedError, match="pull request"):
        refs.update(kit.sandbox, repo, change, olga)
    assert tip(kit, repo) == old
    refs.update(kit.sandbox, repo, change, olga, check=lambda tx: None, data={"merge": {}})
    assert tip(kit, repo) == new
    with pytest.raises(refs.MovedError):
        refs.update(kit.sandbox, repo, change, olga, check=lambda tx: None)
    refs.update(kit.sandbox, repo, [Change("refs/tags/v1", ZERO, new)], olga)
    assert kit.events(repo)[-3:] == ["push", "create", "push"]
