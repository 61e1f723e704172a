"""A model that was just evaluated, and the version that it would replace, on the same rows; for the report alone.

It runs where stages run, without a key: the champion is fetched by its digest, and tried in quarantine before it is
loaded. On the other side of the hand-over these are figures of a job that ran a branch's code, like all of a report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gitml.cijobs.context import Push
from gitml.errors import OutsideError, SpecError
from gitml.pipelines.journal import JournalEntry
from gitml.registry import Record, lineage_digest, record_in, replaced, versions
from gitml.registry.outputs import on_other_rows, parse_replicates
from gitml.registry.record import File
from gitml.registry.store import with_digest
from gitml.reports.holdoutfacts import ReportedHoldOut
from gitml.training.compare import recorded_replicates
from gitml.training.train import Training, record_of, stages_of
from gitml.training.tryout import WorkTreeShelf


def held_of(
    about: Training, push: Push, name: str, runs: Mapping[str, JournalEntry], bring: Callable[[], bool]
) -> ReportedHoldOut | None:
    """None where there is nothing to compare: no other version, one that the base branch has, or rows that did not
    change, on which replicates are paired. ``bring`` fetches what this job did not make."""
    model = about.application.models[name]
    if any(stage not in runs for stage in stages_of(about.dvc, name, model)):
        return None
    entries = {stage: run.entry for stage, run in runs.items()}
    digest = lineage_digest(name, entries)
    if _has(about, push, name, digest) or not (about.root / model.metrics).is_file():
        return None
    # On top of the bot's commit the version has its record already, which is no version before it.
    known = with_digest(about.root, name, digest, entries)
    record = known[1] if known else record_of(about, name, entries, _files(runs))
    chosen = replaced(about.root, record)
    if chosen is None:
        return None
    if not _on_other_rows(about, record, chosen[0]):
        return None
    # Tables and models: a second of imports, and most jobs have nothing to compare.
    from gitml.inference.clone import CloneShelf
    from gitml.inference.holdout import HoldOutCase, compared, opponent_of
    from gitml.inference.watches import floors_of
    from gitml.models.quarantine import Quarantine
    from gitml.registry.load import Loader

    opponent = opponent_of(*chosen)
    if not bring():
        why = "what it was evaluated with is on no remote"
        return ReportedHoldOut(opponent.role, opponent.name, chosen[0].version, why)
    with Quarantine() as quarantine:
        here = Loader(WorkTreeShelf(about.root, record), about.application.models, quarantine=quarantine)
        there = Loader(CloneShelf(about.root), about.application.models, quarantine=quarantine)
        return compared(
            HoldOutCase(
                about.root,
                model,
                record,
                opponent,
                lambda found: here.checked(found).model,
                lambda found: there.checked(found).model,
                about.application.private,
                floors=floors_of(about.application.monitors.of(name)),
            )
        )


def _files(runs: Mapping[str, JournalEntry]) -> dict[str, File]:
    return {path: File(sha256=f.sha256, size=f.size) for run in runs.values() for path, f in run.outputs.items()}


def _has(about: Training, push: Push, name: str, digest: str) -> bool:
    """Whether the branch that it is for has the version already."""
    base = _base(about, push)
    if base is None:
        return False
    tree = about.git.at(base)
    for version in reversed(versions(tree, name)):
        try:
            if record_in(tree, name, version).digest == digest:
                return True
        except SpecError:  # `gitml check` says what is wrong with it
            continue
    return False


def _base(about: Training, push: Push) -> str | None:
    onto = push.base or push.default_branch or about.application.ci.branch
    tip = about.git.resolve(f"refs/remotes/origin/{onto}")
    try:
        return about.git.text("merge-base", "HEAD", tip).strip() if tip else None
    except OutsideError:
        return None


def _on_other_rows(about: Training, new: Record, old: Record) -> bool:
    """Bootstrap replicates name the rows that they were drawn from; without them ``holdout`` tells it."""
    path, theirs = new.roles.get("replicates"), recorded_replicates(about.git, about.dvc, old)
    if path is not None and theirs is not None and (about.root / path).is_file():
        try:
            return parse_replicates((about.root / path).read_bytes(), path).rows_digest != theirs.rows_digest
        except SpecError:
            return True  # the report of the training says what is wrong with it
    return on_other_rows(about.application.models[new.model].holdout, new, old, paired=False)
