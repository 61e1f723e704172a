"""``gitml reproduce``: run a version's lineage again from its commit, and compare with what its record says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gitml.dvc.lockentries import Entry, makers_of
from gitml.dvc.manifest import Fingerprint, fingerprint, verify
from gitml.dvc.safety import refuse_escape
from gitml.dvc.scratch import DataSource, ScratchDvc, forget_dead_worktrees, scratch_folder, source_of
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, OutsideError, UsageError
from gitml.files import copy_file
from gitml.git.commands import Git
from gitml.git.tree import WorkTree
from gitml.pipelines.lock import refuse_without_dvc
from gitml.pipelines.ran import Ran
from gitml.pipelines.run import RunOptions, bring_up_to_date
from gitml.pipelines.venv import StageEnvironment, current_environment, recorded_environment, stages_run_in
from gitml.refs import parse
from gitml.registry import Record, lineage_digest, resolve
from gitml.registry.agreement import Disagreement, input_differences
from gitml.registry.erasures import erasures, remembered
from gitml.spec import load_application
from gitml.training.origin import Origin, Origins, origins
from gitml.training.rerun import Level, RecordedOutputs, Rerun, compare
from gitml.verdict import Phase, Verdict

TOLERANCE = 1e-6


@dataclass(frozen=True)
class ReproduceCall:
    """How ``gitml reproduce`` was called, and who listens meanwhile.

    ``tolerance`` is the absolute difference up to which two numbers count as equal.
    """

    watch: Callable[[str, Path], AbstractContextManager[None]]
    tell: Callable[[Ran], None]
    say: Callable[[str], None]
    tolerance: float = TOLERANCE
    environment: Literal["recorded", "current"] = "recorded"
    keep: bool = False


@dataclass(frozen=True)
class Reproduction:
    """``kept`` is the scratch folder, where the caller wanted to keep it."""

    record: Record
    verdict: Verdict
    kept: Path | None = None


@dataclass(frozen=True)
class _Work:
    git: Git
    record: Record
    call: ReproduceCall
    source: DataSource
    folder: Path
    origins: Origins


def reproduce(root: Path, reference: str, call: ReproduceCall) -> Reproduction:
    """Nothing in the clone at ``root`` changes. Raises RefError or SpecError when there is no sound record to judge."""
    refuse_without_dvc(root)
    record = resolve(WorkTree(root), parse(reference), list(load_application(root).models))
    git = Git(root)
    try:
        _refuse_the_erased(root, record)
        _refuse_the_hopeless(record, call)
        with scratch_folder(keep=call.keep) as folder:
            forget_dead_worktrees(git)
            places = origins(git, record)
            work = _Work(git, record, call, source_of(root), folder, places)
            return Reproduction(record, _attempt(work), folder if call.keep else None)
    except InconclusiveError as exc:
        return Reproduction(record, _inconclusive(exc))


def _inconclusive(exc: GitmlError, before: str = "") -> Verdict:
    return Verdict(Phase.INCONCLUSIVE, before + exc.message + (f"; {exc.hint}" if exc.hint else ""))


def _refuse_the_erased(root: Path, record: Record) -> None:
    """Its data are gone because somebody asked for it: without them nothing can be judged."""
    found = remembered(erasures(WorkTree(root)), record)
    if found:
        names = ", ".join(f"{one.request} of {one.filed[:10]}" for one in found)
        raise InconclusiveError(
            f"the data of {record.reference} were erased under request {names}",
            f"erasures/{found[0].request}.json says which; retrain it, and reproduce the new version",
        )


def _refuse_the_hopeless(record: Record, call: ReproduceCall) -> None:
    if record.origin == "external":
        raise InconclusiveError(f"{record.reference} was made elsewhere ({record.source}): it has no stages to run")
    if "metrics" not in record.roles:
        raise InconclusiveError(f"the record of {record.reference} names no file of metrics to compare")
    if record.packages is None and call.environment == "recorded":
        raise InconclusiveError(
            f"{record.reference} does not say which packages it was trained with",
            "name a lock file under `packages` in gitml.yaml, or use --environment current",
        )


def _attempt(work: _Work) -> Verdict:
    """The first commit that gives the record's lineage is run; if none does, the best one says why not."""
    refusals: list[Verdict] = []
    for number, origin in enumerate(work.origins.candidates):
        tree = work.folder / f"{work.folder.name}-{number}"
        with work.git.worktree(origin.commit, tree, keep=work.call.keep) as place, ExitStack() as stack:
            try:
                dvc = stack.enter_context(ScratchDvc(place, work.folder, work.source))
                refusal = _why_not(work, origin, dvc)
            except (InconclusiveError, OutsideError, UsageError) as exc:
                refusal = _inconclusive(exc, f"{origin.commit[:10]}, {origin.why}, cannot be run: ")
            if refusal is None:
                return _run_or_say_why(work, origin, dvc)
            refusals.append(refusal)
    return refusals[0]


def _run_or_say_why(work: _Work, origin: Origin, dvc: ScratchDvc) -> Verdict:
    """The commit is the right one: if it cannot be judged, another would not be better."""
    try:
        return _rerun(work, origin, dvc)
    except (InconclusiveError, IntegrityError) as exc:
        return _inconclusive(exc)


