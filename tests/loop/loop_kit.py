"""The toy application in a sandbox, with the workflows that gitml renders for it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import TOY, dvc, gitml, packed, write
from gitml_sandbox.actions.runner import Runner
from sandbox.forge_kit import Kit, commit, git
from sandbox.runner_kit import Works

PATIENCE = 60.0
CONTEXT = "gitml/train"
GITML_YAML = TOY["gitml.yaml"] + "publisher: gitml\n"


@dataclass(frozen=True)
class Loop:
    """A repository whose pushes train. ``works`` speaks to the sandbox; ``remote`` is the folder of DVC's remote."""

    works: Works
    remote: Path

    @property
    def clone(self) -> Path:
        return self.works.clone

    def change(self, files: dict[str, str], *, branch: str, message: str = "change", base: str = "origin/main") -> str:
        """A branch on top of ``base`` with these files, pushed; its commit."""
        git(
            self.clone,
            "fetch",
            "-q",
            self.works.kit.remote(self.works.repo, "ada"),
            "+refs/heads/*:refs/remotes/origin/*",
        )
        git(self.clone, "checkout", "-q", "--force", "-B", "work", base)
        return self.works.push(files, branch=branch, message=message)

    def rate(self, rate: float, *, branch: str, **how: Any) -> str:
        return self.change({"params.yaml": f"rows: 20\nrate: {rate}\nnoise: false\n"}, branch=branch, **how)

    def pull(self, branch: str, *, draft: bool = False, title: str = "") -> int:
        body = {"title": title or f"from {branch}", "head": branch, "base": "main", "draft": draft}
        answer = self.works.api("POST", "/pulls", body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["number"])

    def comments(self, number: int) -> list[dict[str, Any]]:
        return list(self.works.api("GET", f"/issues/{number}/comments").json())

    def commit_comments(self, sha: str) -> list[dict[str, Any]]:
        return list(self.works.api("GET", f"/commits/{sha}/comments").json())

    def status(self, sha: str) -> dict[str, Any] | None:
        """The newest gitml/train of the commit."""
        found = [s for s in self.works.api("GET", f"/commits/{sha}/statuses").json() if s["context"] == CONTEXT]
        return dict(found[0]) if found else None

    def judged(self, sha: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The status of the commit, once it is no longer pending and no run goes on."""

        def over() -> dict[str, Any] | None:
            found = self.status(sha)
            return found if found and found["state"] != "pending" else None

        found: dict[str, Any] = self.until(over, seconds)
        self.settled()
        return found

    def settled(self, seconds: float = 5 * PATIENCE) -> None:
        """Every event was judged and every run is over, also those that others started at their end."""
        self.until(
            lambda: (
                not self.works.query("SELECT 1 FROM events WHERE handled_at IS NULL")
                and not self.works.query(
                    "SELECT 1 FROM runs WHERE status <> 'completed' AND repo_id = ?", self.works.repo.id
                )
            ),
            seconds,
        )

    def until(self, what: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(0.1)
        raise AssertionError(f"nothing within {seconds} s\n{self.logs()}")

    def logs(self) -> str:
        """What every job that failed said last, for people who look at a failed test."""
        parts = []
        for run in self.works.runs():
            for name, job in self.works.jobs(run).items():
                try:
                    tail = "\n".join(self.works.log(job).splitlines()[-25:])
                except FileNotFoundError:
                    tail = "(no log)"
                parts.append(
                    f"--- run {run['id']} {run['ref']} job {name}: {job['status']} {job['conclusion']}\n{tail}"
                )
        return "\n".join(parts[-8:])

    def tip(self, branch: str) -> str:
        answer = self.works.api("GET", f"/git/ref/heads/{branch}")
        return str(answer.json()["object"]["sha"])

    def files(self, branch: str, folder: str = "models/m/versions") -> list[str]:
        answer = self.works.api("GET", f"/contents/{folder}?ref={branch}")
        return [entry["name"] for entry in answer.json()] if answer.status_code == 200 else []

    def merge(self, number: int, method: str = "merge") -> str:
        """Merge the pull request; the commit of main."""
        answer = self.works.api("PUT", f"/pulls/{number}/merge", {"merge_method": method})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["sha"])

    def fresh(self, folder: Path, branch: str) -> Path:
        """A clone of the branch as somebody else has it."""
        git(folder.parent, "clone", "-q", "-b", branch, self.works.kit.remote(self.works.repo, "ada"), str(folder))
        return folder


@dataclass(frozen=True)
class Template:
    """The toy application with workflows and a DVC remote, trained or not: ``app`` and ``remote`` in ``folder``."""

    folder: Path


def new_template(
    folder: Path, files: dict[str, str] | None = None, *, train: bool = True, kept: Collection[str] = ()
) -> Template:
    """Everything that a user does once: init, remote, render, train. ``kept``: the workflows that stay; all, if none is
    named."""
    app, remote = folder / "app", folder / "remote"
    app.mkdir(parents=True)
    write(app, {**TOY, "gitml.yaml": GITML_YAML, **(files or {})})
    git(app, "init", "-q", "-b", "main")
    dvc(app, "init")
    dvc(app, "remote", "add", "-d", "r", str(remote))
    rendered = gitml(app, "ci", "render")
    assert rendered.code == 0, rendered.err
    for file in (app / ".github/workflows").glob("gitml-*.yml") if kept else ():
        if file.name not in kept:
            file.unlink()
    commit(app, "notes.txt", "start\n")
    git(app, "add", ".")
    git(app, "commit", "-qm", "start")
    if train:
        done = gitml(app, "train")
        assert done.code == 0, done.err
        git(app, "add", ".")
        git(app, "commit", "-qm", "train")
        dvc(app, "push")
    return Template(packed(folder))


def new_loop(kit: Kit, runner: Runner, folder: Path, template: Template) -> Loop:
    """A copy of the template in a repository of its own, whose main is pushed and stands."""
    app, remote = folder / "app", folder / "remote"
    shutil.copytree(template.folder, folder, symlinks=True, dirs_exist_ok=True)
    config = app / ".dvc/config"
    config.write_text(config.read_text().replace(str(template.folder / "remote"), str(remote)))
    git(app, "commit", "-qam", "where its data are [skip ci]")
    repo = kit.repo()
    git(app, "push", "-q", kit.remote(repo, "ada"), "HEAD:refs/heads/main")
    loop = Loop(Works(kit, runner, repo, app), remote)
    loop.settled()
    return loop
