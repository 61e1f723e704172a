"""What one CI job hands to the next: a small JSON file, read as if a stranger had written it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gitml.dvc.lockentries import Entry
from gitml.dvc.repository import Dvc
from gitml.dvc.safety import refuse_escape, refuse_symlinks
from gitml.errors import GitmlError, IntegrityError, Problem, SpecError
from gitml.files import write_file
from gitml.registry.record import File

MAX_BYTES = 64_000_000
# What a stage leaves for Git is small by intention; more than this belongs into DVC's cache.
MAX_GIT_FILE = 8_000_000
LOG_LINES = 40


def _is_entry(value: dict[str, Any]) -> dict[str, Any]:
    try:
        Entry.from_dict(value)
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError("is no stage entry") from exc
    return value


def _is_path(value: str) -> str:
    try:
        refuse_escape(value, "a fragment")
    except GitmlError as exc:
        raise ValueError("leaves the repository") from exc
    return value


RepoPath = Annotated[str, AfterValidator(_is_path)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class StageRun(_Part):
    """One stage of a job. ``how`` is that of ``gitml train``, or ``failed``, ``not reached``, ``stale``.

    ``outputs`` is what a record says of each output, empty when no new record can need it.
    """

    stage: str
    how: Literal["up to date", "restored", "ran", "failed", "not reached", "stale"]
    seconds: float = 0.0
    why: str = ""
    log_tail: str = ""
    entry: Annotated[dict[str, Any], AfterValidator(_is_entry)] | None = None
    outputs: Mapping[RepoPath, File] = {}


class Fragment(_Part):
    """What became of one job. ``files`` are the outputs that live in Git, as base64; ``run`` is the run's address."""

    format: Literal["gitml fragment 1"] = "gitml fragment 1"
    job: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,100}$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    run: str = ""
    status: Literal["successful", "failed"]
    python: str = ""
    error: str = ""
    stages: tuple[StageRun, ...] = ()
    files: Mapping[RepoPath, str] = {}

    def contents(self) -> dict[str, bytes]:
        return {path: b64decode(text) for path, text in self.files.items()}


def write_fragment(folder: Path, fragment: Fragment) -> Path:
    """Write ``fragment-JOB.json``, whole or not at all."""
    path = folder / f"fragment-{fragment.job}.json"
    write_file(path, (fragment.model_dump_json(exclude_none=True, indent=1) + "\n").encode())
    return path


def read_fragments(folder: Path) -> dict[str, Fragment]:
    """All fragments in the folder, also one level below it, by job. Raises SpecError for what is none."""
    found: dict[str, Fragment] = {}
    for path in sorted({*folder.glob("fragment-*.json"), *folder.glob("*/fragment-*.json")}):
        fragment = _read(path)
        if path.name != f"fragment-{fragment.job}.json":
            raise SpecError([Problem(path.name, 0, "job", f"is the fragment of {fragment.job}")])
        if fragment.job in found and found[fragment.job] != fragment:
            raise IntegrityError(f"there are two different fragments of job {fragment.job}", "start the run again")
        found[fragment.job] = fragment
    return found


def _read(path: Path) -> Fragment:
    if path.is_symlink() or path.stat().st_size > MAX_BYTES:
        raise SpecError([Problem(path.name, 0, "", f"is a symlink, or larger than {MAX_BYTES:,} bytes")])
    try:
        return Fragment.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        found = exc.errors(include_input=False, include_url=False, include_context=False)[:5]
        problems = [Problem(path.name, 0, ".".join(str(p) for p in e["loc"])[:120], e["msg"][:200]) for e in found]
        raise SpecError(problems) from exc


def git_files(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Files that live in Git, as a fragment carries them. Raises IntegrityError for one too large for that."""
    found = {}
    for path in paths:
        content = (root / path).read_bytes()
        if len(content) > MAX_GIT_FILE:
            raise IntegrityError(
                f"{path} has {len(content):,} bytes and `cache: false`: at most {MAX_GIT_FILE:,} go into Git",
                "let DVC keep it: remove `cache: false` from dvc.yaml",
            )
        found[path] = b64encode(content).decode()
    return found


def put_git_files(root: Path, dvc: Dvc, fragments: Iterable[Fragment]) -> None:
    """Write the handed-over files into the work tree. Only what dvc.yaml says a stage leaves for Git is written."""
    in_git = {
        path for stage in set(dvc.producers().values()) for path, kept in dvc.is_cached(stage).items() if not kept
    }
    for fragment in fragments:
        for path, content in fragment.contents().items():
            if path not in in_git:
                raise IntegrityError(f"job {fragment.job} handed over {path}, which no stage leaves for Git")
            refuse_symlinks(root, path)
            write_file(root / path, content)


def merged(fragments: Iterable[Fragment], commit: str, address: str | None = None) -> dict[str, StageRun]:
    """The stages of all jobs.

    Raises IntegrityError when they are of another commit, or contradict each other; also of another run than that at
    ``address``, unless the forge itself said of which run they are.
    """
    found: dict[str, StageRun] = {}
    for fragment in fragments:
        if address is not None and fragment.run != address:
            raise IntegrityError(
                f"job {fragment.job} ran in {fragment.run or 'no run of CI'}, this is {address or 'no run of CI'}",
                "start the whole run again: its jobs hand over nothing to another run",
            )
        if fragment.commit != commit:
            raise IntegrityError(
                f"job {fragment.job} ran at commit {fragment.commit[:12]}, this run is about {commit[:12]}",
                "start the whole run again: its jobs hand over nothing to another commit",
            )
        for run in fragment.stages:
            other = found.setdefault(run.stage, run)
            if other.entry != run.entry:
                raise IntegrityError(
                    f"two jobs gave different results for stage {run.stage}",
                    "run `gitml ci render`: the workflow does not fit gitml.yaml",
                )
    return found
