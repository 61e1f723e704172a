"""The application as one commit has it: read as data, whatever lies in the work tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from gitml.errors import Problem, RefError, SpecError, UsageError
from gitml.git.commands import Git
from gitml.git.repository import FOLDER
from gitml.git.tree import Tree
from gitml.refs import DIGEST, VERSION, Reference
from gitml.registry.record import Record, parse_record
from gitml.spec import (
    Application,
    Deployment,
    Policy,
    parse_application,
    parse_deployment,
    parse_policy,
)
from gitml.spec.policy import POLICY

SPEC = "gitml.yaml"


@dataclass(frozen=True)
class Past:
    """One state of a file on the mainline: the commit that brought it, when, and its bytes (None: deleted)."""

    commit: str
    time: str
    content: bytes | None


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
        path = deployment_path(model, environment)
        content = self.file(path)
        return None if content is None else parse_deployment(content, path)

    def environments(self, model: str) -> tuple[str, ...]:
        """Those that have a deployment file of the model, by name."""
        found = self.tree.entries(f"models/{model}")
        return tuple(e.name.removesuffix(".yaml") for e in found if e.is_file and e.name.endswith(".yaml"))

    def models(self) -> tuple[str, ...]:
        """Those that have versions or deployments, by name."""
        return tuple(entry.name for entry in self.tree.entries("models") if entry.mode == FOLDER)

    def versions(self, model: str) -> tuple[str, ...]:
        """Oldest first."""
        found = self.tree.entries(f"models/{model}/versions")
        stems = (e.name.removesuffix(".json") for e in found if e.is_file and e.name.endswith(".json"))
        return tuple(stem for stem in stems if VERSION.fullmatch(stem))

    def record(self, model: str, version: str) -> Record:
        """Raises SpecError when it is not there or is not the record that its name says."""
        path = record_path(model, version)
        try:
            record = parse_record(self._needed(path))
        except ValueError as exc:
            lines = str(exc).splitlines() or [str(exc)]
            raise SpecError([Problem(path, 0, "", line, "records are never edited") for line in lines]) from exc
        if (record.model, record.version) != (model, version):
            raise SpecError([Problem(path, 0, "", f"is the record of {record.model} {record.version}")])
        return record

    def history(self, path: str) -> Iterator[Past]:
        """Along first parents, newest first."""
        words = (
            "log",
            "--no-show-signature",
            "--first-parent",
            "-m",
            "--format=%H %cI",
            self.commit,
            "--",
            f":(literal){path}",
        )
        for line in self.git.text(*words).splitlines():
            commit, _, time = line.partition(" ")
            if commit:
                yield Past(commit, time, self.git.read_file(commit, path))

    def added(self, path: str) -> str | None:
        """The commit that brought a file in."""
        return self.git.commit_that_added(path, self.commit)


def deployment_path(model: str, environment: str) -> str:
    return f"models/{model}/{environment}.yaml"


def record_path(model: str, version: str) -> str:
    return f"models/{model}/versions/{version}.json"


def named(main: Mainline, reference: Reference) -> Record:
    """The one record of the mainline that ``reference`` names. Raises RefError that lists the candidates."""
    model, selector = reference.model, reference.selector
    versions = main.versions(model)
    if not versions:
        known = main.models()
        near = get_close_matches(model, known, 1)
        said = f"; did you mean {near[0]}?" if near else ""
        raise RefError(
            f"the default branch has no version of {model}{said}",
            "a version can be promoted when the pull request that trained it is merged",
        )
    if selector == "latest":
        return main.record(model, versions[-1])
    if VERSION.fullmatch(selector):
        found = [v for v in versions if v == selector]
    elif DIGEST.fullmatch(selector):
        found = [v for v in versions if v.rpartition("-")[2].startswith(selector[:8])]
        found = [v for v in found if main.record(model, v).digest.startswith(selector)]
    else:
        found = _champion(main, reference)
    if len(found) == 1 and found[0] in versions:
        return main.record(model, found[0])
    problem = "is ambiguous" if len(found) > 1 else "names no version on the default branch"
    raise RefError(f"{reference} {problem}", _candidates(found or versions))


def _champion(main: Mainline, reference: Reference) -> list[str]:
    state = main.deployment(reference.model, reference.selector)
    if state is None:
        names = main.environments(reference.model)
        there = f"it runs in {', '.join(names)}" if names else "it is deployed nowhere"
        raise RefError(f"{reference} names no version: {there}", _candidates(main.versions(reference.model)))
    return [state.champion.version]


def _candidates(versions: Sequence[str], most: int = 8) -> str:
    more = f" and {len(versions) - most} older" if len(versions) > most else ""
    shown = (f"{v.rpartition('-')[2]} ({v[:4]}-{v[4:6]}-{v[6:8]})" for v in list(reversed(versions))[:most])
    return "candidates: " + ", ".join(shown) + more


def known_environment(policy: Policy, name: str) -> str:
    """The name. Raises UsageError for one that policy.yaml does not have."""
    if name in policy.environments:
        return name
    near = get_close_matches(name, policy.environments, 1)
    said = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"there is no environment {name}{said}", f"policy.yaml has: {', '.join(policy.environments)}")
