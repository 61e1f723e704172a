"""What Prometheus reads of answers is what its own counters would say."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gitml.serving.answercounts import BY_VARIANT, SECONDS, AnswerCounts

ASKED = [(200, 3, 0.0005), (200, 1, 0.00051), (422, 0, 0.0), (200, 2, 99.0), (500, 0, 0.0), (200, 1, 0.3)]


def page(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


def test_the_page_is_that_of_the_librarys_own_counters() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts = AnswerCounts()
    ours.register(counts)
    requests = Counter("gitml_requests", "Requests by their answer", (*BY_VARIANT, "code"), registry=theirs)
    rows = Counter("gitml_rows", "Rows that were answered", BY_VARIANT, registry=theirs)
    seconds = Histogram(
        "gitml_request_seconds", "From the request's head to its answer", BY_VARIANT, buckets=SECONDS, registry=theirs
    )
    for variant in (("delay", "v1", "champion"), ("delay", "v2", "canary")):
        for code, count, took in ASKED:
            counts.of(*variant).add(code, count, took)
            requests.labels(*variant, str(code)).inc()
            if code == 200:
                rows.labels(*variant).inc(count)
                seconds.labels(*variant).observe(took)
    assert page(ours) == page(theirs)


def test_a_version_that_only_failed_has_no_times() -> None:
    registry, counts = CollectorRegistry(), AnswerCounts()
    registry.register(counts)
    counts.of("delay", "v1", "champion").add(500, 0, 0.0)
    found = page(registry)
    assert 'gitml_requests_total{code="500",model="delay",variant="champion",version="v1"} 1.0' in found
    assert not any(line.startswith("gitml_rows_total{") for line in found)
