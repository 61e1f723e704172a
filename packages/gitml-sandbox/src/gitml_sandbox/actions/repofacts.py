"""The facts that the trigger rules ask for, read from one bare repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitml_sandbox.actions import workflows
from gitml_sandbox.actions.workflows import Broken, Workflow
from gitml_sandbox.forge import pulls, repos
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.git import reading as gitview
from gitml_sandbox.git import repository as gitrepo

Cache = dict[tuple[Path, str], Sequence[Workflow | Broken]]
_CACHED = 64


class RepoFacts:
    """Facts of a repository (see triggers.Facts). Workflow files are kept by commit, which never changes."""

    def __init__(self, sandbox: Sandbox, repo: Repo, cache: Cache) -> None:
        self._sandbox, self._repo, self._cache = sandbox, repo, cache
        self.path = repos.path(sandbox, repo)
        self.default_branch = repo.default_branch

    def resolve(self, ref: str) -> str | None:
        return gitrepo.resolve(self.path, ref) if gitrepo.valid_ref(ref) else None

    def workflows(self, commit: str) -> Sequence[Workflow | Broken]:
        key = (self.path, commit)
        if key not in self._cache:
            while len(self._cache) >= _CACHED:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = workflows.read_all(self.path, commit)
        return self._cache[key]

    def message(self, commit: str) -> str:
        return gitrepo.out(self.path, "show", "-s", "--format=%B", commit)

    def changed(self, before: str, after: str, *, from_merge_base: bool) -> Sequence[str]:
        start = before or gitview.EMPTY_TREE
        if from_merge_base:
            start = gitrepo.merge_base(self.path, before, after) or gitview.EMPTY_TREE
        # A forced push may have dropped the old commit: then everything counts as changed.
        if before and gitrepo.resolve(self.path, start, "") is None:
            start = gitview.EMPTY_TREE
        said = gitrepo.git(self.path, "diff", "--name-only", "--no-renames", "-z", start, after).stdout
        return said.decode(errors="surrogateescape").rstrip("\0").split("\0") if said else []

    def merge_commit(self, number: int) -> str | None:
        """The trial merge of a pull request, tried again if a side has moved since."""
        with self._sandbox.store.read() as tx:
            pull = pulls.get(tx, self._repo.id, number)
        if pull.state == "open" and pull.mergeable is None:
            pulls.refresh(self._sandbox, pull.id)
            with self._sandbox.store.read() as tx:
                pull = pulls.by_id(tx, pull.id)
        return pull.merge_sha if pull.mergeable else None
