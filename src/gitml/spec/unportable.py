"""What DVC takes, or takes on one machine, and another clone has otherwise: said before anything runs."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from pathspec import GitIgnoreSpec

from gitml.errors import Problem, SpecError
from gitml.spec.dvcdata import legacy_data
from gitml.spec.dvcfiles import DATE, Pipeline, Stage
from gitml.spec.dvcplaces import DVC_FILE, IGNORE_FILE, is_ignored
from gitml.spec.leftovers import FOLDERS, PATTERNS
from gitml.spec.templatevars import PARAMS_FILE
from gitml.spec.yamlfile import Key, read


def unportable_problems(root: Path, pipeline: Pipeline) -> list[Problem]:
    """What DVC refuses, or what makes no other clone run: links to nothing, dates, data of DVC 2, submodules."""
    return [
        *_odd_files(root, pipeline),
        *_dates(root, pipeline),
        *legacy_data(root, {dep for stage in pipeline.stages.values() for dep in stage.deps if "://" not in dep}),
        *_submodules(root, pipeline),
        *_dvcs_own(root, pipeline),
    ]


def kept_outputs(pipeline: Pipeline) -> list[Problem]:
    """Cautions: what stays from run to run, and so depends on runs before."""
    return list(_kept(pipeline))


def _kept(pipeline: Pipeline) -> Iterator[Problem]:
    for stage in pipeline.stages.values():
        for out in stage.outs.values():
            if out.kept:
                told = (
                    f"{out.path} stays from run to run: what it holds afterwards depends on runs that no record names"
                )
                hint = f"`gitml reproduce` starts without it; let {stage.name} read an earlier state as a dependency"
                yield stage.document.problem(out.key, told, hint)


def places_elsewhere(pipeline: Pipeline) -> list[Problem]:
    """Cautions: dependencies that DVC knows by what a server says of them, and of which it keeps no copy."""
    told = "is no part of a clone, and who answers there may change it: no later run is sure to have the same"
    hint = "`dvc import-url` takes it in, so that its bytes have a digest and lie on the remote"
    return [
        stage.document.problem(key, f"{path} {told}", hint)
        for stage in pipeline.stages.values()
        for path, key in stage.deps.items()
        if "://" in path and not path.startswith(("file:", "ds:"))
    ]


def _read_from_git(root: Path, pipeline: Pipeline) -> Iterator[tuple[Stage, str, Key]]:
    """The dependencies that no stage makes and no .dvc file describes."""
    makers = pipeline.producers
    for stage in pipeline.stages.values():
        for path, key in stage.deps.items():
            above = [path, *(path.rsplit("/", n)[0] for n in range(1, path.count("/") + 1))]
            if "://" not in path and not any(p in makers or os.path.exists(root / f"{p}.dvc") for p in above):
                yield stage, path, key


def _odd_files(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    here = (item for item in _read_from_git(root, pipeline) if not os.path.isabs(item[1]))
    found = (item for item in here if os.path.lexists(root / item[1]))
    for stage, path, key in found:
        for place in _files(root / path, set(pipeline.producers), root):
            name = place.relative_to(root).as_posix()
            if place.is_symlink() and not os.path.exists(place):
                told = f"{name} is a symbolic link to nothing: {os.readlink(place)}"
                yield stage.document.problem(key, told, "remove the link, or make it lead to a file in the repository")
            elif not os.path.isfile(place):
                yield stage.document.problem(
                    key, f"{name} is neither a file nor a folder", "remove it: DVC waits for it"
                )


def _files(place: Path, outs: Collection[str], root: Path) -> Iterator[Path]:
    if not os.path.isdir(place):
        yield place
    for folder, folders, files in os.walk(place):
        below = Path(folder).relative_to(root).as_posix()
        folders[:] = [n for n in folders if n not in FOLDERS and posixpath.join(below, n) not in outs]
        yield from (Path(folder, name) for name in files)


def _dates(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    """DVC reads all of a file for templates, of another one what its stages name."""
    wanted: dict[str, set[tuple[str, ...]]] = {file: {()} for file in pipeline.read}
    for param in (p for stage in pipeline.stages.values() for p in stage.params):
        everything = param.name is None or posixpath.basename(param.file) == PARAMS_FILE
        wanted.setdefault(param.file, set()).add(() if everything else tuple((param.name or "").split(".")))
    for file, names in sorted(wanted.items()):
        if file.endswith((".yaml", ".yml")):
            with suppress(SpecError):
                document = read(root / file, file, empty=True)
                found = [key for key in document.dates if any(key[: len(name)] == name for name in names)]
                yield from (document.problem(key, *DATE) for key in sorted(found, key=str))


def _dvcs_own(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    """What DVC takes for no output or dependency: its own files, and outputs that .dvcignore names."""
    for stage in pipeline.stages.values():
        for path, key in (*stage.deps.items(), *((out.path, out.key) for out in stage.outs.values())):
            if posixpath.basename(path) == DVC_FILE or path.endswith(".dvc"):
                told = f"{path} is a file of DVC's own, which no stage reads or writes"
                yield stage.document.problem(key, told, "give it another name")
        for out in stage.outs.values():
            if "://" not in out.path and is_ignored(root, out.path):
                told = f"{out.path} is ignored by DVC, and so no output"
                yield stage.document.problem(out.key, told, f"write it elsewhere, or see {IGNORE_FILE}")


def _submodules(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    modules = _paths_of_submodules(root)
    for stage, path, key in _read_from_git(root, pipeline) if modules else ():
        inside = next((m for m in modules if f"{path}/".startswith(f"{m}/") or m.startswith(f"{path}/")), None)
        if inside:
            told = f"{inside} is a submodule of Git: a clone, a job and `gitml reproduce` have an empty folder there"
            hint = (
                "bring what the stage needs into the repository: copy it, install it as a package, or `dvc import` it"
            )
            yield stage.document.problem(key, told, hint)


def _paths_of_submodules(root: Path) -> list[str]:
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None or not (top / ".gitmodules").is_file():
        return []
    lines = (top / ".gitmodules").read_text(encoding="utf-8", errors="replace").splitlines()
    paths = (value.strip() for name, mark, value in (line.partition("=") for line in lines) if name.strip() == "path")
    return [Path(os.path.relpath(top / path, root)).as_posix() for path in paths]


def counted_bytecode(root: Path, pipeline: Pipeline) -> list[Problem]:
    """A caution: the `dvc` command counts bytecode in folders of code, unless .dvcignore names it; gitml does not."""
    return list(_left(root, pipeline))


def _left(root: Path, pipeline: Pipeline) -> Iterator[Problem]:
    with suppress(OSError, ValueError):
        file = root / IGNORE_FILE
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
        ignored = GitIgnoreSpec.from_lines(lines)
        folders = [path for _, path, _ in _read_from_git(root, pipeline) if any((root / path).rglob("*.py"))]
        if any(not ignored.match_file(f"{path}/__pycache__/x.pyc") for path in folders):
            told = f"does not name __pycache__/: `dvc status` counts bytecode in {folders[0]}, gitml does not"
            yield Problem(IGNORE_FILE, 0, "", told, f"add the lines {' '.join(PATTERNS)}, as `gitml init` does")
