"""How late answers are, against a declared bound."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from gitml.streaming.latency import StreamLatency
from gitml.streaming.run import StreamBounds


def test_the_99th_percentile_is_held_against_the_bound_and_people_hear_of_each_change() -> None:
    registry, said = CollectorRegistry(), list[str]()
    latency = StreamLatency(registry, 0.1, said.append)
    latency.add([99.97] * 99, 100.0)
    assert registry.get_sample_value("gitml_stream_latency_p99_seconds") == 0.0, "too few to tell the last hundredth"
    latency.add([100.97] * 900 + [0.0, 200.0], 101.0)
    assert registry.get_sample_value("gitml_stream_latency_p99_seconds") == pytest.approx(0.03)
    assert registry.get_sample_value("gitml_stream_latency_seconds_count") == 1000, "a time that nobody told is none"
    assert said == []
    latency.add([101.5] * 20, 102.0)
    latency.add([102.5] * 20, 103.0)
    latency.add([103.99] * 10_000, 104.0)
    assert [words.partition(": ")[0].partition("answers ")[2] for words in said] == [
        "is above the bound", "is within the bound",
    ]  # fmt: skip
    assert registry.get_sample_value("gitml_stream_latency_seconds_bucket", {"le": "0.1"}) == 11_000
    assert registry.get_sample_value("gitml_stream_latency_bound_seconds") == 0.1


def test_no_batch_waits_longer_for_more_messages_than_a_quarter_of_the_bound() -> None:
    assert StreamBounds(500, 0.2, 0.1).longest == 0.025
    assert StreamBounds(500, 0.02, 0.1).longest == 0.02
    assert StreamBounds(500, 0.2).longest == 0.2
