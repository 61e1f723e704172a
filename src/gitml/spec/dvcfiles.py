"""dvc.yaml and dvc.lock with lines, of each folder that has one: what each stage reads and writes.

Templates are filled in as DVC 3 does: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files. Nothing
of DVC is imported: that takes half a second.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gitml.errors import Problem, SpecError
from gitml.spec.dvcplaces import DVC_FILE, pipeline_files
from gitml.spec.dvcshape import DvcFile, Foreach, LockFile, LockStage, OutOptions, StageBody
from gitml.spec.templates import UnresolvedError, expand, look_up_all, look_up_command, resolve_text
from gitml.spec.templatevars import PARAMS_FILE, Reader, Values, params_of, with_entry
from gitml.spec.validate import build
from gitml.spec.yamlfile import Document, Key, read

LOCK_FILE = "dvc.lock"
T = TypeVar("T")


@dataclass(frozen=True)
class Param:
    """One param that a stage depends on; ``name`` is None for a whole file."""

    file: str
    name: str | None
    key: Key


@dataclass(frozen=True)
class Out:
    """``kept``: it stays from run to run, as ``persist`` says."""

    path: str
    kind: str
    cached: bool
    key: Key
    kept: bool = False


@dataclass(frozen=True)
class Stage:
    """A stage after templates, and the dvc.yaml that it stands in.

    ``name`` is DVC's in the root's own dvc.yaml, ``folder/dvc.yaml:train`` below. Paths are relative to the root;
    ``deps`` maps each to a key.
    """

    document: Document
    name: str
    key: Key
    wdir: str
    deps: Mapping[str, Key]
    params: tuple[Param, ...]
    outs: Mapping[str, Out]


@dataclass(frozen=True)
class Pipeline:
    """``read`` are the files whose values templates may name."""

    stages: Mapping[str, Stage]
    read: frozenset[str] = frozenset()

    @property
    def producers(self) -> dict[str, str]:
        """Output path → name of the stage that makes it."""
        return {path: stage.name for stage in self.stages.values() for path in stage.outs}


def load_pipeline(root: Path) -> Pipeline:
    """The stages of the application at ``root``. Raises SpecError with every problem."""
    pipeline, problems = read_pipeline(root, lambda name: values_of(root, name))
    if problems:
        raise SpecError(problems)
    return pipeline


def read_pipeline(root: Path, reader: Reader) -> tuple[Pipeline, list[Problem]]:
    """All stages at ``root``, and what is wrong with them. Raises SpecError for a file that cannot be read."""
    stages: dict[str, Stage] = {}
    values: frozenset[str] = frozenset()
    problems: list[Problem] = []
    for file in pipeline_files(root) or (DVC_FILE,):
        found, wrong = pipeline_of(read(root / file, file, empty=True), reader)
        stages |= found.stages
        values |= found.read
        problems += wrong
    return Pipeline(stages, values), problems


def values_of(root: Path, name: str) -> Mapping[str, Any]:
    """The values of a YAML, JSON or TOML file of params. Raises SpecError when it is missing or wrong."""
    if posixpath.isabs(name) or name.split("/")[0] == "..":
        raise SpecError([Problem(name, 0, "", "lies outside the folder of dvc.yaml")])
    if name.endswith(".py"):
        hint = "write the values into a file of YAML, JSON or TOML"
        raise SpecError([Problem(name, 0, "", "is Python, whose values are known only to who runs it", hint)])
    if name.endswith(".toml"):
        return toml_values((root / name), name)
    return read(root / name, name, empty=True).data


def toml_values(path: Path, file: str) -> Mapping[str, Any]:
    """Raises SpecError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError([Problem(file, 0, "", "the file is missing")]) from None
    except (OSError, ValueError) as exc:
        raise SpecError([Problem(file, 0, "", f"is not TOML: {exc}")]) from exc


@dataclass(frozen=True)
class Locked:
    """What a dvc.lock says of one stage, under ``key``; ``folder`` is where it lies, "" for the root."""

    entry: LockStage
    folder: str
    document: Document
    key: Key


def load_locks(root: Path) -> dict[str, Locked]:
    """What each dvc.lock at ``root`` says, by the names of stages. Raises SpecError with every problem."""
    folders = {posixpath.dirname(file) for file in pipeline_files(root)} | {""}
    found: dict[str, Locked] = {}
    for folder in sorted(folders):
        file = posixpath.join(folder, LOCK_FILE)
        if (root / file).exists():
            document = read(root / file, file, empty=True)
            stages = build(LockFile, document, blanks=True).stages if document.data else {}
            for name, entry in stages.items():
                found[full_name(folder, name)] = Locked(entry, folder, document, ("stages", name))
    return found


def full_name(folder: str, name: str) -> str:
    """
    >>> full_name("", "train"), full_name("one", "train")
    ('train', 'one/dvc.yaml:train')
    """
    return f"{folder}/{DVC_FILE}:{name}" if folder else name


def pipeline_folder(stage: str) -> str:
    """The folder of the dvc.yaml that a stage stands in.

    >>> pipeline_folder("train"), pipeline_folder("one/dvc.yaml:train"), pipeline_folder("data/raw.csv.dvc")
    ('', 'one', '')
    """
    file, mark, _ = stage.rpartition(f"/{DVC_FILE}:")
    return file if mark else ""


