"""``gitml explain``: a logged answer, explained by the version that gave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gitml.engines.places import place_of
from gitml.errors import FailedError, InconclusiveError, UsageError
from gitml.git.tree import WorkTree
from gitml.governance.explanation import CALLS, ExplainOrder, explained
from gitml.inference.clone import loader
from gitml.inference.known import refuse_unknown
from gitml.models.parity import agree
from gitml.registry.load import LoadedVersion, Loader
from gitml.registry.store import record_in
from gitml.reports.explanationfacts import AnsweringModel, ExplainedRequest, Explanation
from gitml.spec import Application, load_application
from gitml.spec.reasons import load_reasons
from gitml.traffic.private import EVERY_COLUMN
from gitml.traffic.reader import Window, rows_once

_FOUND_BY = ("request_id", "caller", "row", "rows", "arm", "outcome", "reason", "version", "arrived")
_FEATURE, _OUTPUT = "feature_", "output_"


@dataclass(frozen=True)
class ExplainCall:
    """``model``, ``caller``, ``row`` and ``arm`` tell apart what one id may name. ``window``: where to look for it."""

    request_id: str
    model: str = ""
    caller: str | None = None
    row: int | None = None
    arm: str = ""
    window: Window = field(default_factory=Window)
    output: str = ""
    calls: int = CALLS


@dataclass(frozen=True)
class TrafficPlace:
    """``folder`` of the traffic, and the local one that it is gathered in."""

    folder: str
    spool: Path | None = None


def explain(root: Path, place: TrafficPlace, call: ExplainCall) -> Explanation:
    """Raises UsageError where no answer, or more than one, fits the call; InconclusiveError where its inputs were not
    logged; FailedError where the version no longer answers what it answered; and what loading it raises."""
    app = load_application(root)
    model, found = _found(app, place, call)
    if found["outcome"] != "ok":
        why = f": {found['reason']}" if found["reason"] else ""
        raise UsageError(f"{call.request_id} was not answered but {found['outcome']}{why}", "there is no answer")
    record = record_in(WorkTree(root), model, str(found["version"]))
    ready = loader(root, app.models)
    version = ready.checked(record)
    row = _whole(place, model, found)
    values = _features(app, version, row)
    _compare(app, version, values, row)
    config = app.models[model]
    reasons = load_reasons(root, config.reasons) if config.reasons else None
    order = ExplainOrder(call.output, _background(ready, version), call.calls, reasons)
    digest = record.files[record.artifact].sha256
    who = AnsweringModel(model, record.version, digest, config.purpose or "", config.owner or "")
    return explained(version.model, who, _request(row), values, order)


def _found(app: Application, place: TrafficPlace, call: ExplainCall) -> tuple[str, Mapping[str, Any]]:
    """The one row that the call names, and its model."""
    if call.model:
        refuse_unknown(place.folder, call.model, list(app.models))
    models = [call.model] if call.model else [name for name in app.models if _has_traffic(place, name)]
    found = [(name, row) for name in models for row in _rows(place, name, call.window, call, _FOUND_BY)]
    if not found:
        raise UsageError(
            f"no logged request has the id {call.request_id}",
            "the log keeps what servers wrote with --log; look at `gitml traffic MODEL --since TIME`",
        )
    return _only(found, call)


def _has_traffic(place: TrafficPlace, model: str) -> bool:
    return f"model={model}" in (place_of(place.folder) / "predictions").folders() or place.spool is not None


def _rows(
    place: TrafficPlace, model: str, window: Window, call: ExplainCall, columns: Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    for batch in rows_once(place.folder, model, window, spool=place.spool, columns=columns):
        mine = pc.equal(batch["request_id"], pa.scalar(call.request_id))
        if call.row is not None:
            mine = pc.and_(mine, pc.equal(batch["row"], call.row))
        for row in batch.filter(mine).to_pylist():
            if (call.caller is None or (row["caller"] or "") == call.caller) and call.arm in ("", row["arm"]):
                yield row


def _only(found: Sequence[tuple[str, dict[str, Any]]], call: ExplainCall) -> tuple[str, Mapping[str, Any]]:
    # What a shadow said, nobody was told.
    told = [(model, row) for model, row in found if row["arm"] != "shadow"] if not call.arm else []
    left = told or found
    if len(left) == 1:
        return left[0]
    ways = (
        ("--model", {model for model, _ in left}),
        ("--caller", {row["caller"] or "" for _, row in left}),
        ("--row", {str(row["row"]) for _, row in left}),
        ("--arm", {row["arm"] or "" for _, row in left}),
        ("--since", {f"{row['arrived']:%Y-%m-%dT%H:%M:%SZ}" for _, row in left}),
    )
    option, values = next((way for way in ways if len(way[1]) > 1), ways[-1])
    some = ", ".join(sorted(values)[:5])
    raise UsageError(f"{call.request_id} names {len(left):,} answers", f"tell which with {option}, such as: {some}")


def _whole(place: TrafficPlace, model: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """All columns of the row, read from the moment when it arrived alone."""
    arrived: datetime = found["arrived"].astimezone(UTC)
    window = Window(arrived, arrived + timedelta(microseconds=1))
    call = ExplainCall(found["request_id"], caller=found["caller"] or "", row=found["row"], arm=found["arm"] or "")
    return next(_rows(place, model, window, call, None))


def _features(app: Application, version: LoadedVersion, row: Mapping[str, Any]) -> dict[str, Any]:
    names = [field.name for field in version.model.signature.inputs]
    absent = [name for name in names if f"{_FEATURE}{name}" not in row]
    if absent:
        private = [name for name in absent if name in app.private or EVERY_COLUMN in app.private]
        why = "is private, so it was not logged" if private else "was not logged"
        raise InconclusiveError(
            f"{(private or absent)[0]} {why}: the answer cannot be explained from the log",
            "who has the request can ask the version itself: gitml serve",
        )
    return {name: row[f"{_FEATURE}{name}"] for name in names}


def _compare(app: Application, version: LoadedVersion, values: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """The version must answer what it answered then: else the explanation would be of another answer."""
    signature = version.model.signature
    answers = version.model.answers(signature.columns({name: [value] for name, value in values.items()}))[0]
    for output, now in zip(signature.outputs, answers.tolist(), strict=True):
        name = f"{_OUTPUT}{output.name}"
        if name not in row:
            raise InconclusiveError(
                f"{output.name} was not logged, so what was answered is not known",
                "columns under `private` in gitml.yaml are never logged, and never told",
            )
        if not agree(now, row[name]):
            raise FailedError(
                f"{version.record.reference} answers {output.name} = {now!r}, and {row[name]!r} was logged",
                "was it served with other releases of its libraries? An explanation would be of another answer",
            )


def _background(ready: Loader, version: LoadedVersion) -> Any:
    """The version's sample rows, encoded; None where it has none."""
    columns = ready.samples(version.record)
    names = [field.name for field in version.model.signature.inputs]
    return None if columns is None else version.model.signature.columns({name: columns[name] for name in names})


def _request(row: Mapping[str, Any]) -> ExplainedRequest:
    answered = row["answered"] or row["arrived"]
    return ExplainedRequest(
        row["request_id"], row["row"], row["environment"] or "", row["arm"] or "",
        f"{answered.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )  # fmt: skip
