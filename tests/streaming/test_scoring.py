"""Messages through versions without a broker: who answers, what becomes of those that cannot be answered."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from gitml.errors import UsageError
from gitml.inference.stream import settings_of
from gitml.serving.metrics import Metrics
from gitml.serving.router import route
from gitml.serving.state import Served, ServerState
from gitml.streaming.kafka import kafka_place
from gitml.streaming.messages import Position, StreamMessage
from gitml.streaming.scoring import ARROW, MessageScoring
from gitml.traffic.predictionlog import LogStats
from serving_server import ROW


def message(number: int, value: Any, key: str = "", **headers: bytes) -> StreamMessage:
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    named = {name.replace("_", "-"): told for name, told in headers.items()}
    return StreamMessage(Position("asked", 0, number), key.encode() or None, raw, named)


def scored(state: ServerState, *messages: StreamMessage) -> Any:
    return scoring(state).scored(served(state), messages)


def served(state: ServerState) -> Served:
    return state.served["delay"]


def scoring(state: ServerState) -> MessageScoring:
    return MessageScoring(Metrics(state, LogStats))


def test_a_key_is_the_unit_and_each_answer_names_who_gave_it_and_where_its_message_stood(state: ServerState) -> None:
    keys = [f"N{n}" for n in range(20)]
    found = scored(state, *(message(n, ROW, key) for n, key in enumerate(keys)))
    assert [str(a.of) for a in found.answers] == [f"asked/0/{n}" for n in range(20)]
    drawn = [route(served(state).deployment, key, model="delay", environment="production") for key in keys]
    assert set(drawn) == {"champion", "canary"}
    assert [a.headers["gitml-variant"].decode() for a in found.answers] == drawn
    for answer, key in zip(found.answers, keys, strict=True):
        variant = served(state).choose(key)
        alone = variant.model.predict({name: [value] for name, value in ROW.items()})
        assert json.loads(answer.value or b"")["outputs"]["p_late"] == pytest.approx(alone.tolist(), abs=1e-12)
        assert answer.headers["gitml-digest"].decode() == variant.digest
        assert answer.headers["gitml-position"] == str(answer.of).encode()
    assert [e.arm.name for e in found.events] == drawn
    assert [e.unit for e in found.events] == keys
    assert {e.caller for e in found.events} == {"asked"}
    assert found.events[3].request_id == "asked/0/3", "a message that comes again is the same request"


def test_what_cannot_be_answered_is_a_dead_letter_with_its_reason_and_takes_no_other_with_it(
    state: ServerState,
) -> None:
    wrong: list[tuple[Any, str]] = [
        (None, "json"),
        (b"", "json"),
        (b"\xff{", "json"),
        (b'{"carrier": "UA", "carrier": "AA"}', "json"),
        ([], "json"),
        ({"rows": []}, "json"),
        ({**ROW, "distance": "far"}, "input"),
        ({"carrier": "UA"}, "input"),
        ({"rows": [ROW] * 10_001}, "rows"),
        ({**ROW, "distance": float("nan")}, "json"),
    ]
    messages = [message(n, value, "k", trace=b"t") for n, (value, _) in enumerate(wrong)]
    found = scored(state, message(100, ROW), *messages, message(101, {"rows": [ROW, ROW], "id": "mine"}))
    first, *dead, last = found.answers
    assert not first.dead
    assert not last.dead
    assert len(json.loads(last.value or b"")["outputs"]["p_late"]) == 2
    assert last.headers["x-request-id"] == b"mine"
    for answer, given, (_, reason) in zip(dead, messages, wrong, strict=True):
        assert (answer.dead, answer.value, answer.key) == (True, given.value, b"k")
        assert answer.headers["gitml-reason"].decode() == reason
        assert answer.headers["gitml-error"]
        assert answer.headers["trace"] == b"t"
    assert [e.outcome for e in found.events][1:-1] != ["ok"] * len(wrong)
    assert all(e.outcome in ("invalid", "refused") for e in found.events[1:-1])


def as_arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def test_arrow_in_arrow_out(state: ServerState) -> None:
    table = pa.Table.from_pylist([ROW, ROW])
    strange = pa.Table.from_pylist([{**ROW, "carrier": "ZZ"}])
    values = [
        as_arrow(table),
        as_arrow(table)[:60],
        as_arrow(table.append_column("age", table["age"])),
        as_arrow(strange),
    ]
    answer, torn, doubled, unknown = scored(
        state, *(message(n, value, "N1", content_type=ARROW) for n, value in enumerate(values))
    ).answers
    assert "two columns age" in doubled.headers["gitml-error"].decode()
    assert unknown.headers["gitml-warnings"] == b"carrier: 1 word that the model does not know"
    assert "gitml-warnings" not in answer.headers
    with pa.ipc.open_stream(answer.value) as reader:
        found = reader.read_all()
    (plain,) = scored(state, message(0, {"rows": [ROW, ROW]}, "N1")).answers
    assert found["p_late"].to_pylist() == json.loads(plain.value or b"")["outputs"]["p_late"]
    assert torn.dead


@pytest.mark.parametrize(
    "url", ["http://a/t", "kafka://a:9092", "kafka://a/t/u", "kafka:///t", "kafka://me:secret@a/t"]
)
def test_an_address_that_is_no_topic_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        kafka_place(url)


def test_settings_that_are_none_are_refused_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2"):
        settings_of("a=1\nnothing\n")
