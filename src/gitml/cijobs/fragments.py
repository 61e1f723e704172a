"""What one CI job hands to the next: a small JSON file, read as if a stranger had written it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from gitml.derivation.handover import MAX_BYTES, Fragment
from gitml.dvc.repository import Dvc
from gitml.dvc.safety import refuse_symlinks
from gitml.errors import IntegrityError, Problem, SpecError
from gitml.files import write_file

# What a stage leaves for Git is small by intention; more than this belongs into DVC's cache.
MAX_GIT_FILE = 8_000_000
LOG_LINES = 40


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
