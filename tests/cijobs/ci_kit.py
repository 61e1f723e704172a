"""Jobs of CI by hand: a bare repository as the forge's, a fresh clone for each job, fragments carried across."""

from __future__ import annotations

import json
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import Ran, dvc, git, gitml

JOB = "train-cpu"


@dataclass(frozen=True)
class Ci:
    """``app`` is a person's clone, ``remote`` the folder of DVC's remote."""

    folder: Path
    app: Path
    remote: Path

    @property
    def bare(self) -> Path:
        return self.folder / "srv" / "ada" / "toy"

    def push(self, branch: str, message: str = "change") -> str:
        git(self.app, "add", ".")
        git(self.app, "commit", "-q", "--allow-empty", "-m", message)
        git(self.app, "push", "-q", str(self.bare), f"HEAD:refs/heads/{branch}")
        return git(self.app, "rev-parse", "HEAD")

    def tip(self, branch: str) -> str:
        return git(self.bare, "rev-parse", f"refs/heads/{branch}")

    def records(self, branch: str) -> list[str]:
        return git(self.bare, "ls-tree", "-r", "--name-only", branch, "--", "models").split()

    def clone(self, sha: str) -> Path:
        """A clone without data at the commit, as actions/checkout leaves it."""
        place = self.folder / "job"
        shutil.rmtree(place, ignore_errors=True)
        git(self.folder, "clone", "-q", str(self.bare), str(place))
        git(place, "checkout", "-q", sha)
        return place

    def env(self, sha: str, branch: str) -> dict[str, str]:
        return {
            "CI": "true",
            "GITHUB_SHA": sha,
            "GITHUB_REF": f"refs/heads/{branch}",
            "GITHUB_REPOSITORY": "ada/toy",
            "GITHUB_SERVER_URL": str(self.folder / "srv"),
            "GITHUB_RUN_ID": "1",
            "GITHUB_TOKEN": "",
        }

    def run(self, sha: str, branch: str, *, env: dict[str, str] | None = None, job: str = JOB) -> Ran:
        """One training job; its fragment is kept for the next."""
        place = self.clone(sha)
        self._carry(place)
        done = gitml(place, "ci", "run", job, env={**self.env(sha, branch), **(env or {})})
        for path in (place / ".gitml-ci").glob("fragment-*.json"):
            (self.folder / "artifacts").mkdir(exist_ok=True)
            shutil.copy(path, self.folder / "artifacts" / path.name)
        return done

    def commit(self, sha: str, branch: str, *, env: dict[str, str] | None = None) -> Ran:
        place = self.clone(sha)
        self._carry(place)
        return gitml(place, "ci", "commit", env={**self.env(sha, branch), **(env or {})})

    def both(self, sha: str, branch: str) -> Ran:
        self.forget()
        self.run(sha, branch)
        return self.commit(sha, branch)

    def _carry(self, place: Path) -> None:
        (place / ".gitml-ci").mkdir()
        for path in (self.folder / "artifacts").glob("*.json"):
            shutil.copy(path, place / ".gitml-ci" / path.name)

    def forget(self) -> None:
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)

    def fragment(self, job: str = JOB) -> dict[str, Any]:
        return dict(json.loads((self.folder / "artifacts" / f"fragment-{job}.json").read_text()))

    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "job" / ".gitml-ci" / "report.json").read_text()))

    def how(self, job: str = JOB) -> dict[str, str]:
        return {stage["stage"]: stage["how"] for stage in self.fragment(job)["stages"]}


def new_ci(trained: Path, folder: Path, yaml: str = "train: {commit: push}\n") -> Ci:
    """The trained toy application with a DVC remote that has its data, and a bare repository that has its main."""
    ci = Ci(folder, trained, folder / "remote")
    with (trained / "gitml.yaml").open("a") as file:
        file.write(yaml)
    dvc(trained, "remote", "add", "-d", "r", str(ci.remote))
    dvc(trained, "push")
    ci.bare.parent.mkdir(parents=True)
    git(folder, "init", "-q", "--bare", "-b", "main", str(ci.bare))
    ci.push("main", "remote")
    return ci


def killing_git(folder: Path, when: str) -> dict[str, str]:
    """A git on PATH that kills who calls it with -9, before or after it pushes."""
    real = shutil.which("git")
    script = folder / f"bin-{when}" / "git"
    script.parent.mkdir()
    before = "kill -9 $PPID; exit 1" if when == "before" else ":"
    after = "kill -9 $PPID" if when == "after" else ":"
    script.write_text(
        "#!/bin/sh\n"
        f'for word in "$@"; do if [ "$word" = push ]; then {before}; "{real}" "$@"; {after}; exit; fi; done\n'
        f'exec "{real}" "$@"\n'
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
