"""``gitml check``: every file of the application, and what they say of one another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gitml.errors import GitmlError, Problem, SpecError
from gitml.pipelines import clone, packages
from gitml.project.detectors import detector_problems
from gitml.project.needed import needs_problems
from gitml.project.people import people_in_git, people_problems
from gitml.project.reasons import reasons_problems
from gitml.project.render import Did, workflows
from gitml.registry import Record
from gitml.registry.locked import other_bytes
from gitml.registry.store import Found, check_records, find, read_record
from gitml.spec import crosscheck, knownnames, modelgraph, policycheck, yaml11
from gitml.spec.application import Application
from gitml.spec.cardcheck import cards_told
from gitml.spec.dag import cycle_problems
from gitml.spec.deployment import Deployment
from gitml.spec.describing import DESCRIBING, problems_in
from gitml.spec.dvcconfig import DVC_CONFIG, config_problems
from gitml.spec.dvcfiles import Pipeline, load_locks, read_pipeline, values_of
from gitml.spec.dvcplaces import DVC_FILE, pipeline_files
from gitml.spec.ensemble import Ensemble
from gitml.spec.policy import POLICY, Policy, check_policy
from gitml.spec.root import APPLICATION
from gitml.spec.templatevars import PARAMS_FILE
from gitml.spec.unportable import counted_bytecode, kept_outputs, places_elsewhere, unportable_problems
from gitml.spec.validate import build, nearest
from gitml.spec.yamlfile import MAX_BYTES, Document, read

T = TypeVar("T")
P = ParamSpec("P")

_RECORDS_SEARCHED = 50
_SHOWN = 5
_READABLE = (".yaml", ".yml", ".json", ".toml")


@dataclass(frozen=True)
class CheckReport:
    """What was looked at, by name and number, and what was found, sorted by file and line.

    ``cautions`` stop nothing: they say what is not as it looks.
    """

    counts: Mapping[str, int]
    problems: tuple[Problem, ...]
    cautions: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Deployed:
    model: str
    environment: str
    state: Deployment
    document: Document


@dataclass
class _Files:
    """What could be read; a file that is wrong stays None and the checks that need it are left out."""

    root: Path
    problems: list[Problem] = field(default_factory=list)
    cautions: list[Problem] = field(default_factory=list)
    app: tuple[Application, Document] | None = None
    policy: tuple[Policy, Document] | None = None
    pipeline: Pipeline | None = None
    deployments: list[_Deployed] = field(default_factory=list)
    params: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)

    def attempt(self, load: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What ``load`` returns, or None with its problems noted."""
        try:
            return load(*args, **kwargs)
        except SpecError as exc:
            self.problems += exc.problems
        return None

    def exists(self, path: str) -> bool:
        return os.path.exists(self.root / path)  # False, where pathlib raises, for names no file can have

    def values(self, file: str) -> Mapping[str, Any] | None:
        """Values of a params file, read once; None, with its problems noted, when it cannot be read."""
        if file not in self.params:
            self.params[file] = self.attempt(values_of, self.root, file) if file.endswith(_READABLE) else None
        return self.params[file]

    def values_for_templates(self, file: str) -> Mapping[str, Any]:
        """The same for ``vars`` of dvc.yaml, which says itself where it names a file that cannot be read."""
        if Path(file).name == PARAMS_FILE and self.exists(file):
            return self.values(file) or {}
        return values_of(self.root, file)


def check(root: Path) -> CheckReport:
    """Everything that can be known about the files at ``root`` without running anything."""
    files = _Files(root)
    _read_application(files)
    _read_policy(files)
    _read_pipeline(files)
    _read_deployments(files)
    _across(files)
    _lock(files)
    _dvc_config(files)
    files.problems += clone.sparse_problems(root)
    _workflows(files)
    if files.app:
        files.problems += check_records(root, list(files.app[0].models))
    return CheckReport(_counts(files), *(tuple(sorted(set(found))) for found in (files.problems, files.cautions)))


def _workflows(files: _Files) -> None:
    """Cautions: workflows that were rendered from another gitml.yaml. Without any there is nothing to be stale."""
    if files.problems or not any((folder / ".git").exists() for folder in (files.root, *files.root.parents)):
        return
    with suppress(GitmlError):
        found = workflows(files.root)
        if any(file.found is not None and not file.path.endswith("CODEOWNERS") for file in found):
            stale = [file.path for file in found if file.change is not Did.SAME]
            more = f", nor are {len(stale) - 1} others" if stale[1:] else ""
            told, hint = f"is not what gitml.yaml asks for{more}", "run `gitml ci render`, and commit what it writes"
            files.cautions += [Problem(path, 0, "", told, hint) for path in stale[:1]]


