"""dvc.yaml and dvc.lock with lines: what each stage reads and writes.

Templates are filled in as DVC 3 does: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files. Nothing
of DVC is imported: that takes half a second.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.errors import Problem, SpecError
from gitml.spec.dvcshape import DvcFile, Foreach, LockFile, OutOptions, StageBody
from gitml.spec.templates import UnresolvedError, expand, resolve_text
from gitml.spec.validate import build
from gitml.spec.yamlfile import Document, Key, read

DVC_FILE, LOCK_FILE, PARAMS_FILE = "dvc.yaml", "dvc.lock", "params.yaml"
Reader = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True)
class Param:
    """One param that a stage depends on; ``name`` is None for a whole file."""

    file: str
    name: str | None
    key: Key


@dataclass(frozen=True)
class Out:
    path: str
    kind: str
    cached: bool
    key: Key


@dataclass(frozen=True)
class Stage:
    """A stage after templates. Paths are relative to the folder of dvc.yaml; ``deps`` maps each to a key."""

    name: str
    key: Key
    wdir: str
    deps: Mapping[str, Key]
    params: tuple[Param, ...]
    outs: Mapping[str, Out]


@dataclass(frozen=True)
class Pipeline:
    document: Document
    stages: Mapping[str, Stage]

    @property
    def producers(self) -> dict[str, str]:
        """Output path → name of the stage that makes it."""
        return {path: stage.name for stage in self.stages.values() for path in stage.outs}


def load_pipeline(root: Path) -> Pipeline:
    """dvc.yaml of the application at ``root``. Raises SpecError with every problem."""
    pipeline, problems = pipeline_of(read(root / DVC_FILE, DVC_FILE, empty=True), lambda name: values_of(root, name))
    if problems:
        raise SpecError(problems)
    return pipeline


def values_of(root: Path, name: str) -> Mapping[str, Any]:
    """The values of a YAML or JSON file of params. Raises SpecError when it is missing or wrong."""
    if posixpath.isabs(name) or name.split("/")[0] == "..":
        raise SpecError([Problem(name, 0, "", "lies outside the folder of dvc.yaml")])
    return read(root / name, name, empty=True).data


def load_lock(root: Path) -> tuple[LockFile, Document]:
    """dvc.lock of the application at ``root``. Raises SpecError with every problem."""
    document = read(root / LOCK_FILE, LOCK_FILE, empty=True)
    if not document.data:
        return LockFile(schema="2.0", stages={}), document
    return build(LockFile, document, blanks=True), document


def pipeline_of(document: Document, reader: Reader) -> tuple[Pipeline, list[Problem]]:
    """The stages of a parsed dvc.yaml, and what is wrong with it. ``reader`` gives the values of a file."""
    shape = build(DvcFile, document, blanks=True)
    problems: list[Problem] = []
    scope = _scope(document, reader, shape.vars, ("vars",), "", problems)
    stages: dict[str, Stage] = {}
    for name, body in shape.stages.items():
        for built in _instances(_Site(document, reader, problems), name, body, scope):
            stages[built.name] = built
    return Pipeline(document, stages), problems


@dataclass(frozen=True)
class _Site:
    document: Document
    reader: Reader
    problems: list[Problem]

    def refuse(self, key: Key, exc: UnresolvedError) -> None:
        hint = f"define it in {PARAMS_FILE} or under vars, or write the value out"
        self.problems.append(self.document.problem(key, str(exc), hint))


def _scope(
    document: Document, reader: Reader, entries: tuple[Any, ...], key: Key, wdir: str, problems: list[Problem]
) -> dict[str, Any]:
    """Values for templates: params.yaml of the folder, and what ``vars`` names or says."""
    scope: dict[str, Any] = {}
    files = [str(e).partition(":")[0] for e in entries if isinstance(e, str)]
    if key == ("vars",) and PARAMS_FILE not in files:
        scope.update(_quietly(reader, PARAMS_FILE))
    for number, entry in enumerate(entries):
        if isinstance(entry, Mapping):
            scope.update(entry)
            continue
        file, _, names = str(entry).partition(":")
        try:
            values = reader(posixpath.normpath(posixpath.join(wdir, file)))
        except SpecError as exc:
            problems.append(document.problem((*key, number), str(exc.problems[0])))
            continue
        scope.update({k: v for k, v in values.items() if not names or k in names.split(",")})
    return scope


def _quietly(reader: Reader, file: str) -> Mapping[str, Any]:
    # A missing or broken params.yaml is reported once, where it is read for itself.
    try:
        return reader(file)
    except SpecError:
        return {}


def _instances(site: _Site, name: str, body: StageBody | Foreach, scope: dict[str, Any]) -> Iterator[Stage]:
    """The one stage of ``body``, or each that foreach or matrix makes of it."""
    key: Key = ("stages", name)
    try:
        if isinstance(body, Foreach):
            for suffix, extra in expand(body.foreach, scope):
                yield _stage(site, f"{name}@{suffix}", (*key, "do"), body.do, {**scope, **extra})
        elif body.matrix is not None:
            for suffix, extra in expand(body.matrix, scope, matrix=True):
                yield _stage(site, f"{name}@{suffix}", key, body, {**scope, **extra})
        else:
            yield _stage(site, name, key, body, scope)
    except UnresolvedError as exc:
        site.refuse(key, exc)


def _stage(site: _Site, name: str, key: Key, body: StageBody, scope: dict[str, Any]) -> Stage:
    wdir = resolve_text(body.wdir, scope) if body.wdir else ""
    if body.vars:
        scope = {
            **scope,
            **_scope(site.document, site.reader, body.vars, (*key, "vars"), wdir, site.problems),
        }
    deps = {_place(wdir, d, scope): (*key, "deps", i) for i, d in enumerate(body.deps)}
    outs: dict[str, Out] = {}
    for out in _outs(body, key, wdir, scope):
        if out.path in outs:
            site.problems.append(site.document.problem(out.key, f"{out.path} is an output of this stage twice"))
        outs[out.path] = out
    return Stage(name, key, wdir, deps, tuple(_params(body, key, wdir, scope)), outs)


def _outs(body: StageBody, key: Key, wdir: str, scope: dict[str, Any]) -> Iterator[Out]:
    for kind in ("outs", "metrics", "plots"):
        for number, entry in enumerate(getattr(body, kind)):
            for path, options in entry.items():
                place: Key = (*key, kind, number)
                cached = not (isinstance(options, OutOptions) and options.cache is False)
                yield Out(_place(wdir, path, scope), kind, cached, place)


def _params(body: StageBody, key: Key, wdir: str, scope: dict[str, Any]) -> Iterator[Param]:
    for number, entry in enumerate(body.params):
        for file, names in entry.items():
            place, at = _place(wdir, file, scope), (*key, "params", number)
            if not names:
                yield Param(place, None, at)
            for name in names or ():
                yield Param(place, resolve_text(name, scope), at)


def _place(wdir: str, path: str, scope: dict[str, Any]) -> str:
    text = resolve_text(path, scope)
    return text if "://" in text else posixpath.normpath(posixpath.join(wdir, text))
