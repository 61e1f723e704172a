"""What a job of CI hands over, read as if a stranger had written it."""

from __future__ import annotations

import io
import zipfile
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gitml.dvc.lockentries import Entry
from gitml.dvc.safety import refuse_escape
from gitml.errors import GitmlError, IntegrityError
from gitml.registry.record import File

MAX_BYTES = 64_000_000


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
    """What became of one job. ``files`` are the outputs that live in Git, as base64; ``run`` is the run's address.

    ``unusable`` says of a model that was trained why a server would refuse it. ``held`` is, as JSON, how it did on the
    same rows as the version that runs: only the report reads it.
    """

    format: Literal["gitml fragment 1"] = "gitml fragment 1"
    job: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,100}$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    run: str = ""
    status: Literal["successful", "failed"]
    python: str = ""
    error: str = ""
    stages: tuple[StageRun, ...] = ()
    files: Mapping[RepoPath, str] = {}
    unusable: Mapping[str, str] = {}
    held: Mapping[str, Annotated[str, Field(max_length=1_000_000)]] = {}

    def contents(self) -> dict[str, bytes]:
        return {path: b64decode(text) for path, text in self.files.items()}


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


def unpacked(name: str, archive: bytes) -> Fragment:
    """The one file of an artifact. Raises IntegrityError for anything else."""
    wanted = f"{name}.json"
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names: Sequence[str] = opened.namelist()
            if [n.rpartition("/")[2] for n in names] != [wanted] or opened.getinfo(names[0]).file_size > MAX_BYTES:
                raise IntegrityError(f"the artifact {name} holds something else than {wanted}")
            fragment = Fragment.model_validate_json(opened.read(names[0]))
    except (zipfile.BadZipFile, ValidationError, OSError, RuntimeError) as exc:
        raise IntegrityError(f"the artifact {name} cannot be read: {str(exc).splitlines()[0]}") from exc
    if fragment.job != name.removeprefix("fragment-") or fragment.status != "successful":
        raise IntegrityError(f"the artifact {name} is of the job {fragment.job}, which says {fragment.status}")
    return fragment
