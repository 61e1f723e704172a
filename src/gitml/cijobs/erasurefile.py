"""What a job found out of requests for erasure, handed to the job that signs: one file, read as a stranger's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import Problem, SpecError
from gitml.files import write_file

NAME, ARTIFACT = "erasures.json", "gitml-erasures"
_MAX_BYTES, _MOST = 20_000_000, 5000
_Words = Annotated[str, Field(max_length=4000)]
_List = Annotated[list[_Words], Field(max_length=_MOST)]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StoreTold(_Form):
    """``left``: objects that are still there; ``why`` it was not reached."""

    left: Annotated[int, Field(ge=0)]
    why: _Words


class ErasureDetails(_Form):
    """What became of one request, as it is signed. ``replaced`` are files as ``gitml.registry.replacements`` has
    them; ``in_git`` names those that nothing can take out of history."""

    request: Annotated[str, Field(max_length=64)]
    reason: _Words
    until: Annotated[str, Field(max_length=20)] = ""
    retrain_by: Annotated[str, Field(max_length=10)] = ""
    holding: _List = []
    unknown: _List = []
    waiting: _List = []
    stays: _List = []
    objects: Annotated[int, Field(ge=0)] = 0
    stores: Annotated[dict[str, StoreTold], Field(max_length=100)] = {}
    replaced: Annotated[list[dict[str, Any]], Field(max_length=1000)] = []
    in_git: _List = []
    emptied: dict[str, int] = {}

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it is left: what passes says nothing else."""
        open_lists = (self.holding, self.unknown, self.waiting, self.stays)
        gone = bool(self.stores) and not any(one.left or one.why for one in self.stores.values())
        return gone and bool(self.until) and not any(open_lists)


class HandedErasure(_Form):
    result: Literal["passed", "failed", "inconclusive"]
    details: ErasureDetails


class ErasureFile(_Form):
    """``commit`` is the one of main that was looked at, ``run`` the run's address. ``problems``: what could not be
    looked into."""

    format: Literal["gitml erasures 1"] = "gitml erasures 1"
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    run: Annotated[str, Field(max_length=1000)] = ""
    problems: _List = []
    requests: Annotated[list[HandedErasure], Field(max_length=_MOST)] = []


def write_erasures(folder: Path, found: ErasureFile) -> Path:
    """Whole or not at all."""
    path = folder / NAME
    write_file(path, (found.model_dump_json() + "\n").encode())
    return path


def read_erasures(folder: Path, run: str) -> ErasureFile | None:
    """From the artifact's own folder, or by hand from the hand-over folder; None where no file is.

    Raises SpecError for a file that is none, or of another run.
    """
    path = next((p for p in (folder / ARTIFACT / NAME, folder / NAME) if p.is_symlink() or p.exists()), None)
    if path is None:
        return None
    hint = "`gitml ci subjects carry-out` writes it, in the job before"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise SpecError([Problem(NAME, 0, "", "is no plain file of a size that is read", hint)])
    try:
        found = ErasureFile.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in exc.errors(include_input=False)]
        raise SpecError([Problem(NAME, 0, "", line, hint) for line in lines[:5]]) from None
    if found.run != run:
        raise SpecError([Problem(NAME, 0, "run", "is of another run of the jobs", hint)])
    return found