def _counts(files: _Files) -> dict[str, int]:
    return {
        "models": len(files.app[0].models) if files.app else 0,
        "stages": len(files.pipeline.stages) if files.pipeline else 0,
        "environments": len(files.policy[0].environments) if files.policy else 0,
        "deployments": len(files.deployments),
    }


def _read_application(files: _Files) -> None:
    document = files.attempt(read, files.root / APPLICATION, APPLICATION)
    app = files.attempt(build, Application, document) if document else None
    if document and app:
        files.app = (app, document)


def _read_policy(files: _Files) -> None:
    if not (files.root / POLICY).exists():
        return  # an application that only trains has no policy yet
    document = files.attempt(read, files.root / POLICY, POLICY)
    if document and (policy := files.attempt(build, Policy, document)):
        files.policy = (policy, document)
        files.problems += check_policy(policy, document)


def _read_pipeline(files: _Files) -> None:
    if files.exists(PARAMS_FILE):
        files.values(PARAMS_FILE)
    if not pipeline_files(files.root):
        if files.app and any(m.origin == "pipeline" for m in files.app[0].models.values()):
            hint = "describe the stages that make the models, or write 'origin: external' for bought ones"
            files.problems.append(Problem(DVC_FILE, 0, "", "the file is missing", hint))
        return
    result = files.attempt(read_pipeline, files.root, files.values_for_templates)
    if result:
        pipeline, problems = result
        files.problems += problems
        files.pipeline = pipeline if not problems else None


def _read_deployments(files: _Files) -> None:
    for path in sorted((files.root / "models").glob("*/*.y*ml")):
        name = path.relative_to(files.root).as_posix()
        if path.is_symlink() or path.parent.is_symlink():
            files.problems.append(Problem(name, 0, "", "is a symbolic link", "keep the file itself here"))
        elif path.suffix != ".yaml":
            files.problems.append(Problem(name, 0, "", "nothing reads this file", f"name it {path.stem}.yaml"))
        else:
            document = files.attempt(read, path, name)
            state = files.attempt(build, Deployment, document) if document else None
            if document and state:
                files.deployments.append(_Deployed(path.parent.name, path.stem, state, document))


def _across(files: _Files) -> None:
    """Checks that need two files; each runs only on what could be read."""
    found = files.problems
    if files.pipeline:
        found += crosscheck.outputs_apart(files.pipeline)
        found += crosscheck.inputs_there(files.pipeline, files.exists)
        found += crosscheck.params_there(files.pipeline, files.values)
        found += cycle_problems(files.pipeline)
        found += unportable_problems(files.root, files.pipeline)
        files.cautions += [*kept_outputs(files.pipeline), *places_elsewhere(files.pipeline)]
        files.cautions += counted_bytecode(files.root, files.pipeline)
        files.cautions += [*clone.cautions(files.root, files.pipeline), *yaml11.ambiguous_params(files.root)]
    if not files.app:
        return
    app, document = files.app
    found += knownnames.hardware_known(app, document)
    found += crosscheck.paths_distinct(app, document)
    found += knownnames.monitors_known(app, document)
    found += needs_problems(files.root, app, document)
    found += knownnames.retrained_known(app, document, files.values)
    found += knownnames.kpis_known(app, document)
    found += knownnames.exports_known(app, document)
    found += [*crosscheck.packages_there(app, document, files.exists), *packages.unpinned(files.root, app)]
    found += reasons_problems(files.root, app, document)
    files.cautions += [*cards_told(app, document), *(people_in_git(app, files.pipeline) if files.pipeline else ())]
    found += people_problems(files.root, app, document, partial(_is_output, files))
    found += detector_problems(files.root, app, document, partial(_is_output, files))
    if files.pipeline:
        found += crosscheck.stages_known(app, document, files.pipeline)
        found += crosscheck.outputs_made(app, document, files.pipeline)
        found += crosscheck.holdouts_made(app, document, files.pipeline)
        found += crosscheck.outputs_cached(app, files.pipeline)
        found += modelgraph.needed_files_made(app, document, files.pipeline)
        found += crosscheck.packages_followed(app, files.pipeline)
    if files.policy:
        found += policycheck.models_known(*files.policy, app)
        found += policycheck.goals_known(*files.policy, app)
        found += knownnames.kpi_environments_known(app, document, files.policy[0].environments)
        found += policycheck.sites_known(files.policy[0], app)
        found += policycheck.gates_can_pass(*files.policy, app, _measured(files.root, app))
    _described(files, app)
    _deployed(files, app)
    _ensembles(files, app)


