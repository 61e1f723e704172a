"""What a job saw of the traffic, handed to the job that signs: one file, read as a stranger's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import Problem, SpecError
from gitml.evidence.biases import BiasDetails
from gitml.evidence.canaries import CanaryDetails
from gitml.evidence.impacts import ImpactDetails
from gitml.evidence.looks import MOST_DETAILS, LookDetails
from gitml.files import write_file
from gitml.jsontext import canonical

Form = TypeVar("Form", bound=BaseModel)
NAME = "looks.json"
ARTIFACT = "gitml-looks"
# Of replays: each job's file lies in a folder named after its artifact.
REPLAYS, REPLAY_ARTIFACTS = "replay.json", "gitml-replay-*"
MAX_BYTES, MOST_LOOKS = 40_000_000, 64


class LookFile(BaseModel):
    """``run`` is the run's address, ``commit`` what was checked out; each of ``looks`` is a ``LookDetails``, each of
    ``evaluations`` a ``CanaryDetails``, each of ``impacts`` an ``ImpactDetails``, each of ``biases`` a
    ``BiasDetails``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["gitml looks 1"] = "gitml looks 1"
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
    run: Annotated[str, Field(max_length=1000)] = ""
    looks: Annotated[list[dict[str, Any]], Field(max_length=MOST_LOOKS)] = []
    evaluations: Annotated[list[dict[str, Any]], Field(max_length=MOST_LOOKS)] = []
    impacts: Annotated[list[dict[str, Any]], Field(max_length=MOST_LOOKS)] = []
    biases: Annotated[list[dict[str, Any]], Field(max_length=MOST_LOOKS)] = []


def write_looks(folder: Path, found: LookFile, name: str = NAME) -> Path:
    """Whole or not at all."""
    path = folder / name
    write_file(path, (found.model_dump_json() + "\n").encode())
    return path


def read_looks(folder: Path, run: str, commit: str) -> tuple[tuple[Mapping[str, Any], LookDetails], ...]:
    """Each look as it was written, and as it is meant; nothing where no file is. From the artifact's own folder, or by
    hand from the hand-over folder.

    Raises SpecError for a file that is none, or of another run or commit.
    """
    found = _handed(folder, run, commit)
    return tuple((one, _meant(LookDetails, one, f"looks.{n}")) for n, one in enumerate(found.looks if found else ()))


def read_evaluations(folder: Path, run: str, commit: str) -> tuple[tuple[Mapping[str, Any], CanaryDetails], ...]:
    """The same of the evaluations of candidates."""
    return _evaluations(_handed(folder, run, commit))


def read_replays(folder: Path, run: str, commit: str) -> tuple[tuple[Mapping[str, Any], CanaryDetails], ...]:
    """The same of replays, which several jobs may hand over."""
    by_job = sorted(path / REPLAYS for path in folder.glob(REPLAY_ARTIFACTS))
    paths = [path for path in (*by_job, folder / REPLAYS) if path.is_symlink() or path.exists()]
    return tuple(one for path in paths for one in _evaluations(_of_this_run(path, run, commit)))


def _evaluations(found: LookFile | None) -> tuple[tuple[Mapping[str, Any], CanaryDetails], ...]:
    handed = enumerate(found.evaluations if found else ())
    return tuple((one, _meant(CanaryDetails, one, f"evaluations.{n}")) for n, one in handed)


def read_impacts(folder: Path, run: str, commit: str) -> tuple[tuple[Mapping[str, Any], ImpactDetails], ...]:
    """The same of what KPIs did after changes."""
    found = _handed(folder, run, commit)
    handed = enumerate(found.impacts if found else ())
    return tuple((one, _meant(ImpactDetails, one, f"impacts.{n}")) for n, one in handed)


def read_biases(folder: Path, run: str, commit: str) -> tuple[tuple[Mapping[str, Any], BiasDetails], ...]:
    """The same of whom models selected."""
    found = _handed(folder, run, commit)
    return tuple((one, _meant(BiasDetails, one, f"biases.{n}")) for n, one in enumerate(found.biases if found else ()))


def _handed(folder: Path, run: str, commit: str) -> LookFile | None:
    path = next((p for p in (folder / ARTIFACT / NAME, folder / NAME) if p.is_symlink() or p.exists()), None)
    return None if path is None else _of_this_run(path, run, commit)


def _of_this_run(path: Path, run: str, commit: str) -> LookFile:
    found = _read(path)
    if (found.run, found.commit) != (run, commit):
        said = f"is of the run {found.run[:200] or '(none)'} at {found.commit[:12]}"
        raise SpecError([Problem(path.name, 0, "run", f"{said}, this is {run or '(none)'} at {commit[:12]}")])
    return found


def _read(path: Path) -> LookFile:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise SpecError([Problem(NAME, 0, "", f"is no plain file, or larger than {MAX_BYTES:,} bytes")])
    try:
        return LookFile.model_validate_json(path.read_bytes())
    except ValidationError as exc:
        raise _wrong(exc, "") from None


def _meant(form: type[Form], one: Mapping[str, Any], where: str) -> Form:
    if len(canonical(one)) > MOST_DETAILS:
        raise SpecError([Problem(NAME, 0, where, "is too large for a statement")])
    try:
        return form.model_validate(one)
    except ValidationError as exc:
        raise _wrong(exc, f"{where}.") from None


def _wrong(exc: ValidationError, where: str) -> SpecError:
    found: Sequence[Any] = exc.errors(include_input=False, include_url=False, include_context=False)[:5]
    return SpecError(
        [Problem(NAME, 0, (where + ".".join(map(str, e["loc"])))[:120], str(e["msg"])[:200]) for e in found]
    )
