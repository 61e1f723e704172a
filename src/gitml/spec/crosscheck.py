"""What gitml.yaml and dvc.yaml must say of one another: small pure functions that return problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from gitml.errors import Problem
from gitml.spec.application import Application, Model
from gitml.spec.dag import cycle_problems, stages_of
from gitml.spec.dvcfiles import Locked, Out, Pipeline, Stage
from gitml.spec.dvcshape import LockItem
from gitml.spec.knownnames import param_known
from gitml.spec.validate import nearest
from gitml.spec.yamlfile import Document, Key

Exists = Callable[[str], bool]
_IN_CACHE = ("artifact", "samples", "charts")


def paths_distinct(app: Application, document: Document) -> list[Problem]:
    """No two keys of gitml.yaml name the same place, also where capital letters do not count."""
    seen: dict[str, Key] = {}
    found = []
    for name, model in app.models.items():
        for what, path in model.outputs.items():
            key: Key = ("models", name, what)
            other = seen.setdefault(path.lower(), key)
            if other is not key:
                message = f"{path!r} is the place of {other[1]}'s {other[2]} too (line {document.line(other)})"
                found.append(document.problem(key, message, "give each its own path"))
    return found


def stages_known(app: Application, document: Document, pipeline: Pipeline) -> list[Problem]:
    """Stages of gitml.yaml exist in dvc.yaml."""
    return [
        document.problem(("stages", name), f"dvc.yaml has no stage {name!r}", nearest(name, pipeline.stages))
        for name in app.stages
        if name not in pipeline.stages
    ]


def outputs_made(app: Application, document: Document, pipeline: Pipeline) -> list[Problem]:
    """Each path of a model is the output of a stage, not a part of one; of a model from elsewhere, none is."""
    makers = pipeline.producers
    free = set(makers) - {path for model in app.models.values() for path in model.outputs.values()}
    found = []
    for name, model in app.models.items():
        for what, path in model.outputs.items():
            key: Key = ("models", name, what)
            maker = _maker(makers, path)
            if model.origin == "external" and maker:
                hint = "remove 'origin: external', or give the artifact another path"
                found.append(document.problem(key, f"stage {maker!r} writes {path}, but the model is external", hint))
            elif model.origin == "pipeline" and not maker:
                near = nearest(path, sorted(free))
                hint = near if near.startswith("did") else "list it under outs or metrics of the stage that writes it"
                found.append(document.problem(key, f"no stage of dvc.yaml writes {path}", hint))
            elif model.origin == "pipeline" and path not in makers:
                whole = next(out for out in makers if path.startswith(f"{out}/"))
                told = (
                    f"{path} is a part of the output {whole} of {maker!r}: what a version names has a digest of its own"
                )
                hint = f"list the files of {whole} one by one under outs in place of the folder, {path} among them"
                found.append(document.problem(key, told, hint))
    return found


def holdouts_made(app: Application, document: Document, pipeline: Pipeline) -> list[Problem]:
    """The rows that a version is judged on are an output of their own: the champion's are fetched by their digest."""
    found = []
    for name, model in app.models.items():
        if model.holdout is None or model.origin != "pipeline" or model.holdout.rows in pipeline.producers:
            continue
        told = f"no stage of dvc.yaml writes {model.holdout.rows}"
        hint = "let the evaluation write its held-out rows there, and list the file under its outs"
        found.append(document.problem(("models", name, "holdout", "rows"), told, hint))
    return found


def _maker(makers: Mapping[str, str], path: str) -> str | None:
    """The stage that writes ``path`` or a folder around it."""
    while path and path != ".":
        if path in makers:
            return makers[path]
        path = path.rpartition("/")[0]
    return None


def outputs_cached(app: Application, pipeline: Pipeline) -> list[Problem]:
    """What is large belongs to DVC: ``cache: false`` would leave it to Git."""
    outs = {o.path: o for s in pipeline.stages.values() for o in s.outs.values()}
    makers = pipeline.producers
    return [
        pipeline.stages[makers[path]].document.problem(
            outs[path].key,
            f"{path} is the {what} of {name!r}, and 'cache: false' keeps it out of DVC",
            "remove 'cache: false'",
        )
        for name, model in app.models.items()
        for what, path in model.outputs.items()
        if what in _IN_CACHE and path in outs and not outs[path].cached and not _is_text(model, what)
    ]


def _is_text(model: Model, what: str) -> bool:
    """The artifact of an ensemble is a few lines, which reviewers want to see in Git."""
    return what == "artifact" and model.format == "ensemble"


def packages_followed(app: Application, pipeline: Pipeline) -> list[Problem]:
    """Every stage of a model depends on its locked packages; one that models share, on those of any."""
    if cycle_problems(pipeline):
        return []
    owners: dict[str, list[str]] = {}
    for name, model in app.models.items():
        for stage in stages_of(pipeline, model) if model.origin == "pipeline" else ():
            owners.setdefault(stage, []).append(name)
    found = []
    for stage, models in owners.items():
        locks = [p for m in models if (p := app.models[m].packages) is not None]
        # A folder that a lock lies in is as good: its digest is of the lock too.
        places = {str(place) for lock in locks for place in (PurePosixPath(lock), *PurePosixPath(lock).parents)}
        if locks and not places & pipeline.stages[stage].deps.keys():
            wanted, whose = " or ".join(dict.fromkeys(locks)), " and ".join(models)
            message = f"does not depend on {wanted}, the packages of {whose}"
            hint = f"add '- {locks[0]}' to its deps: other packages can give another model"
            found.append(pipeline.stages[stage].document.problem(pipeline.stages[stage].key, message, hint))
    return found


