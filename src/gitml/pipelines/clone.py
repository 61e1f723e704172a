"""What this clone has otherwise than others: files that Git leaves out of it, ignores, or writes in another way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from gitml.errors import Problem, SpecError, UsageError
from gitml.git.runner import fields
from gitml.spec.dvcfiles import LOCK_FILE, Pipeline, load_pipeline
from gitml.spec.leftovers import FOLDERS, is_left

_NAMED = 3


def refuse_sparse(root: Path) -> None:
    """Raise UsageError where a sparse checkout lacks what a training reads: records above all, and parts of folders,
    without which a stage would make another version."""
    missing = _not_checked_out(root)
    if missing:
        folder = missing[0].rpartition("/")[0] or missing[0]
        lacks = "what is known of versions" if _is_needed(missing[0]) else "what stages read"
        raise UsageError(
            f"this is a sparse checkout without {', '.join(missing[:_NAMED])}: {lacks} is not all here",
            f"git sparse-checkout add {folder}",
        )


def sparse_problems(root: Path) -> list[Problem]:
    return [
        Problem(path, 0, "", "is not checked out here: this is a sparse checkout", f"git sparse-checkout add {path}")
        for path in _not_checked_out(root)[:_NAMED]
    ]


def _not_checked_out(root: Path) -> list[str]:
    """What a training reads comes behind the rest."""
    if not _may_be_sparse(root):
        return []
    entries = (entry.partition(" ") for entry in fields(root, "ls-files", "-z", "-t", "--", "."))
    left_out = [path for tag, _, path in entries if tag == "S"]
    read = _read(root) if left_out else ()
    needed = [path for path in left_out if _is_needed(path) or any(f"{path}/".startswith(f"{d}/") for d in read)]
    return sorted(needed, key=lambda path: (not _is_needed(path), path))


def _read(root: Path) -> set[str]:
    try:
        stages = load_pipeline(root).stages.values()
    except SpecError:  # told where it is read for itself
        return set()
    return {
        *(dep for stage in stages for dep in stage.deps),
        *(param.file for stage in stages for param in stage.params),
    }


def _may_be_sparse(root: Path) -> bool:
    """Told without a process of Git: a training that has nothing to do is a matter of milliseconds."""
    place = next((folder / ".git" for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if place is not None and place.is_file():  # of a worktree
        place = place.parent / place.read_text(encoding="utf-8").partition("gitdir:")[2].strip()
    return place is not None and (place / "info" / "sparse-checkout").is_file()


def _is_needed(path: str) -> bool:
    place = PurePosixPath(path)
    record = place.match("models/*/versions/*.json") or place.match("models/*/*.yaml")
    return record or place.name in ("gitml.yaml", "policy.yaml", "dvc.yaml", LOCK_FILE) or place.suffix == ".dvc"


def cautions(root: Path, pipeline: Pipeline) -> list[Problem]:
    """Digests, and so versions, that other clones do not get; [] where Git does not know the folder."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return []
    return [*_other_line_endings(root, pipeline), *_ignored_by_git(root, pipeline)]


def _other_line_endings(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    read = _existing(root, pipeline)
    for entry in fields(root, "ls-files", "-z", "--eol", "--", *read) if read else ():
        kinds, _, path = entry.partition("\t")
        index, work = kinds.split()[:2]
        if (index, work) == ("i/lf", "w/crlf"):
            told = "has CRLF here and LF in Git: with it a stage has another digest than in other clones"
            hint = "commit a .gitattributes with `* text=auto eol=lf`, then `git rm -rq --cached . && git reset --hard`"
            yield Problem(path, 0, "", told, hint)
            return


def _ignored_by_git(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    folders = [path for path in _existing(root, pipeline) if os.path.isdir(root / path)]
    if not folders:
        return
    outs = pipeline.producers
    for path in fields(root, "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *folders):
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        brought = any(place in outs or os.path.exists(root / f"{place}.dvc") for place in above)
        if not (brought or is_left(parts[-1]) or set(parts) & set(FOLDERS)):
            told = "counts for the digest of a folder that a stage reads, and Git ignores it: other clones lack it"
            yield Problem(path, 0, "", told, "commit it, or name it in .dvcignore")
            return


def _existing(root: Path, pipeline: Pipeline) -> list[str]:
    """What stages read and no stage makes."""
    outs = pipeline.producers
    deps = {dep for stage in pipeline.stages.values() for dep in stage.deps if "://" not in dep and dep not in outs}
    return sorted(dep for dep in deps if os.path.exists(root / dep) and not os.path.exists(root / f"{dep}.dvc"))
