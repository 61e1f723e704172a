"""``gitml importance``: what the version that is being made goes by, on the rows that were held out.

Permutation importance: L. Breiman, "Random forests", Machine Learning 45 (2001); of any model, A. Fisher, C. Rudin and
F. Dominici, "All models are wrong, but many are useful", JMLR 20 (2019). The values of an input change places among the
rows, and what the metric loses by that is its importance. Of inputs that say the same each looks unimportant alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.attribution.partialdependence import partial_dependence
from gitml.errors import InconclusiveError, UsageError
from gitml.files import write_file
from gitml.inference.heldrows import LabelledRows, labelled_rows, numbers_of
from gitml.inference.reference import signature_in
from gitml.inference.samerows import AnsweredRows, MetricRules, tellable
from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.signature import Rows
from gitml.reports.figures import figure
from gitml.reports.importancefacts import (
    DependenceCurve,
    DependencePoint,
    InputImportance,
    ReportedImportance,
    importance_json,
)
from gitml.rollout.metrics import METRICS
from gitml.spec import load_application
from gitml.spec.application import Application, Model
from gitml.spec.holdout import HoldOut
from gitml.stats import fixedsample
from gitml.stats.contrast import differences
from gitml.stats.influence import Influence
from gitml.traffic.private import EVERY_COLUMN

_MOST_ROWS, _CURVE_ROWS, _POINTS = 20_000, 1_000, 10
# A value that few rows have may tell of a person.
_FEWEST_NAMED = 20


@dataclass(frozen=True)
class ImportanceCall:
    """``rows`` and ``label`` where gitml.yaml has no `holdout`; ``time`` and ``unit``: columns of rows that are alike.
    ``curves``: of how many inputs the partial dependence is told."""

    model: str
    rows: str = ""
    label: str = ""
    time: str = ""
    unit: str = ""
    repeats: int = 5
    curves: int = 3


def write_importance(root: Path, call: ImportanceCall) -> tuple[Path, ReportedImportance]:
    """To where gitml.yaml says. Raises UsageError, InconclusiveError where the rows cannot tell."""
    app = load_application(root)
    if call.model not in app.models:
        raise UsageError(f"there is no model {call.model}", f"gitml.yaml has {', '.join(app.models)}")
    model = app.models[call.model]
    if model.importance is None or model.signature is None:
        key = "importance" if model.importance is None else "signature"
        raise UsageError(f"gitml.yaml names no {key} of {call.model}", f"add a line: {key}: artifacts/{key}.json")
    spec = _spec(model, call)
    if spec.label in app.private or EVERY_COLUMN in app.private:
        raise UsageError(f"{spec.label} is private: nothing of it may be told", "see `private` in gitml.yaml")
    made = importance(_loaded(root, model), root / spec.rows, spec, MetricRules(model.better, {}), (app, call))
    write_file(root / model.importance, importance_json(made).encode())
    return root / model.importance, made


def _spec(model: Model, call: ImportanceCall) -> HoldOut:
    found = model.holdout
    if call.rows or call.label:
        if not (call.rows and call.label):
            raise UsageError("--rows and --label belong together", "name the table, and its column of labels")
        return HoldOut(rows=call.rows, label=call.label, time=call.time or None, unit=call.unit or None)
    if found is None:
        hint = "add `holdout: {rows, label}` to the model in gitml.yaml, or name --rows and --label"
        raise UsageError(f"nothing says which rows {call.model} is judged on", hint)
    return found.model_copy(update={"time": call.time or found.time, "unit": call.unit or found.unit})


def _loaded(root: Path, model: Model) -> Predictor:
    """The artifact as it lies in the tree: the stage before made it."""
    path = root / model.artifact
    if model.artifact_format == "ensemble" or not path.is_file():
        what = "an ensemble" if model.artifact_format == "ensemble" else "not there as a file"
        raise UsageError(f"{model.artifact} is {what}", "of ensembles ask the members; else run the stage that trains")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return load(path, model.artifact_format, signature_in(root / str(model.signature)), sha256=digest)


def importance(
    model: Predictor, place: Path, spec: HoldOut, rules: MetricRules, asked: tuple[Application, ImportanceCall]
) -> ReportedImportance:
    """The same rows, model and repeats give the same numbers: the seed is the model's digest. Raises InconclusiveError
    where the rows do not have what the model takes, or tell no metric under `better`."""
    app, call = asked
    random = np.random.Generator(np.random.PCG64(int(model.digest[:16], 16)))
    held = _some(labelled_rows(place, spec, model), random)
    rows, names = _encoded(model, held), [one.name for one in model.signature.inputs]
    judged = _Judged(held, held.table[spec.label].to_pylist(), _metric(model, held, rows, spec, rules))
    own = judged.influence(model.answers(rows)[:, 0])
    found = [_of_input(model, judged, (rows, number), own, call.repeats, random) for number in range(len(names))]
    order = sorted(range(len(names)), key=lambda number: (-found[number].value, names[number]))
    # Curves show values, which of private inputs nobody is told.
    public = [n for n in order if names[n] not in app.private and model.signature.outputs[0].type.startswith("float")]
    return ReportedImportance(
        metric=judged.metric,
        better="higher" if METRICS[judged.metric].higher else "lower",
        rows=len(rows),
        unit=held.word,
        units=len(np.unique(held.unit)),
        repeats=call.repeats,
        inputs=tuple(found[number] for number in order),
        curves=tuple(_curve(model, held, rows, number) for number in public[: call.curves]),
    )


def _encoded(model: Predictor, held: LabelledRows) -> Rows:
    names = [one.name for one in model.signature.inputs if one.name in held.table.schema.names]
    lacking = [f.name for f in model.signature.inputs if f.name not in names and not f.nullable]
    if lacking:
        raise InconclusiveError(f"it takes the column {lacking[0]}, which these rows do not have")
    return model.signature.columns({name: held.table[name].to_pylist() for name in names})


def _metric(model: Predictor, held: LabelledRows, rows: Rows, spec: HoldOut, rules: MetricRules) -> str:
    """The first one under `better` that labels and answers tell."""
    truth, answers = held.table[spec.label].to_pylist(), model.answers(rows)[:, 0].tolist()
    (known, told), numeric = numbers_of([truth, answers])
    found = tellable(AnsweredRows(held.unit, known, told, told, numeric), rules)
    if not found:
        named = ", ".join(rules.better) or "none"
        raise InconclusiveError(f"no metric under `better` ({named}) can be told from labels and answers")
    return found[0]


def _some(held: LabelledRows, random: np.random.Generator) -> LabelledRows:
    """So many rows as give an answer in minutes, drawn at random."""
    if held.table.num_rows <= _MOST_ROWS:
        return held
    kept = np.sort(random.choice(held.table.num_rows, _MOST_ROWS, replace=False))
    return replace(held, table=held.table.take(pa.array(kept)), unit=held.unit[kept])


@dataclass(frozen=True)
class _Judged:
    """A metric of answers to the same rows."""

    held: LabelledRows
    truth: list[Any]
    metric: str

    def influence(self, answers: NDArray[Any]) -> Influence:
        (truth, told), _ = numbers_of([self.truth, answers.tolist()])
        return METRICS[self.metric].influence(self.held.unit, truth, told)


def _of_input(
    model: Predictor,
    judged: _Judged,
    asked: tuple[Rows, int],
    own: Influence,
    repeats: int,
    random: np.random.Generator,
) -> InputImportance:
    """The error is that of the rows, by units that are alike, and of the few times that values changed places."""
    rows, number = asked
    changes = []
    for _ in range(repeats):
        order = random.permutation(len(rows))
        changed = rows.copy()
        changed[:, number] = rows[order, number]
        changes.append(change_by_exchange(own, judged.influence(model.answers(changed)[:, 0]), order))
    found = differences(mean_change(changes), own.value)
    bounds = fixedsample.interval(found)
    name, sign = model.signature.inputs[number].name, -1.0 if METRICS[judged.metric].higher else 1.0
    value = _short(sign * found.difference)
    if bounds is None:
        return InputImportance(name, value)
    low, high = sorted((_short(sign * bounds.low), _short(sign * bounds.high)))
    return InputImportance(name, value, low, high)


def _short(value: float) -> float:
    """Six digits: what other processors round otherwise is no change of the file."""
    return float(f"{value:.6g}") + 0.0


def change_by_exchange(own: Influence, changed: Influence, order: NDArray[np.int64]) -> Influence:
    """How far each row moves the change of a metric when row n gets a value of row ``order[n]``.

    A row counts twice: by its own answer, and by that of the row that has its value now (a U-statistic of degree two;
    W. Hoeffding, "A class of statistics with asymptotically normal distribution", 1948). Counted once, intervals of
    95 % hold 80 %.
    """
    received = changed.rows - own.rows
    given = np.empty_like(received)
    given[order] = received
    return _influence(changed.value - own.value, own, received + given)


def mean_change(found: list[Influence]) -> Influence:
    """Of several exchanges of the same values."""
    return _influence(float(np.mean([f.value for f in found])), found[0], np.mean([f.rows for f in found], axis=0))


def _influence(value: float, like: Influence, rows: NDArray[np.float64]) -> Influence:
    alone = float(rows @ rows) * len(rows) / max(len(rows) - 1, 1)
    return Influence(value, like.unit, rows, like.count, alone)


def _curve(model: Predictor, held: LabelledRows, rows: Rows, number: int) -> DependenceCurve:
    """Over the deciles of numbers and the most frequent words, none of which few rows have."""
    field = model.signature.inputs[number]
    if field.name not in held.table.schema.names:
        return DependenceCurve(field.name)
    values = held.table[field.name].to_pylist()
    chosen = _of_numbers(values) if field.type.startswith(("float", "int")) else _of_words(values)
    first = {value: values.index(value) for value in chosen}

    def score(asked: Rows) -> NDArray[np.float64]:
        return np.asarray(model.answers(asked)[:, 0], np.float64)

    some = rows[:: max(1, len(rows) // _CURVE_ROWS)]
    means = partial_dependence(score, some, number, [rows[place, number] for place in first.values()])
    labels = [figure(v) if isinstance(v, float) else str(v)[:200] for v in first]
    return DependenceCurve(
        field.name, tuple(DependencePoint(label, _short(mean)) for label, mean in zip(labels, means, strict=True))
    )


def _of_numbers(values: list[Any]) -> list[Any]:
    """Values that stand in the rows, at the deciles from the first to the ninth."""
    known = sorted(value for value in values if value is not None and value == value)
    if len(known) < _FEWEST_NAMED:
        return []
    places = ((len(known) - 1) * part // (_POINTS + 1) for part in range(1, _POINTS + 1))
    return list(dict.fromkeys(known[place] for place in places))


def _of_words(values: list[Any]) -> list[Any]:
    often = Counter(value for value in values if value is not None).most_common(_POINTS)
    return [value for value, count in often if count >= _FEWEST_NAMED]
