"""``gitml holdout``: a new version and the one that runs answer the same held-out rows.

Two versions that were judged on different rows cannot be compared by their metrics: a month with fewer storms makes
every model better. So both answer the new hold-out, the old one, and what was asked lately, and the difference is taken
row by row. Whatever keeps them from that is a reason to call neither better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitml.errors import GitmlError, InconclusiveError, UsageError
from gitml.fields import WrongValueError, parse_until
from gitml.git.tree import WorkTree
from gitml.inference.candidate import threshold_of
from gitml.inference.clone import CloneShelf, loader
from gitml.inference.heldrows import HeldRows, first_line, read_held, why_unread
from gitml.inference.likeness import like_traffic
from gitml.inference.samerows import AnsweredRows, MetricRules, calibration, flips, metric_rows, slice_rows
from gitml.inference.watches import floors_of
from gitml.inference.windowchange import window_change
from gitml.models.model import Predictor
from gitml.models.quarantine import Quarantine
from gitml.monitoring.drift.scan import Floors
from gitml.refs import parse as parse_reference
from gitml.registry import Record, deployment_in, replaced, resolve
from gitml.registry.load import Loader
from gitml.reports.facts import Outcome, ReportedModel
from gitml.reports.holdoutfacts import LikeTraffic, ReportedHoldOut, RowSet, SameRows, SliceRow, WindowChange
from gitml.reports.rowfacts import ComparisonRole
from gitml.spec import load_application
from gitml.spec.application import Model
from gitml.spec.holdout import DecisionCost, HoldOut
from gitml.stats.fixedsample import FEWEST_UNITS
from gitml.traffic.private import EVERY_COLUMN

_ARRIVED = "traffic_arrived"

Load = Callable[[Record], Predictor]


@dataclass(frozen=True)
class Opponent:
    """The version that a new one is held against. ``role`` and ``name`` say what it is;"""

    role: ComparisonRole
    name: str
    record: Record


@dataclass(frozen=True)
class HoldOutCase:
    """What is compared: ``load_new`` and ``load_old`` bring a record's model. ``private`` columns are told no values
    of. ``only``: just these rows, for what judges the two versions themselves; so refits of their trainings widen no
    interval. ``floors``: distances of inputs that nobody minds."""

    root: Path
    model: Model
    new: Record
    opponent: Opponent
    load_new: Load
    load_old: Load
    private: Sequence[str] = ()
    only: RowSet | None = None
    floors: Floors = field(default_factory=Floors)


@dataclass
class _Contest:
    """Both versions, loaded, and how rows are read."""

    case: HoldOutCase
    spec: HoldOut
    new: Predictor
    old: Predictor
    notes: list[str] = field(default_factory=list)

    @cached_property
    def until(self) -> tuple[int | None, int | None]:
        """Up to when rows were seen in training by the old and the new version, in microseconds."""
        return _data_until(self.case.opponent.record), _data_until(self.case.new)

    @cached_property
    def rules(self) -> MetricRules:
        new, old, cost = self.case.new, self.case.opponent.record, self.spec.cost
        names = {**self.case.model.better, **({cost.metric: "lower"} if cost else {})}
        refits = {} if self.case.only else {n: (_refits(new, n), _refits(old, n)) for n in names}
        return MetricRules(names, refits, (_threshold(self.spec, old), _threshold(self.spec, new)), cost)

    def read(self, place: Path, time: str = "") -> HeldRows:
        return read_held(place, self.spec, (self.old, self.new), time)

    @cached_property
    def held(self) -> HeldRows:
        """The new hold-out. Raises as ``read_held``."""
        return self.read(_rows_of(self.case, self.case.new, self.spec))

    @cached_property
    def held_before(self) -> HeldRows:
        """The hold-out of the other version. Raises as ``read_held``."""
        return self.read(_rows_of(self.case, self.case.opponent.record, self.spec))


def holdout(root: Path, challenger: str, champion: str = "") -> ReportedModel:
    """Two recorded versions, as the report of a pull request tells it; without ``champion`` the one that the
    challenger would replace. Raises RefError, UsageError."""
    app, tree = load_application(root), WorkTree(root)
    new = resolve(tree, parse_reference(challenger), list(app.models))
    if champion:
        asked = parse_reference(champion)
        is_deployed = deployment_in(tree, asked.model, asked.selector) is not None
        role = ComparisonRole.ENVIRONMENT if is_deployed else ComparisonRole.BEFORE
        opponent = Opponent(role, asked.selector, resolve(tree, asked, list(app.models)))
    else:
        found = replaced(root, new)
        if found is None:
            raise UsageError(f"{new.reference} replaces no version", "name another one to hold it against")
        opponent = opponent_of(*found)
    if opponent.record.digest == new.digest:
        raise UsageError(f"{new.reference} is that version itself", "name another one")
    with Quarantine() as quarantine:
        load = _loading(replace(loader(root, app.models), quarantine=quarantine))
        floors = floors_of(app.monitors.of(new.model))
        case = HoldOutCase(root, app.models[new.model], new, opponent, load, load, app.private, floors=floors)
        held = compared(case)
    return ReportedModel(new.model, Outcome.NEW, version=new.version, origin=new.origin, holdout=held)


def opponent_of(record: Record, environment: str) -> Opponent:
    """What ``gitml.registry.replaced`` found."""
    role = ComparisonRole.ENVIRONMENT if environment else ComparisonRole.BEFORE
    return Opponent(role, environment or "the version before", record)


def _loading(through: Loader) -> Load:
    return lambda record: through.checked(record).model


def compared(case: HoldOutCase) -> ReportedHoldOut:
    """Never raises for what one of both versions lacks: that is the reason why they are not compared."""
    opponent = case.opponent
    told = ReportedHoldOut(opponent.role, opponent.name, opponent.record.version)
    spec = case.model.holdout
    if spec is None:
        return replace(told, why="gitml.yaml does not declare `holdout`: which rows it was judged on is not known")
    if opponent.record.digest == case.new.digest:
        return replace(told, why="it is the same version")
    try:
        contest = _contest(case, spec)
    except GitmlError as exc:
        return replace(told, why=first_line(exc.message))
    if case.only:
        found = _same_rows(contest, case.only, lambda: contest.held)
        return replace(told, sets=(found,), why=found.why, notes=tuple(contest.notes))
    told = replace(told, changed=_is_changed(contest))
    sets = tuple(_sets(contest, changed=told.changed))
    slices = _slices(contest) if not sets[0].why else ()
    window = window_change(case.root, spec, opponent.record, case.new)
    if spec.time in case.private and window is not None:
        window = WindowChange(why=f"{spec.time} is private")
    told = replace(told, sets=sets, why=sets[0].why, slices=slices, window=window, notes=tuple(contest.notes))
    return replace(told, like_traffic=_like_traffic(contest)) if spec.traffic and not told.why else told


def _like_traffic(contest: _Contest) -> LikeTraffic:
    """Rows of both that either version was trained on count too: it is their inputs that are looked at."""
    case, spec = contest.case, contest.spec
    place = case.root / str(spec.traffic)
    if not place.exists():
        return LikeTraffic(why=f"{spec.traffic} is not here")
    try:
        recent = contest.read(place, _ARRIVED)
    except (GitmlError, OSError, pa.ArrowException) as exc:
        return LikeTraffic(why=why_unread(exc))
    return like_traffic(
        contest.new.signature, (contest.held, spec.time or ""), (recent, _ARRIVED), case.floors, case.private
    )


def _contest(case: HoldOutCase, spec: HoldOut) -> _Contest:
    """Raises GitmlError where one does not load, or they do not answer the same question."""
    if spec.label in case.private or EVERY_COLUMN in case.private:
        raise InconclusiveError(f"{spec.label} is private: nothing of it may be told")
    sides = [_loaded(load, record) for load, record in _loads(case)]
    old, new = (side.signature.outputs[0] for side in sides)
    if (old.name, old.type) != (new.name, new.type):
        raise InconclusiveError(f"it answers {new.name} ({new.type}), the other version {old.name} ({old.type})")
    contest = _Contest(case, spec, sides[1], sides[0])
    if cost := contest.rules.cost:  # also, a version that lacks its threshold is found before rows are read
        contest.notes.append(_cost_note(cost, contest.rules.thresholds))
    if spec.time is None:
        contest.notes.append("Which rows a version was trained on is not known: `holdout.time` names no column.")
    elif None in contest.until:
        contest.notes.append("Which rows a version was trained on is not known: a signature has no `data_until`.")
    return contest


def _cost_note(cost: DecisionCost, thresholds: tuple[float, float]) -> str:
    old, new = thresholds
    return (
        f"{cost.metric} is what the decisions of each version cost, at its own threshold (here {new:.4g}, the other "
        f"{old:.4g}): {cost.false_negative:g} where nothing was done and it happened, {cost.false_positive:g} where "
        "something was done in vain."
    )


def _loads(case: HoldOutCase) -> list[tuple[Load, Record]]:
    return [(case.load_old, case.opponent.record), (case.load_new, case.new)]


def _loaded(load: Load, record: Record) -> Predictor:
    try:
        return load(record)
    except GitmlError as exc:
        raise InconclusiveError(f"{record.version} does not load: {first_line(exc.message)}") from exc
    except ImportError as exc:
        raise InconclusiveError(f"{record.version} does not load: {exc.name or exc} is not installed") from exc


def _is_changed(contest: _Contest) -> bool:
    """Whether the rows differ; their answers, which may stand beside them, always do."""
    case, name = contest.case, contest.spec.rows
    files = [record.files.get(name) for record in (case.opponent.record, case.new)]
    if files[0] is not None and files[1] is not None and files[0].sha256 == files[1].sha256:
        return False
    try:
        before, now = contest.held_before.table, contest.held.table
    except (GitmlError, OSError, pa.ArrowException):
        return True
    outputs = {f.name for f in contest.new.signature.outputs}
    names = [column for column in now.schema.names if column not in outputs]
    return not set(names) <= set(before.schema.names) or not before.select(names).equals(now.select(names))


def _sets(contest: _Contest, *, changed: bool) -> Iterator[SameRows]:
    """The new hold-out first. The old one only where it is another one, traffic only where there is some."""
    case, spec = contest.case, contest.spec
    yield _same_rows(contest, RowSet.NEW, lambda: contest.held)
    if changed:
        yield _same_rows(contest, RowSet.OLD, lambda: contest.held_before)
    if spec.traffic and (case.root / spec.traffic).exists():
        place = case.root / spec.traffic
        yield _same_rows(contest, RowSet.TRAFFIC, lambda: contest.read(place, _ARRIVED))


def _rows_of(case: HoldOutCase, record: Record, spec: HoldOut) -> Path:
    """By the digest that the record has. Raises InconclusiveError, and what fetching raises."""
    if spec.rows not in record.files:
        raise InconclusiveError(f"{record.version} has no {spec.rows}: it was trained before that was its hold-out")
    return CloneShelf(case.root).files(record, [spec.rows])[spec.rows]


def _same_rows(contest: _Contest, which: RowSet, read: Callable[[], HeldRows]) -> SameRows:
    try:
        held = read()
    except (GitmlError, OSError, pa.ArrowException) as exc:
        return SameRows(which, why=why_unread(exc))
    old_saw, new_saw = (_seen(held, until) for until in contest.until)
    # The old hold-out lies before the new one, so that mostly it was trained on: its figures are shown, not judged.
    out = old_saw | new_saw if which is not RowSet.OLD else np.zeros(len(old_saw), bool)
    told = _described(which, held, ~out)
    if which is not RowSet.TRAFFIC and contest.spec.time in contest.case.private:
        told = replace(told, first="", last="")
    told = replace(told, left_out=int(out.sum()), seen=int((new_saw & ~out).sum()))
    rows = held.answered.part(~out)
    if not len(rows.truth):
        return replace(told, why="no row is left that neither version was trained on")
    if not rows.finite:
        return replace(told, why="a label or an answer is not a finite number")
    metrics = metric_rows(rows, contest.rules)
    told = replace(told, metrics=metrics, flips=flips(rows, contest.rules), calibration=calibration(rows))
    return replace(told, why=_too_little(told, rows, contest))


def _too_little(told: SameRows, rows: AnsweredRows, contest: _Contest) -> str:
    if not told.metrics:
        named = ", ".join(contest.rules.better) or "none"
        return f"no metric under `better` ({named}) can be told from labels and answers"
    if rows.units < FEWEST_UNITS:
        return f"{rows.units} {told.unit}s are too few to tell a difference from chance: at least {FEWEST_UNITS}"
    return ""


def _described(which: RowSet, held: HeldRows, kept: Any) -> SameRows:
    rows = held.answered.part(kept)
    first = last = ""
    if held.moments is not None and kept.any():
        ends = pc.min_max(held.moments.filter(pa.array(kept))).as_py()
        first, last = (f"{moment:%Y-%m-%d}" if moment else "" for moment in (ends["min"], ends["max"]))
    of_two = rows.numeric and len(rows.truth) and bool(np.isin(rows.truth, (0.0, 1.0)).all())
    positives = float(rows.truth.mean()) if of_two else None
    return SameRows(which, len(rows.truth), held.unit, rows.units, first, last, positives)


def _seen(held: HeldRows, until: int | None) -> Any:
    """Which rows are of the time that a version was trained on."""
    if held.moments is None or until is None:
        return np.zeros(held.table.num_rows, bool)
    return held.moments.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False) < until


def _slices(contest: _Contest) -> tuple[SliceRow, ...]:
    spec = contest.spec
    hidden = [name for name in spec.slices if name in contest.case.private]
    wanted = [name for name in spec.slices if name not in hidden]
    if not wanted:
        return ()
    held = contest.held
    out = _seen(held, contest.until[0]) | _seen(held, contest.until[1])
    table = held.table.filter(pa.array(~out))
    lacking = [name for name in wanted if name not in table.schema.names]
    contest.notes += [f"The hold-out has no column {name} to slice by." for name in lacking]
    groups = {name: table[name].to_pylist() for name in wanted if name not in lacking}
    return tuple(slice_rows(held.answered.part(~out), groups, contest.rules))


def _data_until(record: Record) -> int | None:
    said = (record.signature or {}).get("data_until")
    try:
        found = parse_until(said) if isinstance(said, str) else None
    except WrongValueError:
        return None
    return None if found is None else int(found.astimezone(UTC).timestamp() * 1e6)


def _refits(record: Record, name: str) -> Any:
    metric = record.metrics.get(name)
    return metric.refits if metric else None


def _threshold(spec: HoldOut, record: Record) -> float:
    """Raises InconclusiveError for a version without the metric that holds it."""
    found = threshold_of(spec, record)
    if found is None:
        raise InconclusiveError(f"{record.version} has no metric {spec.threshold}, which is to hold its threshold")
    return found