def packages_there(app: Application, document: Document, exists: Exists) -> list[Problem]:
    return [
        document.problem(
            ("models", name, "packages"), f"{model.packages} is not there", "lock the packages into this file"
        )
        for name, model in app.models.items()
        if model.packages and not exists(model.packages)
    ]


def outputs_apart(pipeline: Pipeline) -> list[Problem]:
    """Outputs stay inside the folder, belong to one stage, are not nested, differ in more than capitals."""
    found: list[Problem] = []
    seen: dict[str, tuple[Stage, Out]] = {}
    everything = [(s, o) for s in pipeline.stages.values() for o in s.outs.values()]
    for stage, out in everything:
        if _outside(out.path):
            message = f"{out.path} lies outside the folder of dvc.yaml"
            found.append(stage.document.problem(out.key, message, "write outputs inside it, with relative paths"))
            continue
        other = seen.setdefault(out.path.lower(), (stage, out))
        if other[1] is not out:
            found.append(stage.document.problem(out.key, *_collision(out, other)))
    for stage, out in everything:
        above = out.path.lower().rpartition("/")[0]
        while above:
            if above in seen:
                message = f"{out.path} lies inside {seen[above][1].path}, an output of {seen[above][0].name!r}"
                found.append(stage.document.problem(out.key, message, "outputs must not lie in one another"))
                break
            above = above.rpartition("/")[0]
    return found


def _collision(out: Out, other: tuple[Stage, Out]) -> tuple[str, str]:
    if out.path == other[1].path:
        return (
            f"{out.path} is an output of {other[0].name!r} too",
            "one stage writes it, the other may read it",
        )
    hint = "the two are one file on Windows and macOS"
    return f"{out.path} differs from {other[1].path} of {other[0].name!r} in capital letters only", hint


def _outside(path: str) -> bool:
    return (
        path.startswith(("../", "/", "~")) or path in {"..", "."} or "\\" in path or "://" in path or path[1:2] == ":"
    )


def inputs_there(pipeline: Pipeline, exists: Exists) -> list[Problem]:
    """Each dependency is written by a stage, kept by DVC (a .dvc file beside it), or a file that is there."""
    makers = pipeline.producers
    inside = {p.rsplit("/", n)[0] for p in makers for n in range(p.count("/") + 1)}
    found = []
    for stage in pipeline.stages.values():
        for path, key in stage.deps.items():
            if path.startswith("ds:"):
                message = f"reads {path}, of which dvc.lock keeps no digest of bytes"
                found.append(stage.document.problem(key, message, "`dvc import-url` or `dvc import` take it in"))
                continue
            if "://" in path and not path.startswith("file:"):
                continue
            if path.startswith(("/", "~", "file:")):
                message = f"reads {path}, which other machines do not have"
                found.append(stage.document.problem(key, message, "read from inside the repository"))
            elif not (_maker(makers, path) or path in inside or _tracked(path, exists)):
                message = f"{path} is not there, and no stage writes it"
                hint = nearest(path, makers)
                found.append(stage.document.problem(key, message, hint if hint.startswith("did") else ""))
    return found


def _tracked(path: str, exists: Exists) -> bool:
    while path:
        if exists(path) or exists(f"{path}.dvc"):
            return True
        path = path.rpartition("/")[0]
        if not exists(f"{path}.dvc"):
            return False
    return False


def params_there(pipeline: Pipeline, values: Callable[[str], Mapping[str, Any] | None]) -> list[Problem]:
    """Params of stages exist in their files; ``values`` is None for files that cannot be read here."""
    return [
        problem
        for stage in pipeline.stages.values()
        for param in stage.params
        if param.name is not None and (known := values(param.file)) is not None
        for problem in param_known(stage.document, param.key, param.file, param.name, known)
    ]


def lock_matches(locks: Mapping[str, Locked], pipeline: Pipeline) -> list[Problem]:
    """Outputs in dvc.lock lie inside the folder. Entries of stages that are gone do nothing: DVC does not read them."""
    found: list[Problem] = []
    for name, locked in locks.items():
        wdir = pipeline.stages[name].wdir if name in pipeline.stages else locked.folder
        for kind, items in (("deps", locked.entry.deps), ("outs", locked.entry.outs)):
            for number, item in enumerate(items):
                key = (*locked.key, kind, number)
                found += _lock_item(locked.document, key, item, wdir=wdir, is_out=kind == "outs")
    return found


def lock_is_current(locks: Mapping[str, Locked], pipeline: Pipeline) -> list[Problem]:
    """Cautions: entries of stages that dvc.yaml no longer has."""
    return [
        locked.document.problem(locked.key, f"dvc.yaml has no stage {name!r}", "`gitml train` removes the entry")
        for name, locked in locks.items()
        if name not in pipeline.stages
    ]


def _lock_item(document: Document, key: Key, item: LockItem, *, wdir: str, is_out: bool) -> Iterator[Problem]:
    # Paths are relative to the stage's folder: an output may climb as far as that folder is deep.
    climbs = item.path.count("../") > len([p for p in wdir.split("/") if p])
    if is_out and (climbs or (_outside(item.path) and not item.path.startswith("../"))):
        yield document.problem(key, f"{item.path!r} lies outside the folder of dvc.yaml", "do not pull or check it out")
    digest = (item.md5 or "").removesuffix(".dir")
    if item.md5 is not None and not (len(digest) == 32 and all(c in "0123456789abcdef" for c in digest)):
        yield document.problem(key, f"{item.md5!r} is no MD5 digest", "run the stage again: gitml train")