def pipeline_of(document: Document, reader: Reader) -> tuple[Pipeline, list[Problem]]:
    """The stages of a parsed dvc.yaml, and what is wrong with it. ``reader`` gives the values of a file at the root."""
    folder = posixpath.dirname(document.file)
    shape = build(DvcFile, document, blanks=True)
    problems = _dates(document)
    seen: set[str] = set()

    def values(file: str) -> Mapping[str, Any]:
        seen.add(file)
        return reader(file)

    site = _Site(document, folder, values, problems)
    scope = site.with_vars(params_of(folder, values), shape.vars, ("vars",), folder)
    stages: dict[str, Stage] = {}
    for name, body in shape.stages.items():
        for built in _instances(site, name, body, scope):
            stages[built.name] = built
    for part in ("metrics", "params", "plots", "artifacts", "datasets"):
        try:
            look_up_all(document.data.get(part), scope.known)
        except UnresolvedError as exc:
            site.refuse((part,), exc)
    return Pipeline(stages, frozenset(seen)), problems


DATE = ("a date, which DVC takes for no value of a param", "quote it: '2013-01-31'")


def _dates(document: Document) -> list[Problem]:
    """Among the values that templates may name."""
    keys = [key for key in document.dates if key[0] == "vars" or (len(key) > 2 and key[2] in ("foreach", "matrix"))]
    return [document.problem(key, *DATE) for key in sorted(keys, key=str)]


@dataclass(frozen=True)
class _Site:
    document: Document
    folder: str
    reader: Reader
    problems: list[Problem]

    def named(self, key: Key, found: Iterator[tuple[str, T]]) -> Iterator[tuple[str, T]]:
        """Those whose suffix DVC can name a stage with; the others are problems."""
        for suffix, value in found:
            if suffix and "@" not in suffix:
                yield suffix, value
            else:
                told = f"{suffix!r} cannot be a part of a stage's name"
                self.problems.append(self.document.problem(key, told, "loop over words, without @"))

    def refuse(self, key: Key, exc: UnresolvedError) -> None:
        file = posixpath.join(self.folder, PARAMS_FILE)
        hint = (
            exc.hint or f"define it in {file} or under vars, or write it out; the shell's own variables are \\${{NAME}}"
        )
        self.problems.append(self.document.problem(key, str(exc), hint))

    def with_vars(self, values: Values, entries: Sequence[Any], key: Key, wdir: str) -> Values:
        """``values`` and those of ``vars``; entries that are wrong are problems."""
        for number, entry in enumerate(entries):
            try:
                values = with_entry(values, entry, wdir, self.reader)
            except UnresolvedError as exc:
                self.refuse((*key, number), exc)
            except SpecError as exc:
                first = exc.problems[0]
                self.problems.append(self.document.problem((*key, number), str(first), first.hint))
        return values


def _instances(site: _Site, name: str, body: StageBody | Foreach, scope: Values) -> Iterator[Stage]:
    """The one stage of ``body``, or each that foreach or matrix makes of it."""
    key: Key = ("stages", name)
    if "@" in name:
        told = "a stage's name has no @: DVC takes what follows for a round of a loop"
        site.problems.append(site.document.problem(key, told, "give the stage another name"))
        return
    try:
        if isinstance(body, Foreach):
            for suffix, extra in site.named(key, expand(body.foreach, scope.known)):
                yield _stage(site, f"{name}@{suffix}", (*key, "do"), body.do, scope.looping(extra))
        elif body.matrix is not None:
            for suffix, extra in site.named(key, expand(body.matrix, scope.known, matrix=True)):
                yield _stage(site, f"{name}@{suffix}", key, body, scope.looping(extra))
        else:
            yield _stage(site, name, key, body, scope)
    except UnresolvedError as exc:
        site.refuse(key, exc)


def _stage(site: _Site, name: str, key: Key, body: StageBody, values: Values) -> Stage:
    wdir = _place(site.folder, body.wdir, values.known) if body.wdir else site.folder
    scope = site.with_vars(values, body.vars, (*key, "vars"), wdir).known
    for command in body.cmd:
        look_up_command(command, scope)
    look_up_all([body.desc, body.meta, body.options()], scope)
    deps = {_place(wdir, d, scope): (*key, "deps", i) for i, d in enumerate(body.deps)}
    outs: dict[str, Out] = {}
    for out in _outs(body, key, wdir, scope):
        if out.path in outs:
            site.problems.append(site.document.problem(out.key, f"{out.path} is an output of this stage twice"))
        outs[out.path] = out
    return Stage(
        site.document, full_name(site.folder, name), key, wdir, deps, tuple(_params(body, key, wdir, scope)), outs
    )


def _outs(body: StageBody, key: Key, wdir: str, scope: Mapping[str, Any]) -> Iterator[Out]:
    for kind in ("outs", "metrics", "plots"):
        for number, entry in enumerate(getattr(body, kind)):
            for path, options in entry.items():
                place: Key = (*key, kind, number)
                cached = not (isinstance(options, OutOptions) and options.cache is False)
                kept = isinstance(options, OutOptions) and bool(options.persist or options.checkpoint)
                yield Out(_place(wdir, path, scope), kind, cached, place, kept)


def _params(body: StageBody, key: Key, wdir: str, scope: Mapping[str, Any]) -> Iterator[Param]:
    for number, entry in enumerate(body.params):
        for file, names in entry.items():
            place, at = _place(wdir, file, scope), (*key, "params", number)
            if not names:
                yield Param(place, None, at)
            for name in names or ():
                yield Param(place, resolve_text(name, scope), at)


def _place(wdir: str, path: str, scope: Mapping[str, Any]) -> str:
    text = resolve_text(path, scope)
    return text if "://" in text else posixpath.normpath(posixpath.join(wdir, text))
