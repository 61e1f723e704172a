"""Pipelines that gitml renders for GitLab, run by gitlab-ci-local, against the stand-in for the forge.

What GitLab does and gitlab-ci-local does not is done here: a job gets the variables of its environment alone, protected
ones on the default branch alone; what its jobs keep goes to the forge as archives.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import forkserver
from conftest import at_home, git
from forges.gitlab_home import GitlabHome, gitlab_home
from forges.gitlab_standin import Standin
from forges.gitlab_standin.world import World
from forges.homes import BOT

TOOL = "gitlab-ci-local"


@dataclass
class Project:
    """``secrets`` are variables by environment; those of ``gitml-branches`` and ``*`` are not protected."""

    home: GitlabHome
    folder: Path
    tools: Path
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        return self.home.server.worlds[self.home.repository.lower()]

    def remote(self, login: str = "ada") -> str:
        return self.home.remote(login)

    def fresh(self, branch: str) -> Path:
        """A clone of a branch, as a runner has it: whole, at a branch, without a token."""
        place = self.folder / f"job-{len(self.logs)}"
        git(self.folder, "clone", "-q", self.remote(), str(place))
        git(place, "checkout", "-q", branch)
        git(place, "remote", "set-url", "origin", f"{self.home.server.url}/{self.home.repository}.git")
        return place

    def pipeline(self, branch: str, source: str, description: str = "", payload: str = "") -> int:
        """A pipeline of the branch's newest commit, run to its end; its number. Jobs that failed are in its log."""
        place, is_main = self.fresh(branch), branch == "main"
        sha, number = git(place, "rev-parse", "HEAD"), next(self.world.numbers)
        about = {"id": number, "iid": number, "ref": branch, "sha": sha, "source": source, "status": "success"}
        run = {**about, "user": {"id": 1, "username": "ada"}, "jobs": []}
        self.world.pipelines[number] = run
        told = self._told(branch, sha, number, source, description)
        told |= {"TRIGGER_PAYLOAD": payload} if payload else {}
        told |= _workflow(place, told)
        run["name"] = told["GITML_WORKFLOW"]
        self._variables(place, is_main=is_main)
        self._start(place, told)
        self._keep(place, run)
        return number

    def _told(self, branch: str, sha: str, number: int, source: str, description: str) -> dict[str, str]:
        """What GitLab tells every job, where gitlab-ci-local would say something else."""
        url, path = self.home.server.url, self.home.repository
        return {
            "CI_SERVER_URL": url,
            "CI_API_V4_URL": f"{url}/api/v4",
            "CI_PROJECT_PATH": path,
            "CI_PROJECT_URL": f"{url}/{path}",
            "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_BRANCH": branch,
            "CI_COMMIT_SHA": sha,
            "CI_COMMIT_REF_PROTECTED": str(branch == "main").lower(),
            "CI_PIPELINE_ID": str(number),
            "CI_PIPELINE_URL": f"{url}/{path}/-/pipelines/{number}",
            "CI_PIPELINE_SOURCE": source,
            "GITLAB_CI": "true",
            **({"CI_PIPELINE_SCHEDULE_DESCRIPTION": description} if description else {}),
        }

    def _variables(self, place: Path, *, is_main: bool) -> None:
        values: dict[str, dict[str, dict[str, str]]] = {}
        for scope, secrets in self.secrets.items():
            for name, value in secrets.items():
                if is_main or scope in ("*", "gitml-branches"):
                    values.setdefault(name, {"values": {}})["values"][scope] = value
        state = place.with_name(f"{place.name}-home") / "state"
        state.mkdir(parents=True)
        (state / "variables.yml").write_text(json.dumps({"global": values}))

    def _start(self, place: Path, told: dict[str, str]) -> None:
        home = place.with_name(f"{place.name}-home")
        # A bash of level one, whose input is a socket, reads the user's own PATH.
        env = {**at_home(), "GIT_CONFIG_GLOBAL": os.devnull, "SHLVL": "5"}
        env["PATH"] = f"{self.tools}:{os.environ['PATH']}"
        words = [TOOL, "--home", str(home), "--force-shell-executor", "--shell-isolation"]
        words += ["--no-color", "--state-dir", f"../{home.name}/state"]
        words += [word for name, value in told.items() for word in ("--variable", f"{name}={value}")]
        done = subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, timeout=400, check=False)
        self.logs.append(done.stdout + done.stderr)

    def _keep(self, place: Path, run: dict[str, Any]) -> None:
        """The archives of the jobs."""
        kept = place.with_name(f"{place.name}-home") / "state" / "artifacts"
        for folder in sorted(kept.glob("*")) if kept.is_dir() else []:
            packed = io.BytesIO()
            files = [path for path in folder.rglob("*") if path.is_file()]
            with zipfile.ZipFile(packed, "w") as archive:
                for path in files:
                    archive.write(path, path.relative_to(folder).as_posix())
            job = {"id": next(self.world.numbers), "name": folder.name, "status": "success", "tag_list": []}
            left = {"archive": packed.getvalue(), "artifacts_file": {"size": len(packed.getvalue())}}
            run["jobs"].append({**job, **(left if files else {})})

    @property
    def log(self) -> str:
        return self.logs[-1]


def new_project(app: Path, folder: Path, standin: Standin, key: str) -> Project:
    """The application in ``app`` on a project with a guarded main, the bot's token and the key where jobs find them."""
    home = gitlab_home(folder / "forge", standin, premium=False)
    git(app, "push", "-q", home.remote("ada"), "HEAD:main")
    home.known_by("ada", "ada@example.com")
    home.let("eve", "write")
    home.let(BOT, "maintain")
    made, token = Project(home, folder, new_tools(folder / "tools")), standin.token_of(home.forge, BOT)
    made.secrets = {
        "gitml": {"GITML_TOKEN": token, "GITML_SIGNING_KEY": key},
        "gitml-bot": {"GITML_TOKEN": token},
    }
    return made


def _workflow(place: Path, told: dict[str, str]) -> dict[str, str]:
    """The variables of the first of ``workflow:rules`` that holds, which gitlab-ci-local does not read."""

    def value(word: str) -> str:
        return told.get(word[1:], "") if word.startswith("$") else word.strip('"')

    for rule in YAML(typ="safe").load(place / ".gitlab-ci.yml")["workflow"]["rules"]:
        one, equals, other = rule.get("if", '"yes"').partition(" == ")
        if (value(one) == value(other)) if equals else value(one):
            return {name: value(said) for name, said in rule["variables"].items()}
    raise AssertionError("no rule of the workflow holds")


def new_tools(folder: Path) -> Path:
    """What is on PATH of the jobs: gitml and dvc as they are here, and a pip that has installed all already."""
    folder.mkdir()
    forkserver.commands(folder)
    (folder / "pip").write_text('#!/bin/sh\necho "pip $*"\n')
    (folder / "pip").chmod(0o755)
    return folder


def is_there() -> bool:
    return all(shutil.which(tool) for tool in (TOOL, "rsync"))
