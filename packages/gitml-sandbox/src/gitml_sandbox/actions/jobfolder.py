"""The folder of one job: what act reads, a repository at the exact commit, homes of its own. Gone when the
job ends.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"


def create(root: Path, job_id: int) -> Path:
    """An empty folder with the rights of its owner only."""
    folder = root / "tmp" / f"job-{job_id}"
    remove(folder)
    for name in ("home", "cache", "tmp", "repo"):
        (folder / name).mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    return folder


def pythons(root: Path) -> Path:
    """What jobs found out about the Pythons of this machine. The next start of the sandbox looks again."""
    return root / "tmp" / "pythons.json"


def at_commit(folder: Path, bare: Path, commit: str) -> None:
    """A repository without a work tree whose HEAD is the commit: act takes GITHUB_SHA and local actions from
    it.

    It borrows the objects of the bare repository; the job's own checkout goes over HTTP like everybody's.
    """
    git = folder / "repo" / ".git"
    for name in ("objects/info", "refs"):
        (git / name).mkdir(parents=True)
    (git / "HEAD").write_text(commit + "\n")
    (git / "config").write_text(_CONFIG)
    (git / "objects/info/alternates").write_text(f"{bare / 'objects'}\n")


def write(folder: Path, files: Mapping[str, Any]) -> None:
    """JSON files, which act reads as YAML: no quoting rules of dotenv in the way. Mode 0600."""
    for name, value in files.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False)


def remove(folder: Path) -> None:
    """Delete the folder, also what a job made read-only."""
    if not folder.exists():
        return
    shutil.rmtree(folder, onerror=_unlock)


def _unlock(function: Any, path: str, _: Any) -> None:
    parent = Path(path).parent
    try:
        parent.chmod(0o700)
        if not Path(path).is_symlink():
            Path(path).chmod(0o700)
        function(path)
    except OSError:
        return  # left for the next start of the sandbox, which removes tmp/
