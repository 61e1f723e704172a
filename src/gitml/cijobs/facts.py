"""The facts of one push for its report: what became of each model, and against what it is held."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.cijobs.shift import with_shifts
from gitml.derivation.handover import StageRun
from gitml.dvc.repository import Dvc
from gitml.errors import GitmlError, SpecError
from gitml.git.commands import Git
from gitml.git.tree import WorkTree
from gitml.registry import Record, deployed, record_in, versions
from gitml.registry.difference import DiffLine as Differs
from gitml.registry.record import File
from gitml.reports import facts
from gitml.reports.holdoutfacts import ReportedHoldOut
from gitml.reports.importancefacts import parse_importance
from gitml.reports.rowfacts import ComparisonRole, Row
from gitml.spec import Application
from gitml.spec.root import POLICY
from gitml.training.compare import metric_differences
from gitml.training.diff import Diff, diff_records

_MOST_COMMITS = 250


@dataclass(frozen=True)
class JudgedModel:
    """What became of one model. ``record`` is its version, in the tree or about to be; ``jobs`` names each stage's.

    ``replaces`` is a version of the same lineage whose artifact is lost. ``holdout``: how it did on the same rows
    as the version that runs.
    """

    name: str
    outcome: facts.Outcome
    record: Record | None
    runs: tuple[StageRun, ...]
    jobs: Mapping[str, str]
    reason: str = ""
    notes: tuple[str, ...] = ()
    replaces: str = ""
    holdout: ReportedHoldOut | None = None


@dataclass(frozen=True)
class Scene:
    """Where the facts are looked up. ``base`` is the commit that the push is compared with, ``onto`` its branch."""

    root: Path
    application: Application
    git: Git
    dvc: Dvc
    base: str | None
    onto: str


def model_facts(scene: Scene, judged: JudgedModel) -> facts.ReportedModel:
    """All that the report says of one model, but for its charts."""
    stages = tuple(_stage(run, judged.jobs.get(run.stage, "")) for run in judged.runs)
    seconds = sum(run.seconds for run in judged.runs if run.how in ("ran", "failed"))
    start = facts.ReportedModel(
        judged.name, judged.outcome, judged.reason, seconds=seconds, stages=stages, notes=judged.notes
    )
    record = judged.record
    if record is None:
        return start
    base = base_record(scene, judged.name)
    differs = diff_records(scene.root, scene.git, scene.dvc, base, record) if base and base != record else None
    return facts.ReportedModel(
        name=judged.name,
        outcome=judged.outcome,
        reason=judged.reason,
        version=record.version,
        origin=record.origin,
        seconds=seconds,
        stages=stages,
        metrics=tuple(_metrics(scene, record)),
        comparisons=tuple(_comparisons(scene, record, base, differs)),
        slices=tuple(_slices(scene, record, base)),
        importance=parse_importance(_of_role(scene, record)),
        importance_before=parse_importance(_of_role(scene, base, is_old=True)) if base and base != record else None,
        holdout=judged.holdout if base is None or base.digest != record.digest else None,
        data=tuple(_tables(differs, record, scene.onto)) if differs else (),
        params=_changes(differs.params) if differs else (),
        code=_changes((*differs.code, *differs.stages)) if differs else (),
        packages=_changes(differs.packages) if differs else (),
        signature=_changes(differs.signature) if differs else (),
        reproduce=_reproduce(scene, judged.name),
        notes=judged.notes,
    )


def _stage(run: StageRun, job: str) -> facts.ReportedStage:
    how = facts.ReportedHow(run.how) if run.how != "stale" else facts.ReportedHow.NOT_REACHED
    return facts.ReportedStage(run.stage, how, max(0.0, run.seconds), run.why, run.log_tail, job)


def base_record(scene: Scene, model: str) -> Record | None:
    """The newest version that the base commit has."""
    if scene.base is None:
        return None
    tree = scene.git.at(scene.base)
    for version in reversed(versions(tree, model)):
        with suppress(SpecError):  # `gitml check` says what is wrong with it
            return record_in(tree, model, version)
    return None


def _metrics(scene: Scene, record: Record) -> Iterator[facts.ReportedMetric]:
    better = scene.application.models[record.model].better
    names = [*(n for n in better if n in record.metrics), *sorted(set(record.metrics) - set(better))]
    for name in names:
        metric = record.metrics[name]
        yield facts.ReportedMetric(name, metric.value, metric.low, metric.high, better.get(name))


def _comparisons(
    scene: Scene, record: Record, base: Record | None, differs: Diff | None
) -> Iterator[facts.ReportedComparison]:
    role = ComparisonRole.BASE
    if base is None:
        yield facts.ReportedComparison(role, scene.onto, why=f"{scene.onto} has no version of {record.model}")
    elif differs is None:
        yield facts.ReportedComparison(role, scene.onto, base.version, why=f"it is the version that {scene.onto} has")
    else:
        yield facts.ReportedComparison(role, scene.onto, base.version, tuple(Row.of(d) for d in differs.metrics))
    for environment, version in _champions(scene, record.model):
        yield _with_champion(scene, record, environment, version)


def _champions(scene: Scene, model: str) -> Iterator[tuple[str, str]]:
    """Environment → version of its champion, in the order that the base branch's policy gives."""
    try:
        found = {p.environment: p.version for p in deployed(WorkTree(scene.root), model) if p.role == "champion"}
    except SpecError:
        return  # `gitml check` says what is wrong with the file
    raw = scene.git.read_file(scene.base, POLICY) if scene.base and found else None
    order = _environments(raw) if raw else []
    yield from ((name, found[name]) for name in sorted(found, key=lambda n: (n not in order, n)))


