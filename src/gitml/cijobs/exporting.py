"""``gitml ci export``: exported traffic comes to main by a pull request, which adds days and changes none.

The job that read the traffic has no token that writes, and this one sees no traffic. What is handed over are two small
files a model: the DVC file of the folder and its lineage.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from gitml.cijobs.handover import place_of
from gitml.control.change import branch_of, keep_pull
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.errors import FailedError, GitmlError, OutsideError
from gitml.forges.base import NewPull
from gitml.git.edit import bring, commit_tree, swap, tip_of, tree_with
from gitml.inference.exportlineage import ExportLineage
from gitml.jsontext import pretty
from gitml.reports.escape import code
from gitml.reports.figures import plural
from gitml.spec.yamlfile import parse

BRANCH, HANDED = "gitml/traffic", "gitml-export"
_LARGEST = 2_000_000


@dataclass(frozen=True)
class ExportProposal:
    """What became of one model. ``how``: opened, updated, unchanged, or nothing where main has it already."""

    model: str
    how: str = "nothing"
    pull: int = 0
    problem: str = ""


@dataclass(frozen=True)
class _Handed:
    """``pointer`` is the DVC file, ``lineage`` what stands beside it."""

    folder: str
    pointer: bytes
    lineage: ExportLineage

    @property
    def files(self) -> dict[str, bytes]:
        lineage = pretty(self.lineage).encode()
        return {f"{self.folder}.dvc": self.pointer, f"{self.folder}.lineage.json": lineage}


def propose_exports(place: Place) -> tuple[ExportProposal, ...]:
    """Of every model that gitml.yaml exports and a job handed over; one that fails keeps none of the others back."""
    main = place.newest(whole=True)
    app, handed = main.application(), place_of(place.root) / HANDED
    models = app.traffic.export if app.traffic else {}
    found = []
    for model in models:
        folder = handed / model
        if (folder / "data.dvc").is_file():
            try:
                found.append(_proposed(place, main, model, _read(main, model, folder)))
            except GitmlError as exc:
                found.append(ExportProposal(model, problem=exc.message.splitlines()[0]))
    return tuple(found)


def _read(main: Mainline, model: str, folder: Path) -> _Handed:
    """Raises FailedError for what is no export of this model, or changes a day that main has."""
    app = main.application()
    pointer, lineage = (_bytes(folder / name) for name in ("data.dvc", "lineage.json"))
    path = app.export_folder(model)
    outs = parse(pointer, "data.dvc").data
    rows = outs.get("outs") if set(outs) <= {"outs"} else None
    one = rows[0] if isinstance(rows, list) and len(rows) == 1 and isinstance(rows[0], dict) else {}
    if one.get("path") != path.rpartition("/")[2] or set(one) - _OUT:
        raise FailedError(f"what was handed over is not the data set of {path}")
    try:
        told = ExportLineage.model_validate(json.loads(lineage))
    except (ValueError, ValidationError):
        raise FailedError("what was handed over is not the lineage of exported traffic") from None
    spec = app.traffic.export[model] if app.traffic else None
    wanted = (model, spec.environment, spec.label) if spec else ()
    if (told.settings.model, told.settings.environment, told.settings.label) != wanted:
        raise FailedError(f"the lineage is not of what gitml.yaml exports of {model}")
    if gone := _changed(main.file(f"{path}.lineage.json"), told):
        raise FailedError(f"the day {gone} is not what main has: a revision is a person's pull request")
    return _Handed(path, pointer, told)


_OUT = {"path", "md5", "size", "nfiles", "hash"}


def _bytes(path: Path) -> bytes:
    if path.is_symlink() or path.stat().st_size > _LARGEST:
        raise FailedError(f"{path.name} is a link, or larger than {_LARGEST:,} bytes")
    return path.read_bytes()


def _changed(before: bytes | None, told: ExportLineage) -> str:
    """The first day of main's lineage that is another one now; '' where days were only added."""
    if before is None:
        return ""
    try:
        known = ExportLineage.model_validate(json.loads(before))
    except (ValueError, ValidationError):
        return "of the lineage that cannot be read"
    return next((day for day, one in known.days.items() if told.days.get(day) != one), "")


def _proposed(place: Place, main: Mainline, model: str, handed: _Handed) -> ExportProposal:
    git, files = main.git, handed.files
    if all(main.file(path) == content for path, content in files.items()):
        return ExportProposal(model)
    before = main.file(f"{handed.folder}.lineage.json")
    old = set(json.loads(before)["days"]) if before else set()
    days = [day for day in handed.lineage.days if day not in old]
    branch = branch_of(main, BRANCH, model)
    there = tip_of(place.root, place.remote, branch)
    if there:
        bring(place.git, place.remote, there, whole=True)
    is_new = not (there and _holds(main, there, files))
    if is_new:
        tree = git.repository.tree_of(main.commit) or ""
        for path, content in files.items():
            tree = tree_with(git.repository, tree, f"{git.prefix}{path}", content)
        # On top of what is there, so that the branch only moves forward.
        above = [*([there] if there else []), main.commit]
        commit = commit_tree(git, tree, above, f"Traffic of {model}\n\n{_told(days)}", place.who())
        if not swap(place.root, place.remote, branch, there, commit):
            return ExportProposal(model, problem=f"another run just moved {branch}")
    text = "\n".join([f"Labelled traffic of {code(model)}: {_told(days)}.", "", *_rows(handed.lineage, days)])
    put = keep_pull(place, NewPull(f"Traffic of {model}", branch, place.branch, text), is_new=is_new)
    return ExportProposal(model, put.how, put.pull.number)


def _holds(main: Mainline, commit: str, files: dict[str, bytes]) -> bool:
    """Whether merging ``commit`` gives main these files and changes nothing else."""
    git = main.git
    try:
        fork = git.text("merge-base", main.commit, commit).strip()
    except OutsideError:
        return False
    changed = git.text("diff", "--name-only", "-z", "--no-renames", fork, commit).split("\0")
    only = {name for name in changed if name} == {f"{git.prefix}{path}" for path in files}
    same = all(git.read_file(commit, path) == content for path, content in files.items())
    return only and same and all(git.read_file(fork, path) == main.file(path) for path in files)


def _told(days: list[str]) -> str:
    """
    >>> _told(["2026-03-01", "2026-03-02"])
    '2 days, 2026-03-01 to 2026-03-02'
    """
    return f"{plural(len(days), 'day')}, {days[0]} to {days[-1]}" if days else "no new day"


def _rows(lineage: ExportLineage, days: list[str]) -> Iterator[str]:
    yield from ("| day | rows | without a label, left out | hosts that had not told all |", "|---|--:|--:|--:|")
    for day in days[-60:]:
        one = lineage.days[day]
        yield f"| {day} | {one.rows:,} | {one.unlabelled:,} | {len(one.missing)} |"
