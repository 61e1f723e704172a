"""``gitml ci finish``: what pipelines of branches handed over becomes a report and a commit, from the default branch.

Where a branch's own pipeline must hold no token, because the branch can change it, a job of the default branch looks
which runs of open pull requests are over and not told yet, and does for each what `gitml ci commit` and
`gitml ci publish` do: on a checkout of the commit, of which no line is executed. Killed half-way, the next one goes on.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml.ci.table import renderer
from gitml.cijobs.commit import LABEL
from gitml.cijobs.handover import VARIABLE
from gitml.control.place import Place
from gitml.derivation.handover import MAX_BYTES
from gitml.errors import GitmlError, IntegrityError
from gitml.forges.base import OnPull, PullRequest, Run
from gitml.git.edit import bring
from gitml.process import run as started
from gitml.publishing.sticky import stamp_of
from gitml.spec import load_application

_SECONDS = 900.0
# What a report says of a commit that waits for something, and when that has come.
_HELD: dict[str, Callable[[PullRequest], bool]] = {
    "not committed: the pull request is a draft": lambda pull: not pull.is_draft,
    f"does not have the label {LABEL}": lambda pull: LABEL in pull.labels,
    "not committed: there is no pull request for the branch yet": lambda pull: pull.is_open,
}


@dataclass(frozen=True)
class FinishedRun:
    """``said`` is what the two commands printed; ``exit_code`` the worse one of theirs."""

    pull: int
    run: Run
    said: str
    exit_code: int


def finish(place: Place) -> tuple[FinishedRun, ...]:
    """Each run in turn; one that cannot be told does not keep the others back."""
    return tuple(_finished(place, pull, run) for pull, run in due(place))


def due(place: Place) -> Iterator[tuple[PullRequest, Run]]:
    """The newest training of each open pull request from a branch of this repository, where it is over and not told."""
    application, home = load_application(place.root), place.settings.repository.lower()
    folder = place.git.prefix.rstrip("/")
    file = renderer(application.ci.system[0]).file_name(application.application, folder, "train")
    for pull in place.forge.pulls.all_open():
        if pull.head.repository.lower() != home:
            continue
        runs = [r for r in place.forge.runs.of_commit(pull.head.commit) if _trains(r, file, home)]
        newest = max(runs, key=lambda r: (r.id, r.attempt), default=None)
        if newest and newest.is_over and not _is_told(place, application.application, pull, newest):
            yield pull, newest


def _trains(run: Run, file: str, home: str) -> bool:
    mine = run.workflow.rpartition("/")[2] == file and run.repository.lower() == home
    # Of one for which somebody set variables figures are told, too; nobody vouches for it.
    return mine and run.event.removesuffix(" with variables") in ("push", "workflow_dispatch")


def _is_told(place: Place, application: str, pull: PullRequest, run: Run) -> bool:
    """Whether our comment is of this run or a later one, and nothing that held the commit up has come since."""
    marker, me = f"<!-- gitml:report:{application}/train -->", place.forge.me()
    for comment in place.forge.comments.list(OnPull(pull.number)):
        stamp = stamp_of(comment)
        if comment.author == me and comment.body.startswith(marker) and stamp and stamp.run >= run.id:
            return not any(words in comment.body and come(pull) for words, come in _HELD.items())
    return False


def _finished(place: Place, pull: PullRequest, run: Run) -> FinishedRun:
    try:
        with tempfile.TemporaryDirectory(prefix="gitml-finish-") as name:
            handed = Path(name) / "handed"
            handed.mkdir()
            _fetch(place, run, handed)
            bring(place.git, place.remote, run.commit)
            with place.git.worktree(run.commit, Path(name) / "tree") as there:
                return _told(there, {**_job(place, pull, run), VARIABLE: str(handed)}, pull, run)
    except (GitmlError, OSError) as exc:
        said = exc.message if isinstance(exc, GitmlError) else str(exc)
        return FinishedRun(pull.number, run, said, 4)


def _fetch(place: Place, run: Run, folder: Path) -> None:
    """The fragments, one file of each archive: whatever else a branch's job kept is left where it is."""
    for artifact in place.forge.runs.artifacts(run.id):
        if not artifact.name.startswith("fragment-") or artifact.is_expired:
            continue
        wanted = f"{artifact.name}.json"
        with zipfile.ZipFile(io.BytesIO(place.forge.runs.download(artifact.id))) as opened:
            found = [info for info in opened.infolist() if info.filename.rpartition("/")[2] == wanted]
            if len(found) != 1 or found[0].file_size > MAX_BYTES:
                raise IntegrityError(f"the artifact {artifact.name} of {run.url} holds something else than {wanted}")
            (folder / Path(wanted).name).write_bytes(opened.read(found[0]))


def _job(place: Place, pull: PullRequest, run: Run) -> dict[str, str]:
    """What the run was about, as a CI system beside the forge would say it."""
    return {
        "GITML_CI_SYSTEM": "finish",
        "GITML_FORGE": place.settings.forge,
        "GITML_REMOTE": f"{place.settings.home}.git",
        "GITML_BRANCH": pull.head.branch,
        "GITML_DEFAULT_BRANCH": place.branch,
        "GITML_COMMIT": run.commit,
        "GITML_RUN": str(run.id),
        "GITML_RUN_URL": run.url,
        "GITML_CAUSE": "push",
    }


def _told(there: Path, env: Mapping[str, str], pull: PullRequest, run: Run) -> FinishedRun:
    said, code = [], 0
    for words in (["commit"], ["publish", "--publisher", "gitml"]):
        # -P: else Python would take a module gitml out of the branch's own files.
        command = [sys.executable, "-P", "-m", "gitml", "ci", *words]
        done = started(command, cwd=there, env=env, timeout=_SECONDS, check=False)
        said += [text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr)]
        # That a branch's training failed is the branch's matter, and told there.
        worth = done.returncode if words[0] == "publish" or done.returncode != 1 else 0
        code = max(code, worth)
    return FinishedRun(pull.number, run, "\n".join(filter(None, said)), code)