def _stages(record: Record, dvc: ScratchDvc) -> tuple[str, ...]:
    producers = dvc.producers()
    outputs = [record.artifact, *record.roles.values()]
    strange = next((path for path in outputs if path not in producers), None)
    if strange is not None:
        raise InconclusiveError(f"no stage makes {strange}, which the record names")
    return dvc.lineage(list(dict.fromkeys(producers[path] for path in outputs)))


def _why_not(work: _Work, origin: Origin, dvc: ScratchDvc) -> Verdict | None:
    """Compared before anything runs: an hour of training would only confirm it."""
    record, names = work.record, _stages(work.record, dvc)
    frozen = sorted(dvc.frozen() & set(names))
    if frozen:
        raise InconclusiveError(f"stage {frozen[0]} is frozen in dvc.yaml: DVC never runs it")
    found = {name: _assumed(record, name, _before(dvc, name)) for name in names}
    if lineage_digest(record.model, found) == record.digest:
        return None
    first = next(input_differences(record.entries(), found), Disagreement("lineage", record.digest, "another"))
    return _refusal(work, origin, first)


def _before(dvc: ScratchDvc, name: str) -> Entry:
    entry = dvc.entry(name) if name in dvc.sources() else dvc.inputs_from_outside(name)
    if entry is None:
        raise InconclusiveError(f"{name} does not say which data it brought in")
    return entry


def _assumed(record: Record, name: str, entry: Entry) -> Entry:
    """What other stages make is not there yet: where its bytes count, they are looked at after the run."""
    recorded = record.entries().get(name)
    known = {c.path: c.digest for c in recorded.deps} if recorded else {}
    return replace(entry, deps=tuple(replace(c, digest=c.digest or known.get(c.path, "")) for c in entry.deps))


def _refusal(work: _Work, origin: Origin, first: Disagreement) -> Verdict:
    record, short = work.record, origin.commit[:10]
    facts = {"commit": origin.commit, "differs": first.what}
    if origin.cut:
        return Verdict(
            Phase.INCONCLUSIVE,
            f"this clone is shallow: its history ends at {short}, which is not what the version was trained from "
            f"({first}); run `git fetch --unshallow`",
            facts,
        )
    if first.file in record.dirty:
        return Verdict(
            Phase.INCONCLUSIVE,
            f"it was trained with a {first.file} that was not committed, and {short} has another one ({first})",
            facts,
        )
    gone = record.commit and work.git.resolve(record.commit) is None
    more = f" (the commit that it was trained at, {record.commit[:10]}, is not here)" if gone and record.commit else ""
    reason = f"not reproduced: {first}; at {short}, {origin.why}{more}; nothing was run"
    return Verdict(Phase.FAILED, reason, {"level": Level.NONE.value, **facts})


def _rerun(work: _Work, origin: Origin, dvc: ScratchDvc) -> Verdict:
    record, root = work.record, dvc.root
    names = _stages(record, dvc)
    environment = _environment(work, root)
    for name in names:
        if name in dvc.sources():
            _bring(work, dvc, name)
    commands = [name for name in names if name not in dvc.sources()]
    for name in commands:
        dvc.clear_outputs(name)
    ran = _run(work, dvc, commands, environment)
    entries = {name: ran.get(name) or _before(dvc, name) for name in names}
    if lineage_digest(record.model, entries) != record.digest:
        first = next(input_differences(record.entries(), entries), Disagreement("lineage", record.digest, "another"))
        facts = {"level": Level.NONE.value, "commit": origin.commit, "differs": first.what}
        return Verdict(Phase.FAILED, f"not reproduced: {first}, after the stages ran", facts)
    shelf = RecordedOutputs(record, dvc, work.git, origin.commit, work.folder / "recorded")
    rerun = Rerun(root, entries, _fingerprints(root, entries), environment, shelf)
    found = compare(record, rerun, work.call.tolerance)
    if found.phase is Phase.SUCCESSFUL and found.measurements["level"] != Level.BYTES:
        found = _with_its_own_model(work, rerun, found)
    return _told(work, origin, environment, _with_what_stays(found, dvc.keeping(commands)))


def _with_what_stays(found: Verdict, kept: tuple[str, ...]) -> Verdict:
    """What a stage keeps from run to run is in no record: with it missing here, another result proves nothing."""
    if found.phase is not Phase.FAILED or not kept:
        return found
    told = f"{kept[0]} stays from run to run (persist), and here it started from nothing: {found.reason}"
    return replace(found, phase=Phase.INCONCLUSIVE, reason=told)


