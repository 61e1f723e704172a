"""What a deployment file said before: from the first-parent history of a commit of main."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gitml.errors import Problem, SpecError
from gitml.git.commands import Git
from gitml.registry.resolve import deployment_path
from gitml.spec import parse_deployment
from gitml.spec.deployment import Pin


@dataclass(frozen=True)
class Past:
    """One state of a file on the mainline: the commit that brought it, when, and its bytes (None: deleted)."""

    commit: str
    time: str
    content: bytes | None

    @property
    def moment(self) -> datetime | None:
        """None where its commit claims a time that no calendar has: whoever makes a commit writes what they like."""
        try:
            return datetime.fromisoformat(self.time)
        except ValueError:
            return None


def history(git: Git, commit: str, path: str) -> Iterator[Past]:
    """The states of a file up to ``commit``, along first parents, newest first."""
    words = ("log", "--no-show-signature", "--first-parent", "-m", "--format=%H %cI", commit, "--")
    for line in git.text(*words, f":(top,literal){git.prefix}{path}").splitlines():
        found, _, time = line.partition(" ")
        if found:
            yield Past(found, time, git.read_file(found, path))


def champion_at(git: Git, commit: str, model: str, environment: str, moment: datetime) -> Pin | None:
    """What the deployment file had as champion at that time, by when main's own commits were made.

    None where there was no file. Raises SpecError when it could not be read even then, or main's time is none.
    """
    path = deployment_path(model, environment)
    for past in history(git, commit, path):
        if past.moment is None:
            said = f"came by commit {past.commit[:12]}, which claims a time that no calendar has"
            raise SpecError([Problem(path, 0, "", said, "commit it again with a date")])
        if past.moment <= moment:
            return parse_deployment(past.content, path).champion if past.content is not None else None
    return None


def champion_since(git: Git, commit: str, model: str, environment: str, pin: Pin) -> datetime | None:
    """When the deployment file began to have exactly this champion; None where it has another one at ``commit``, or
    nobody can tell from the times of its commits."""
    path, since = deployment_path(model, environment), None
    for past in history(git, commit, path):
        try:
            champion = parse_deployment(past.content or b"", path).champion
        except SpecError:
            break
        if (champion.version, champion.digest) != (pin.version, pin.digest):
            break
        if past.moment is None:
            return None
        since = past.moment
    return since
