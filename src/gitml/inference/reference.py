"""``gitml reference``: the reference of the version that is being made, from the tables of its stages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from gitml.engines.base import naming
from gitml.engines.tables import format_of, open_table
from gitml.errors import UsageError
from gitml.files import write_file
from gitml.inference.scorefiles import inputs_at
from gitml.inference.scorework import csv_types
from gitml.inference.watches import floors_of
from gitml.jsontext import canonical, plain
from gitml.models.signature import parse as parse_signature
from gitml.monitoring.detectors.rowsample import sample_bytes, sample_of
from gitml.monitoring.evaluated import write_evaluated
from gitml.monitoring.reference import Expected, Part, VersionReference, write
from gitml.sketches.form import sketch_form
from gitml.sketches.layout import CALENDAR
from gitml.sketches.sketch import CLUSTERS
from gitml.spec import load_application
from gitml.spec.application import Application, Model
from gitml.spec.monitors import MonitorSpec
from gitml.traffic.private import EVERY_COLUMN

_ROWS = 65_536


@dataclass(frozen=True)
class ReferenceCall:
    """``features``: a table or a folder of tables with the rows of the training window; ``outputs``: those of the
    evaluation, with the model's answers. ``time``, ``unit`` and ``label`` name columns. ``since`` ≤ time <
    ``until``, of the features: the training window, where the tables hold more than it. ``signature``: a file, where it
    is not the one of gitml.yaml. ``zone``: of times that say none."""

    model: str
    features: str = ""
    outputs: str = ""
    time: str = ""
    unit: str = ""
    since: datetime | None = None
    until: datetime | None = None
    signature: str = ""
    label: str = ""
    zone: str = ""


def write_reference(root: Path, call: ReferenceCall) -> tuple[Path, VersionReference]:
    """To where gitml.yaml says. Raises UsageError."""
    app, model = _asked(root, call)
    if model.reference is None or not (call.signature or model.signature):
        key = "reference" if model.reference is None else "signature"
        raise UsageError(f"gitml.yaml names no {key} of {call.model}", f"add a line: {key}: artifacts/{key}.json")
    signature, spec = _signature_of(root, model, call), app.monitors.models.get(call.model, MonitorSpec())
    names = parse_signature(signature)
    outputs = _watched([f.name for f in names.outputs], spec, app) if call.outputs else []
    context = _context([f.name for f in names.inputs], spec, app)
    features = replace(features_of(root, app, call), context=context)
    inputs = features.columns if call.features else []
    if not inputs and not outputs:
        raise UsageError("no column of the signature is asked for", "name tables with --features and --outputs")
    answers = Part(_tables(call.outputs, signature), outputs, call.time, call.unit, context=context, zone=call.zone)
    place = root / model.reference
    parts = features if inputs else None, answers if outputs else None
    made = write(place, *parts, _expected(spec, app), recode=app.subjects is not None)
    if model.reference_rows and inputs:
        write_file(root / model.reference_rows, sample_bytes(sample_of(features)))
    return place, made


def write_evaluated_rows(root: Path, call: ReferenceCall) -> tuple[Path, int]:
    """Some rows of the evaluation with their labels, and how many. Raises UsageError."""
    app, model = _asked(root, call)
    if model.evaluated is None:
        raise UsageError(
            f"gitml.yaml names no evaluated of {call.model}", "add a line: evaluated: artifacts/evaluated.parquet"
        )
    if not call.outputs:
        raise UsageError("--label names a column of the evaluated rows", "name their table with --outputs")
    signature = _signature_of(root, model, call)
    names = parse_signature(signature)
    inputs, outputs = (
        [field.name for field in fields if field.name not in app.private] for fields in (names.inputs, names.outputs)
    )
    if EVERY_COLUMN in app.private or call.label in app.private or len(outputs) < len(names.outputs):
        raise UsageError("answers or labels are private: no row of them may be kept", "leave out --label")
    rows = _tables(call.outputs, signature)()
    return root / model.evaluated, write_evaluated(
        root / model.evaluated, rows, inputs, outputs, call.label, call.time, call.zone
    )


def _asked(root: Path, call: ReferenceCall) -> tuple[Application, Model]:
    app = load_application(root)
    if call.model not in app.models:
        raise UsageError(f"there is no model {call.model}", f"gitml.yaml has {', '.join(app.models)}")
    return app, app.models[call.model]


def features_of(root: Path, app: Application, call: ReferenceCall) -> Part:
    """The inputs of the signature in the training rows, without private ones. Raises UsageError."""
    signature, spec = _signature_of(root, app.models[call.model], call), app.monitors.models.get(call.model)
    names = [f.name for f in parse_signature(signature).inputs]
    inputs = _watched(names, spec or MonitorSpec(), app)
    return Part(_tables(call.features, signature), inputs, call.time, call.unit, call.since, call.until, zone=call.zone)


def _signature_of(root: Path, model: Model, call: ReferenceCall) -> dict[str, Any]:
    if not (call.signature or model.signature):
        hint = "add a line: signature: artifacts/signature.json"
        raise UsageError(f"gitml.yaml names no signature of {call.model}", hint)
    return signature_in(Path(call.signature) if call.signature else root / str(model.signature))


def signature_in(path: Path) -> dict[str, Any]:
    """The signature file of a version that is being made. Raises UsageError."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as exc:
        raise UsageError(f"{path} cannot be read: {exc}", "run the stage that writes it first") from exc


def _watched(names: Sequence[str], spec: MonitorSpec, app: Application) -> list[str]:
    """Private columns leave no trace in a file that is kept in Git."""
    if EVERY_COLUMN in app.private:
        return []
    return [name for name in names if name not in app.private and (not spec.columns or name in spec.columns)]


def _context(names: Sequence[str], spec: MonitorSpec, app: Application) -> Sequence[str]:
    unknown = [name for name in spec.context if name not in (*CALENDAR, *names)]
    if unknown:
        raise UsageError(f"{unknown[0]} is context and no input of the model", f"name inputs, or {', '.join(CALENDAR)}")
    private = [name for name in spec.context if name in app.private or EVERY_COLUMN in app.private]
    if private:
        raise UsageError(f"{private[0]} is context and private", "the traffic does not have it: choose another column")
    return spec.context


def _expected(spec: MonitorSpec, app: Application) -> Expected:
    clusters = CLUSTERS if spec.clusters is None else spec.clusters
    return Expected(spec.window, spec.looks_a_year, app.monitors.rate, floors_of(spec), clusters)


def _tables(text: str, signature: dict[str, Any]) -> Any:
    def read() -> Iterator[pa.RecordBatch]:
        inputs = inputs_at(text)
        for entry in inputs.files:
            with (
                naming(entry.name),
                open_table(
                    inputs.base / entry.name, str(format_of(entry.name)), _ROWS, csv_types(signature)
                ) as batches,
            ):
                yield from batches

    return read


def counts_of_a_look(made: VersionReference) -> int:
    """About how many bytes the counts of a look take, at the most: those of the reference have the same cells."""
    return sum(len(canonical(plain(sketch_form(part.sketch)))) for part in made.parts)
