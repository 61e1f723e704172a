from pathlib import Path

from gitml.sandbox import refs
from sandbox.forge_kit import Kit, commit, git


def test_push_clone_fetch(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "a")
    other = kit.clone(repo, tmp_path / "b", "olga")
    sha = commit(clone, "x.txt", "x")
    git(clone, "push", "-q", "origin", "HEAD:main")
    git(other, "fetch", "-q")
    assert git(other, "rev-parse", "origin/main").strip() == sha
    assert kit.events(repo) == ["create", "push", "push"]
    with kit.sandbox.store.read() as tx:
        assert refs.stored(tx, repo.id) == {"refs/heads/main": sha}
