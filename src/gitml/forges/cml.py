"""CML's command line (https://cml.dev), as version 0.20.6 behaves: another way to post a comment.

It reads the first page of a pull request's comments only, whoever wrote them, changes the last one that ends with its
watermark, and has no limit for the size. Whether it can keep what gitml promises is therefore asked before it is run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gitml.errors import OutsideError
from gitml.forges.base import Comment, OnPull, Place
from gitml.forges.settings import Settings
from gitml.process import start, stop

VERSION = "0.20.6"
# What octokit asks for when nothing is said: CML does not turn pages of a pull request.
PAGE = 30
_IMAGE = "https://cml.dev/watermark.png"
_ERROR = re.compile(r"^[A-Za-z]*Error(?: \[\w+\])?: .*$", re.MULTILINE)
SECONDS = 90.0


@dataclass(frozen=True)
class Cml:
    """A CML that is there in the version we know; ``seconds`` is how long it may take."""

    path: str
    seconds: float = SECONDS

    def comment(self, settings: Settings, place: Place, body: str, *, label: str, commit: str) -> str:
        """Post or update; the comment's address as CML says it. Raises OutsideError with its last words."""
        with tempfile.TemporaryDirectory(prefix="gitml-cml-") as name:
            folder = Path(name)
            (folder / "report.md").write_text(body, encoding="utf-8")
            words = [self.path, "comment", "create", f"--target={_target(place)}", "--update", "--publish=false"]
            words += [f"--watermark-title={label}", f"--repo={settings.home}", "--driver=github", "report.md"]
            said = _run(words, folder, _environment(settings, folder, commit), self.seconds)
        return next((line for line in reversed(said.splitlines()) if line.startswith("http")), "")


def _target(place: Place) -> str:
    return f"pr/{place.number}" if isinstance(place, OnPull) else f"commit/{place.commit}"


def _environment(settings: Settings, folder: Path, commit: str) -> dict[str, str | None]:
    """The token by the environment, never as an argument; CML takes the commit of its watermark from GITHUB_SHA."""
    return {
        **_quiet(folder),
        "REPO_TOKEN": settings.token,
        "GITHUB_TOKEN": settings.token,
        "GITHUB_SHA": commit,
        "GITHUB_EVENT_NAME": "push",
    }


def _quiet(folder: Path) -> dict[str, str | None]:
    """No telemetry, nothing written to the user's folders, and no option from the job's own variables.

    CML adds safe.directory=* to the global git configuration. It reads options from CML_*: another token, a watch that
    does not end; and it prints to stdout, or dies, when the event's file is not there or not JSON. Where it sees CI, it
    asks the forge about the actor for a telemetry that it then does not send.
    """
    taken: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CML_")}
    return taken | {
        "CI": None,
        "GITHUB_SERVER_URL": None,
        "GITHUB_EVENT_PATH": None,
        "GIT_CONFIG_GLOBAL": str(folder / "gitconfig"),
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "ITERATIVE_DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }


def _run(words: Sequence[str], folder: Path, env: Mapping[str, str | None], seconds: float) -> str:
    try:
        started = start(words, cwd=folder, env=env, stderr=subprocess.PIPE)
    except OSError as exc:
        raise OutsideError(f"cml cannot be started: {exc}") from exc
    with started:
        try:
            out, err = started.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise OutsideError(f"cml did not end within {seconds:.0f} s") from None
        finally:
            stop(started)
    if started.returncode != 0:
        token = env.get("REPO_TOKEN")
        why = " ".join(_reason((err or out).decode(errors="replace")).split())
        why = (why.replace(token, "***") if token else why)[:400]
        raise OutsideError(f"cml failed with exit code {started.returncode}: {why}")
    return out.decode(errors="replace")


def _reason(said: str) -> str:
    """Why it failed: of its JSON lines, which hold whole requests, the message; of node's own traces the error's line;
    else the last line, below the help."""
    for line in reversed(said.splitlines()):
        try:
            entry = json.loads(line) if line.startswith("{") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and entry.get("level") == "error":
            return str(entry.get("message", ""))
    found = _ERROR.search(said)
    return found[0] if found else next((line for line in reversed(said.splitlines()) if line.strip()), "")


def find_cml(search: str | None = None, seconds: float = SECONDS) -> Cml:
    """The one on PATH. Raises OutsideError when there is none, or another version than the one that is known here."""
    path = shutil.which("cml", path=search if search is not None else os.environ.get("PATH", ""))
    if path is None:
        raise OutsideError("there is no cml on PATH")
    with tempfile.TemporaryDirectory(prefix="gitml-cml-") as folder:
        said = _run([path, "--version"], Path(folder), _quiet(Path(folder)), seconds).strip()
    if said != VERSION:
        raise OutsideError(f"cml is version {said[:40]!r}, known here is {VERSION}")
    return Cml(path, seconds)


def watermark(label: str, commit: str) -> str:
    """What CML appends to a body to know it again."""
    return f'![]({_IMAGE}#{commit} "{_title(label)}")'


def _title(label: str) -> str:
    return re.sub(r"([_*\[<])", r"\\\1", f"CML watermark {label}".strip())


def picked(place: Place, comments: Sequence[Comment], label: str) -> Comment | None:
    """The comment that CML would change, of all that there are, oldest first."""
    seen = comments[:PAGE] if isinstance(place, OnPull) else comments
    pattern = re.compile(rf'!\[\]\({re.escape(_IMAGE)}#[0-9a-fA-F]+ "{re.escape(_title(label))}"\)')
    return next((c for c in reversed(seen) if pattern.search(c.body)), None)


def why_unreachable(settings: Settings) -> str:
    """Why CML would talk to another server than we do, or nothing: it makes the API's address from the page's."""
    host = urlsplit(settings.web).netloc
    wanted = "https://api.github.com" if urlsplit(settings.web).hostname == "github.com" else f"https://{host}/api/v3"
    return "" if settings.api == wanted else f"cml would call {wanted}, not {settings.api}"