def _environments(policy: bytes) -> list[str]:
    # All gates come with it.
    from gitml.spec import parse_policy

    try:
        return list(parse_policy(policy).environments)
    except SpecError:
        return []


def _with_champion(scene: Scene, record: Record, environment: str, version: str) -> facts.ReportedComparison:
    role = ComparisonRole.ENVIRONMENT
    if version == record.version:
        return facts.ReportedComparison(role, environment, version, why=f"it is what {environment} runs")
    try:
        other = record_in(WorkTree(scene.root), record.model, version)
    except SpecError:
        return facts.ReportedComparison(role, environment, version, why="its record cannot be read here")
    rows = metric_differences(scene.root, scene.git, scene.dvc, record, other)
    return facts.ReportedComparison(role, environment, version, tuple(Row.of(d) for d in rows))


def _slices(scene: Scene, record: Record, base: Record | None) -> Iterator[facts.ReportedSlice]:
    path = record.roles.get("slices")
    if path is None:
        return
    old = _entries(_of_record(scene, base, path)) if base and base != record else {}
    for (column, value), entry in _entries(_read(scene.root / path)).items():
        before = _numbers(old.get((column, value), {}).get("metrics"))
        metrics = tuple(
            facts.SliceMetric(name, *bounds, old=before[name][0] if name in before else None)
            for name, bounds in _numbers(entry.get("metrics")).items()
        )
        rows = entry.get("rows")
        yield facts.ReportedSlice(column, value, rows if isinstance(rows, int) and rows >= 0 else 0, metrics)


def _of_role(scene: Scene, record: Record, *, is_old: bool = False) -> bytes | None:
    """What the record says of the inputs' importance."""
    path = record.roles.get("importance")
    if path is None:
        return None
    return _of_record(scene, record, path) if is_old else _read(scene.root / path)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _of_record(scene: Scene, record: Record, path: str) -> bytes | None:
    brought = scene.git.commit_that_added(f"models/{record.model}/versions/{record.version}.json", scene.base or "HEAD")
    return scene.git.read_file(brought, path) if brought else None


def _entries(raw: bytes | None) -> dict[tuple[str, str], dict[str, Any]]:
    try:
        data = json.loads(raw) if raw else []
    except (ValueError, RecursionError):
        return {}
    rows = [e for e in data if isinstance(e, dict)] if isinstance(data, list) else []
    return {(str(e.get("column")), str(e.get("value"))): e for e in rows}


def _numbers(metrics: Any) -> dict[str, tuple[float | None, float | None, float | None]]:
    """``{"auc": 0.7}`` or ``{"auc": {"value": 0.7, "low": …, "high": …}}``."""
    found = {}
    for name, value in metrics.items() if isinstance(metrics, dict) else ():
        parts = value if isinstance(value, dict) else {"value": value}
        found[str(name)] = (_number(parts.get("value")), _number(parts.get("low")), _number(parts.get("high")))
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _tables(differs: Diff, record: Record, onto: str) -> Iterator[facts.Table]:
    """Every data set that changed, as the two records describe it: nothing is fetched for that."""
    inputs = {str(column["name"]) for column in (record.signature or {}).get("inputs", ())}
    for change in differs.data:
        old, new = differs.old.files.get(change.name), record.files.get(change.name)
        before, after = _missing(old), _missing(new)
        known = old is not None and old.missing is not None and new is not None and new.missing is not None
        table = facts.Table(
            path=change.name,
            old_rows=old.rows if old else None,
            new_rows=new.rows if new else None,
            added=tuple(sorted(set(after) - set(before))) if known else (),
            removed=tuple(sorted(set(before) - set(after))) if known else (),
            missing=tuple(_shifts(before, after)),
            # A column of 0 and 1 that the model does not take is what it is to tell.
            labels=tuple(_shifts(old.ones if old else None, new.ones if new else None, without=inputs)),
            old_digest=old.sha256 if old else "",
            new_digest=new.sha256 if new else "",
        )
        yield with_shifts(table, old, new, onto)


def _shifts(
    old: Mapping[str, float] | None, new: Mapping[str, float] | None, without: Set[str] = frozenset()
) -> Iterator[facts.ReportedShift]:
    """Shares by column that differ, of columns that both have."""
    before, after = old or {}, new or {}
    for column in sorted((set(before) & set(after)) - without):
        if before[column] != after[column]:
            yield facts.ReportedShift(column, before[column], after[column])


def _missing(file: File | None) -> Mapping[str, float]:
    return (file.missing if file else None) or {}


def _changes(found: Sequence[Differs]) -> tuple[facts.ReportedChange, ...]:
    return tuple(facts.ReportedChange(c.name, c.old, c.new) for c in found)


def _reproduce(scene: Scene, model: str) -> str:
    return f"git checkout {(scene.git.resolve('HEAD') or '')[:12]} && gitml train {model}"


def commits_of(scene: Scene) -> tuple[facts.ReportedCommit, ...]:
    """The commits of the push that its base does not have, newest first."""
    if scene.base is None:
        return ()
    try:
        text = scene.git.text(
            "log", "-z", f"--max-count={_MOST_COMMITS}", "--format=%H%n%an%n%s", f"{scene.base}..HEAD", "--"
        )
    except GitmlError:
        return ()
    parts = (entry.split("\n", 2) for entry in text.split("\0") if entry)
    return tuple(facts.ReportedCommit(p[0], p[2], p[1]) for p in parts if len(p) == 3)
