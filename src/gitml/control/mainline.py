"""The application as one commit has it: read as data, whatever lies in the work tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from gitml.errors import InconclusiveError, Problem, SpecError, UsageError
from gitml.git.commands import Git
from gitml.git.history import first_with
from gitml.git.repository import FOLDER
from gitml.git.tree import Tree
from gitml.refs import Reference
from gitml.registry.deploymentpast import Past, history
from gitml.registry.record import Record
from gitml.registry.resolve import deployment_in, environments, resolve
from gitml.registry.store import record_in, record_path, versions
from gitml.spec import Application, Deployment, Policy, parse_application, parse_policy
from gitml.spec.policy import POLICY

SPEC = "gitml.yaml"


@dataclass(frozen=True)
class Mainline:
    """``commit`` is of the default branch; paths are relative to the application's folder."""

    git: Git
    commit: str

    @property
    def tree(self) -> Tree:
        return self.git.at(self.commit)

    def file(self, path: str) -> bytes | None:
        return self.tree.read(path)

    def policy(self) -> Policy:
        return parse_policy(self._needed(POLICY))

    def application(self) -> Application:
        return parse_application(self._needed(SPEC))

    def _needed(self, path: str) -> bytes:
        found = self.file(path)
        if found is None:
            raise SpecError([Problem(path, 0, "", f"is not in {self.commit[:12]}", "commit it to the default branch")])
        return found

    def deployment(self, model: str, environment: str) -> Deployment | None:
        return deployment_in(self.tree, model, environment)

    def environments(self, model: str) -> tuple[str, ...]:
        """Those that have a deployment file of the model, by name."""
        return environments(self.tree, model)

    def models(self) -> tuple[str, ...]:
        """Those that have versions or deployments, by name."""
        return tuple(entry.name for entry in self.tree.entries("models") if entry.mode == FOLDER)

    def versions(self, model: str) -> tuple[str, ...]:
        """Oldest first."""
        return versions(self.tree, model)

    def record(self, model: str, version: str) -> Record:
        """Raises SpecError when it is not there or is not the record that its name says."""
        return record_in(self.tree, model, version)

    def original(self, path: str) -> Tree:
        """The files as the commit left them that first brought ``path`` in.

        What is judged or loaded is read there: a record that was edited later on main is no news. An empty tree where
        main never had it; raises InconclusiveError in a shallow clone, whose history does not say.
        """
        if self._is_shallow:
            raise InconclusiveError(
                "this clone is shallow: its history does not say how a version came to main", "git fetch --unshallow"
            )
        return self.git.at(self.added(path) or "")

    def original_record(self, model: str, version: str) -> Record:
        """The record as it came in. Raises as ``record`` and ``original``."""
        return record_in(self.original(record_path(model, version)), model, version)

    @cached_property
    def _is_shallow(self) -> bool:
        return self.git.is_shallow()

    def history(self, path: str) -> Iterator[Past]:
        """Along first parents, newest first."""
        return history(self.git, self.commit, path)

    def added(self, path: str) -> str | None:
        """The commit that first brought a file in."""
        return first_with(self.git.root, self.commit, self.git.prefix + path)


def named(main: Mainline, reference: Reference) -> Record:
    """The one record of the mainline that ``reference`` names. Raises RefError that lists the candidates."""
    first = "a version can be promoted when the pull request that trained it is merged"
    return resolve(main.tree, reference, where="on the default branch", first=first)


def known_environment(policy: Policy, name: str) -> str:
    """The name. Raises UsageError for one that policy.yaml does not have."""
    if name in policy.environments:
        return name
    near = get_close_matches(name, policy.environments, 1)
    said = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"there is no environment {name}{said}", f"policy.yaml has: {', '.join(policy.environments)}")
