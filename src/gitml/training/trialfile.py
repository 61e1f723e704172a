"""What main's jobs found out about versions, handed to the job that signs: a small file, read as a stranger's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import Problem, SpecError
from gitml.files import write_file
from gitml.refs import NAME, VERSION

Kind = Literal["evaluated", "reproduced", "compared"]
Result = Literal["passed", "failed", "inconclusive"]
MAX_BYTES = 4_000_000
_JOBS: Mapping[str, tuple[Kind, ...]] = {"verify": ("evaluated", "compared"), "reproduce": ("reproduced",)}
_VERSION = re.sub(r"[?]P<[a-z]+>", "", VERSION.pattern)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Tried(_Part):
    """One version in one trial. ``artifact`` is the SHA-256 of the bytes that were tried."""

    kind: Kind
    model: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    version: Annotated[str, Field(pattern=f"^{_VERSION}$")]
    artifact: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    result: Result
    details: dict[str, Any] = {}


class Trials(_Part):
    """What one job of a run found out. ``run`` is the run's address, ``commit`` what was checked out."""

    format: Literal["gitml trials 1"] = "gitml trials 1"
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    run: str = ""
    tried: tuple[Tried, ...] = ()


def write_trials(folder: Path, job: str, model: str, trials: Trials) -> Path:
    """``verify-MODEL.json`` or ``reproduce-MODEL.json``, whole or not at all."""
    path = folder / f"{job}-{model}.json"
    write_file(path, (trials.model_dump_json(indent=1) + "\n").encode())
    return path


def read_trials(folder: Path, run: str, commit: str) -> Iterator[Tried]:
    """What lies in ``gitml-JOB-MODEL/JOB-MODEL.json``; a job speaks only of the kind of evidence that it is for.

    Raises SpecError for a file that is none, or of another run or commit.
    """
    for path in sorted(folder.glob("gitml-*/*.json")):
        job = next((j for j in _JOBS if path.name.startswith(f"{j}-")), "")
        if not job or path.parent.name != f"gitml-{path.stem}":
            continue
        found = _read(path)
        if (found.run, found.commit) != (run, commit):
            said = f"is of the run {found.run[:200] or '(none)'} at {found.commit[:12]}"
            raise SpecError([Problem(path.name, 0, "run", f"{said}, this is {run} at {commit[:12]}")])
        for one in found.tried:
            if one.kind not in _JOBS[job]:
                raise SpecError([Problem(path.name, 0, one.kind, f"is not for the job {job} to say")])
            yield one


def _read(path: Path) -> Trials:
    if path.is_symlink() or path.stat().st_size > MAX_BYTES:
        raise SpecError([Problem(path.name, 0, "", f"is a symlink, or larger than {MAX_BYTES:,} bytes")])
    try:
        return Trials.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        found: Sequence[Any] = exc.errors(include_input=False, include_url=False, include_context=False)[:5]
        problems = [Problem(path.name, 0, ".".join(map(str, e["loc"]))[:120], str(e["msg"])[:200]) for e in found]
        raise SpecError(problems) from exc
