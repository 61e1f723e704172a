"""Points of `gitml doctor` for models of other repositories: whether each can be read from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gitml.control.upstreams import remote_of
from gitml.errors import GitmlError, UsageError
from gitml.git.edit import tip_of
from gitml.project.doctorpoint import Mark, Point
from gitml.spec.application import Application
from gitml.spec.root import APPLICATION
from gitml.spec.upstream import UpstreamNeed
from gitml.spec.yamlfile import read


def upstream_points(root: Path, application: Application, env: Mapping[str, str]) -> Iterator[Point]:
    """One for each line that names a repository. Nothing is fetched."""
    document = read(root / APPLICATION, APPLICATION)
    for name, model in application.models.items():
        for key, need in model.needs.items():
            if need.repository:
                line = document.line(("models", name, "needs", key, "repository"))
                yield _point(root, need, env, f"upstream {key}", f"{APPLICATION}:{line}: {need.repository}")


def _point(root: Path, need: UpstreamNeed, env: Mapping[str, str], name: str, where: str) -> Point:
    try:
        tip = tip_of(root, remote_of(need, lambda secret: env.get(secret, "")), need.branch)
    except UsageError as exc:
        return Point(name, Mark.UNKNOWN, f"{where}: {exc.message}", exc.hint)
    except GitmlError as exc:
        todo = "see whether the URL is right, and the token may read contents; until then its gate stays shut"
        return Point(name, Mark.MISSING, f"{where} cannot be read: {exc.message.splitlines()[0]}", todo)
    if tip is None:
        return Point(name, Mark.MISSING, f"{where} has no branch {need.branch}", "name its default branch: `branch: …`")
    return Point(name, Mark.OK, f"{where}, {need.branch} at {tip[:12]}")
