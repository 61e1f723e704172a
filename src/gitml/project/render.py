"""``gitml ci render`` and ``gitml ci check``: the workflows that gitml.yaml asks for, and those that are checked in."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitml import __version__
from gitml.ci import codeowners
from gitml.ci.base import CiSource
from gitml.ci.table import Renderer, renderer
from gitml.errors import UsageError
from gitml.files import write_file
from gitml.git.commands import Git
from gitml.output import printable
from gitml.pipelines.jobs import jobs_of
from gitml.spec import load_application
from gitml.spec.application import Application
from gitml.spec.dvcfiles import load_pipeline
from gitml.spec.dvcplaces import DVC_FILE
from gitml.spec.policy import POLICY, load_policy


class Did(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"
    SAME = "same"


@dataclass(frozen=True)
class Workflow:
    """One file, a workflow or CODEOWNERS: ``wanted`` as it is rendered (None: not any more), ``found`` as it lies
    there (None: not)."""

    path: str
    wanted: bytes | None
    found: bytes | None

    @property
    def change(self) -> Did:
        """What rendering does to it."""
        if self.wanted == self.found:
            return Did.SAME
        if self.wanted is None:
            return Did.REMOVED
        return Did.CREATED if self.found is None else Did.CHANGED

    @property
    def diff(self) -> str:
        """From what lies there to what is rendered, as a unified diff; empty when they are the same."""
        before, after = (_lines(content) for content in (self.found, self.wanted))
        names = ("/dev/null" if self.found is None else self.path, "/dev/null" if self.wanted is None else self.path)
        return "\n".join(difflib.unified_diff(before, after, *names, "as it is", "as rendered", lineterm=""))


def _lines(content: bytes | None) -> list[str]:
    # Whatever ends a line is part of it: a file that differs in nothing else is not the same.
    lines = (content or b"").decode("utf-8", "backslashreplace").split("\n")
    return lines[:-1] if lines[-1] == "" else [*lines[:-1], f"{lines[-1]}\\ no newline at the end"]


def workflows(root: Path, systems: Sequence[str] = ()) -> tuple[Workflow, ...]:
    """Every workflow of the application at ``root``, and CODEOWNERS, rendered and found. Nothing is written.

    ``systems``: CI systems by name; by default those that gitml.yaml names. Raises UsageError for an application
    without stages, and for a file that is in the way and is not gitml's.
    """
    git = Git(root)
    top = git.top
    folder = git.prefix.rstrip("/")
    source = _source(root, folder)
    names = dict.fromkeys(systems or source.application.ci.system)
    files = [file for name in names for file in _rendered(top, folder, source, renderer(name))]
    return (*_codeowners(top, source), *sorted(files, key=lambda file: file.path))


def _rendered(top: Path, folder: str, source: CiSource, system: Renderer) -> list[Workflow]:
    wanted = {path: text.encode() for path, text in system.render(source).items()}
    ours = system.header(folder).encode()
    found = {path: _read(top, path) for path in (*wanted, *_others(top, system, wanted))}
    if getattr(system, "ONE_APPLICATION", False):
        _alone(found, ours)
    for path, text in wanted.items():
        content = found[path]
        if content is not None and _first(content) != _first(text):
            raise UsageError(f"{path} is in the way: gitml did not render it", "rename it, or delete it if it may go")
    stale = {p: c for p, c in found.items() if p in wanted or (c and _first(c) == ours)}
    return [Workflow(path, wanted.get(path), content) for path, content in stale.items()]


def _first(content: bytes) -> bytes:
    return content.split(b"\n")[0].rstrip()


def _alone(found: Mapping[str, bytes | None], ours: bytes) -> None:
    """Refuse to render beside another application, whose jobs would meet with these in one pipeline."""
    for path, content in found.items():
        first = _first(content or b"")
        if first != ours and first.startswith(b"# Rendered from "):
            said = printable(first.decode("utf-8", "replace").removeprefix("# Rendered from ").partition(":")[0])
            raise UsageError(
                f"{path} is of {said}, another application: here a project has one", "give it a project of its own"
            )


def _codeowners(top: Path, source: CiSource) -> Sequence[Workflow]:
    """Each CODEOWNERS that a forge reads, with gitml's block, and those that have one and are not read; nothing where
    none is there nor wanted."""
    there = {path: content for path in codeowners.PLACES if (content := _read(top, path)) is not None}
    read = codeowners.places(source.application.ci.system, there)
    files = [_owned(path, there.get(path), source, is_read=path in read) for path in dict.fromkeys((*read, *there))]
    return [file for file in files if file.change is not Did.SAME or (source.policy and file.path in read)]


def _owned(path: str, found: bytes | None, source: CiSource, *, is_read: bool) -> Workflow:
    try:
        text = (found or b"").decode("utf-8")
    except UnicodeDecodeError as exc:
        if not is_read:
            return Workflow(path, found, found)
        raise UsageError(f"{path} is no UTF-8 text, so no owners can be added", "save it as UTF-8") from exc
    if is_read:
        return Workflow(path, codeowners.with_block(text, source).encode() or None, found)
    rest = codeowners.without_block(text, source)
    return Workflow(path, found if rest == text else rest.encode() or None, found)


def schedules(root: Path) -> dict[str, str]:
    """The schedules that CI systems of gitml.yaml keep outside of their files: name → times, as cron has them."""
    source = _source(root, Git(root).prefix.rstrip("/"))
    found: dict[str, str] = {}
    for name in source.application.ci.system:
        wanted = getattr(renderer(name), "schedules", None)
        found |= wanted(source) if wanted else {}
    return found


def render_workflows(root: Path, systems: Sequence[str] = ()) -> tuple[Workflow, ...]:
    """Bring the files to what is rendered. Returns them as they were found, with what was done to each.

    Files of others are never touched; what gitml rendered for this application and renders no longer is removed.
    """
    done = workflows(root, systems)
    top = Git(root).top
    for file in done:
        if file.wanted is None:
            (top / file.path).unlink(missing_ok=True)
        elif file.change is not Did.SAME:
            write_file(top / file.path, file.wanted)
    return done


def _source(root: Path, folder: str) -> CiSource:
    application = load_application(root)
    policy = load_policy(root) if (root / POLICY).is_file() else None
    trains = any(m.origin == "pipeline" for m in application.models.values())
    if not trains and policy is None:
        raise UsageError("no model here has stages", f"there is nothing to train in CI before {DVC_FILE} makes one")
    jobs = jobs_of(application, load_pipeline(root)) if trains else ()
    locks = [root / path for job in jobs for path in job.packages]
    hashed = any("--hash=" in lock.read_text(encoding="utf-8", errors="replace") for lock in locks if lock.is_file())
    return CiSource(application, jobs, folder, installed_from(root, application), hashed, policy)


def installed_from(root: Path, application: Application) -> str:
    """What pip installs gitml from in jobs.

    gitml's own repository tests itself; everybody else installs the version that rendered the workflows.
    """
    if application.ci.gitml:
        return application.ci.gitml
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project")
    except (OSError, ValueError):
        project = None
    own = isinstance(project, dict) and project.get("name") == "gitml"
    return "." if own else f"gitml=={__version__}"


def _others(top: Path, system: Renderer, wanted: Mapping[str, bytes]) -> Sequence[str]:
    names = {p.relative_to(top).as_posix() for p in top.glob(system.PATTERN) if not p.is_symlink()}
    return sorted(names - set(wanted))


def _read(top: Path, path: str) -> bytes | None:
    """A link could lead anywhere, out of the repository too: nothing is read or written through one."""
    place = top
    for part in Path(path).parts:
        place /= part
        if place.is_symlink():
            raise UsageError(f"{place.relative_to(top)} is a symbolic link", "put the file or folder itself there")
    try:
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", "see what is in its place") from exc