def _described(files: _Files, app: Application) -> None:
    """The files by which the last runs describe their models, as far as they are here."""
    for model in app.models.values():
        for role in DESCRIBING:
            path = model.outputs.get(role)
            raw = _content(files.root / path) if path else None
            if path and raw is not None:
                files.problems += problems_in(role, raw, path)[:_SHOWN]


def _is_output(files: _Files, path: str) -> bool:
    outputs = files.pipeline.producers if files.pipeline else {}
    return files.exists(f"{path}.dvc") or any(path == out or path.startswith(f"{out}/") for out in outputs)


def _measured(root: Path, app: Application) -> dict[str, policycheck.Measured]:
    """What the files of the last runs hold; one that cannot be read is for the training run to mend."""
    found = {}
    for name, model in app.models.items():
        metrics = _json(root / model.metrics)
        slices = _json(root / model.slices) if model.slices else None
        columns: dict[str, set[str]] = {}
        for entry in slices if isinstance(slices, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("metrics"), dict):
                columns.setdefault(str(entry.get("column")), set()).update(entry["metrics"])
        found[name] = policycheck.Measured(
            frozenset(metrics) if isinstance(metrics, dict) else frozenset(),
            {column: frozenset(names) for column, names in columns.items()},
        )
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(_content(path) or b"null")
    except (ValueError, RecursionError):
        return None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and path.stat().st_size <= MAX_BYTES else None
    except OSError:
        return None


def _deployed(files: _Files, app: Application) -> None:
    environments = files.policy[0].environments if files.policy else None
    for place in files.deployments:
        found, document = files.problems, place.document
        if place.model not in app.models:
            found.append(
                document.problem((), f"gitml.yaml has no model {place.model!r}", nearest(place.model, app.models))
            )
            continue
        if environments is not None and place.environment not in environments:
            message = f"policy.yaml has no environment {place.environment!r}"
            found.append(document.problem((), message, nearest(place.environment, environments)))
        digests = _digests(files.root, place.model)
        found += policycheck.pins_known(place.state, document, model=place.model, digests=digests)


def _ensembles(files: _Files, app: Application) -> None:
    """Ensembles whose file is here, as a stage left it or Git keeps it."""
    for model in app.models.values():
        if model.format != "ensemble" or not files.exists(model.artifact):
            continue
        document = files.attempt(read, files.root / model.artifact, model.artifact)
        wanted = files.attempt(build, Ensemble, document) if document else None
        if document and wanted:
            files.problems += policycheck.members_known(wanted, document, app, lambda name: _digests(files.root, name))


def _digests(root: Path, model: str) -> dict[str, str | None]:
    return {f.version: _artifact_digest(f) for f in find(root, model)}


def _artifact_digest(found: Found) -> str | None:
    """SHA-256 of the artifact, or None for a record that is damaged: check_records says how."""
    try:
        record = read_record(found)
    except SpecError:
        return None
    return record.files[record.artifact].sha256


def _lock(files: _Files) -> None:
    locks = files.attempt(load_locks, files.root) if files.pipeline else None
    if files.pipeline and locks:
        files.problems += crosscheck.lock_matches(locks, files.pipeline)
        files.cautions += crosscheck.lock_is_current(locks, files.pipeline)
        for model in files.app[0].models if files.app else ():
            files.problems += other_bytes(locks, files.pipeline, _newest(files.root, model))


def _newest(root: Path, model: str) -> list[Record]:
    """The records that the lock may be of; check_records says what is wrong with others."""
    found = []
    for place in find(root, model)[-_RECORDS_SEARCHED:]:
        with suppress(SpecError):
            found.append(read_record(place))
    return found


def _dvc_config(files: _Files) -> None:
    try:
        content = (files.root / DVC_CONFIG).read_bytes()
    except FileNotFoundError:
        above = next((folder for folder in files.root.parents if (folder / ".dvc").is_dir()), None)
        if above is not None and not files.exists(".dvc"):
            told = f"is missing, and DVC works in {above}, above the application"
            files.problems.append(Problem(DVC_CONFIG, 0, "", told, "run `dvc init --subdir` for one of its own"))
    except OSError as exc:
        files.problems.append(Problem(DVC_CONFIG, 0, "", f"cannot be read: {exc.strerror}"))
    else:
        files.problems += config_problems(content)