def _with_its_own_model(work: _Work, rerun: Rerun, found: Verdict) -> Verdict:
    """Other bytes may be another model: the recorded one must give the recorded numbers too."""
    record, shelf = work.record, rerun.shelf
    maker = next((n for n, e in rerun.entries.items() if record.artifact in {c.path for c in e.outs}), None)
    if maker is None or record.artifact not in {str(f) for f in _listed(found, "differing_files")}:
        return found
    try:
        kept = {out.path: shelf.get(out.path) for out in rerun.entries[maker].outs}
    except InconclusiveError as exc:
        return replace(found, reason=f"{found.reason}; the recorded model itself was not evaluated: {exc.message}")
    work.call.say("  the model has other bytes: evaluating the recorded one too")
    shelf.dvc.clear_outputs(maker)
    for path, copy in kept.items():
        (shutil.copytree if copy.is_dir() else copy_file)(copy, rerun.root / path)
    ran = _run(work, shelf.dvc, _after(maker, rerun.entries), rerun.environment)
    entries = {**rerun.entries, **ran, maker: record.entries()[maker]}
    again = compare(
        record, replace(rerun, entries=entries, files=_fingerprints(rerun.root, entries)), work.call.tolerance
    )
    if again.phase is not Phase.SUCCESSFUL:
        reason = again.reason.replace(Level.NONE, f"{Level.NONE}, because the recorded model gives other numbers", 1)
        return replace(again, reason=reason)
    return replace(
        found, reason=f"{found.reason}; so does the recorded model, evaluated again: {again.measurements['level']}"
    )


def _listed(verdict: Verdict, name: str) -> list[object]:
    value = verdict.measurements.get(name)
    return value if isinstance(value, list) else []


def _after(maker: str, stages: Mapping[str, Entry]) -> list[str]:
    """The stages that build on what ``maker`` makes, in order."""
    makers = {out.path: name for name, entry in stages.items() for out in entry.outs}
    reached = {maker}
    for name, entry in stages.items():
        if any(reached & set(makers_of(dep.path, makers)) for dep in entry.deps):
            reached.add(name)
    return [name for name in stages if name in reached and name != maker]


def _environment(work: _Work, root: Path) -> StageEnvironment:
    packages = work.record.packages
    if work.call.environment == "current" or packages is None:
        return current_environment()
    refuse_escape(packages.path, "the record")
    try:
        found = fingerprint(root / packages.path)
    except FileNotFoundError:
        raise InconclusiveError(f"the commit does not have {packages.path}, the record's locked packages") from None
    if found.sha256 != packages.sha256:
        raise InconclusiveError(
            f"{packages.path} in the commit has SHA-256 {found.sha256}, the record says {packages.sha256}",
            "these are not the packages that it was trained with",
        )
    return recorded_environment(root, packages.path, packages.python, work.call.watch)


def _bring(work: _Work, dvc: ScratchDvc, name: str) -> None:
    entry = _before(dvc, name)
    expected = {
        out.path: Fingerprint(file.sha256, file.size)
        for out in entry.outs
        if (file := work.record.files.get(out.path)) is not None
    }
    try:
        if not dvc.bring(name):
            raise InconclusiveError(f"the data of {name} are neither in DVC's cache nor on a remote", "run `dvc pull`")
        verify(dvc.root, expected)
    except IntegrityError as exc:
        raise InconclusiveError(exc.message, exc.hint) from exc


def _run(work: _Work, dvc: ScratchDvc, names: Sequence[str], environment: StageEnvironment) -> dict[str, Entry]:
    """Every stage, in order, believing nothing that ran before. A stage that fails here proves nothing."""
    call = work.call
    options = RunOptions(
        believed=lambda _: None,
        covering=lambda _: (),
        log=work.folder / "logs",
        ready=dvc.check_graph,
        watch=call.watch,
        tell=call.tell,
        force=True,
        run_cache=False,
    )
    try:
        with stages_run_in(environment, isolated=call.environment == "recorded"):
            return {ran.stage: ran.entry for ran in bring_up_to_date(dvc, names, options)}
    except FailedError as exc:
        raise InconclusiveError(exc.message) from exc


def _fingerprints(root: Path, entries: dict[str, Entry]) -> dict[str, Fingerprint]:
    outs = (out.path for entry in entries.values() for out in entry.outs)
    return {path: fingerprint(root / path) for path in outs if "://" not in path}


def _told(work: _Work, origin: Origin, environment: StageEnvironment, found: Verdict) -> Verdict:
    """The comparison's verdict with all that a reader must know about how it came about."""
    record, edited = work.record, work.origins.edited
    phase, remarks = found.phase, [f"at {origin.commit[:10]}, {origin.why}"]
    if edited:
        phase = Phase.FAILED
        remarks.append(f"the record was edited since a commit brought it in: {edited.what} was {edited.found}")
    if work.call.environment == "current":
        remarks.append(f"in this environment (Python {environment.version}), not in the recorded one")
    if environment.unlocked:
        remarks.append(f"with packages that the lock does not name: {', '.join(environment.unlocked[:5])}")
    if record.dirty:
        remarks.append(f"although it was trained with uncommitted changes: {', '.join(record.dirty[:3])}")
    facts = {
        **found.measurements,
        "commit": origin.commit,
        "environment": work.call.environment,
        "python": environment.version,
        "recorded_python": record.packages.python if record.packages else None,
        "unlocked_packages": list(environment.unlocked),
        "dirty": list(record.dirty),
    }
    return Verdict(phase, "; ".join([found.reason, *remarks]), facts)
