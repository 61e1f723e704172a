"""Lines of JSON through a version: what an engine's stream of text becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from gitml.engines.base import Batches
from gitml.engines.rejects import Reject
from gitml.engines.streamed import LINE, LINES, REASON
from gitml.inference.scorepacked import PackedScoring
from gitml.inference.scorework import ScoreWork
from gitml.models.model import Answers, ModelError, UnknownWordError
from gitml.models.signature import InputError
from gitml.registry import Record
from gitml.serving.limits import Limits
from gitml.serving.plainjson import AskedRows, outputs
from gitml.serving.wire import RequestError, parse_json

# Of one line, as of one request.
LIMITS = Limits()
VERSION, DIGEST = "gitml_version", "gitml_digest"


@dataclass(frozen=True)
class LineScoring:
    """``LineWork`` for workers that have no clone. Its digest is checked before it is loaded."""

    packed: PackedScoring

    def __call__(self) -> LineWork:
        return LineWork(self.packed(), self.packed.scoring.record)


@dataclass(frozen=True)
class LineWork:
    """``gitml.engines.Work`` over one column of lines, each a row as an object of JSON, read as ``/predict`` reads it.

    A line becomes the same object without the inputs, and with the answers, the version and its digest.
    """

    work: ScoreWork
    record: Record

    def schema(self, _: pa.Schema) -> pa.Schema:
        return LINES

    def __call__(self, batches: Batches, facts: dict[str, int], reject: Reject) -> Batches:
        for batch in batches:
            lines = batch.column(LINE).to_pylist()
            wrong: dict[int, str] = {}
            rows = self._read(lines, wrong)
            told = self._answered(rows, wrong)
            if wrong:
                numbers = sorted(wrong)
                reasons = {LINE: [lines[n] for n in numbers], REASON: [wrong[n] for n in numbers]}
                reject(pa.record_batch({name: pa.array(found, pa.string()) for name, found in reasons.items()}))
            yield pa.record_batch({LINE: pa.array(told, pa.string())})

    def _read(self, lines: Sequence[str | None], wrong: dict[int, str]) -> dict[int, dict[str, Any]]:
        rows = {}
        for number, line in enumerate(lines):
            body = (line or "").encode("utf-8", "surrogateescape")
            if len(body) > LIMITS.body:
                wrong[number] = f"the line has {len(body):,} bytes, {LIMITS.body:,} are allowed"
                continue
            try:
                row = parse_json(body)
            except RequestError as exc:
                wrong[number] = exc.message.replace("the body", "the line", 1)
                continue
            if isinstance(row, dict):
                rows[number] = row
            else:
                wrong[number] = "the line is not an object of JSON"
        return rows

    def _answered(self, rows: Mapping[int, dict[str, Any]], wrong: dict[int, str]) -> list[str]:
        told: list[str] = []
        open_parts = [list(rows)] if rows else []
        while open_parts:
            part = open_parts.pop()
            try:
                answers = self._answers([rows[number] for number in part])
            except (InputError, UnknownWordError, ModelError) as exc:
                # Halved until single lines are left: only the one at fault gets the error.
                middle = len(part) // 2
                if middle:
                    open_parts += [part[middle:], part[:middle]]
                else:
                    wrong[part[0]] = _said(exc)
                continue
            told += [self._line(rows[number], answers[n : n + 1]) for n, number in enumerate(part)]
        return told

    def _answers(self, rows: list[dict[str, Any]]) -> Answers:
        model = self.work.model
        return model.answers(AskedRows(rows, None, "", None).encoded(model.signature, narrow=True))

    def _line(self, row: Mapping[str, Any], answers: Answers) -> str:
        signature = self.work.model.signature
        named = {name: values[0] for name, values in outputs(signature, answers).items()}
        named |= {VERSION: self.record.version, DIGEST: self.work.model.digest}
        inputs = {f.name for f in signature.inputs}
        kept = {f"{name}.given" if name in named else name: v for name, v in row.items() if name not in inputs}
        return orjson.dumps({**kept, **named}).decode()


def _said(exc: InputError | UnknownWordError | ModelError) -> str:
    if isinstance(exc, InputError | UnknownWordError):
        return "; ".join(f"{p.field}: expected {p.expected}, got {p.got}" for p in exc.problems)
    return exc.message
