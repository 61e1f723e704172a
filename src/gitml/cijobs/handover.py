"""Where the jobs of one CI run hand things over: a folder that is new in each job, and no part of any commit.

What a job hands over is signed or committed by the next one. A file that came with the checkout is a stranger's:
whoever may push could write "trained and evaluated" into it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gitml.errors import IntegrityError, OutsideError, UsageError
from gitml.forges.table import job_of
from gitml.git.commands import Git

VARIABLE = "GITML_CI"
# Below the folder that the forge empties before each job.
IN_JOB = "gitml"
BY_HAND = ".gitml-ci"


def place_of(root: Path, environ: Mapping[str, str] | None = None) -> Path:
    """The hand-over folder: ``$GITML_CI``, else ``gitml`` in the job's own folder, else ``.gitml-ci`` at the root.

    Raises UsageError for a job whose folder lies in the checkout, IntegrityError when files in it are committed.
    """
    env = os.environ if environ is None else environ
    job, named = job_of(env), env.get(VARIABLE, "")
    fresh = str(job.scratch / IN_JOB) if job.is_ci and job.scratch else ""
    place = root / (named or fresh or BY_HAND)
    git = _git(root)
    if git is None or not _inside(place, git.top):
        return place
    # What Git does not have came from no commit; where the forge takes hand-overs from inside alone, that must do.
    if job.is_ci and not job.inside:
        raise UsageError(
            f"the hand-over folder {place} lies in the checkout, where files of the commit could be",
            f"let {VARIABLE} name a folder outside, or render the workflows again: gitml ci render",
        )
    _refuse_tracked(git, place)
    return place


def folder_of(root: Path, environ: Mapping[str, str] | None = None) -> Path:
    """The same, made where it is not there. Git ignores what is in it."""
    folder = place_of(root, environ)
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def _git(root: Path) -> Git | None:
    """None for a folder that was copied without its history."""
    try:
        return Git(root)
    except OutsideError:
        return None


def _inside(place: Path, top: Path) -> bool:
    """As it is written, and where links lead."""
    return any(p.is_relative_to(t) for p, t in ((place.absolute(), top), (place.resolve(), top.resolve())))


def _refuse_tracked(git: Git, place: Path) -> None:
    found = git.text("ls-files", "-z", "--", f":(literal){place}").split("\0")[0]
    if found:
        raise IntegrityError(
            f"{found} is committed: what jobs hand over never is, and it is not believed",
            f"git rm -r --cached {place.name}, and see who committed it",
        )
