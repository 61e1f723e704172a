"""What the page of a version says that it takes, from signed trials alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gitml.site.readsizing import sized
from gitml.site.versionfacts import SiteModel, VersionDetail
from policy.kit import NEW, NEW_FILE, NOW, proof

TOLD = {
    "memory_mb": 212,
    "load_s": 0.1234,
    "row_ms": {"1": 0.25, "32": 0.011, "1024": 0.003},
    "processor": "x86_64",
}


def page(*told: Any, artifact: str = NEW_FILE) -> str:
    detail = VersionDetail("delay", NEW, "", "", "ci", "", "", (), "model.skops", artifact, 1, "")
    return sized(SiteModel("delay", details={NEW: detail}), told).details[NEW].sizing


def trial(sizing: Any, **more: Any) -> Any:
    return proof("evaluated", details={"sizing": sizing}, **more)


def test_the_newest_believed_trial_of_the_same_bytes_says_what_a_version_takes() -> None:
    rows = "a row alone 0.25 ms; of 32 at once 0.011 ms; of 1,024 at once 0.003 ms"
    assert page(trial(TOLD)) == f"212 MB in a process; loaded in 0.123 s; {rows}; on a core of x86_64"
    on_gpu = {**TOLD, "device": "NVIDIA H200", "driver": "550.54.15", "row_ms_on_cores": {"32": 0.2}}
    told = "of 32 at once 0.2 ms on cores; on NVIDIA H200, driver 550.54.15"
    assert page(trial(TOLD), trial(on_gpu, time=NOW)).endswith(told)
    assert page(trial(TOLD), trial({**TOLD, "memory_mb": 1}, time=NOW, why_not="nobody signed it")).startswith("212 MB")
    assert page(trial(TOLD, time=NOW), trial({"memory_mb": 1}, time=NOW - timedelta(days=3))).startswith("212 MB")
    assert page(trial(TOLD), artifact="0" * 64) == "", "other bytes were tried"
    assert page(proof("evaluated")) == page() == ""


def test_what_is_no_number_is_left_out() -> None:
    for bad in (None, "much", [1], {"memory_mb": True, "load_s": -1, "row_ms": [1]}):
        assert page(trial(bad)) == ""
    strange = {
        "memory_mb": "212",
        "load_s": 10**400,
        "row_ms": {"1": {}, "<b>": 3, "9" * 5000: 1, "0": 1, "8": 2.0},
        "device": "<b>" * 100,
    }
    assert page(trial(strange)) == f"of 8 at once 2 ms; on {('<b>' * 100)[:100]}"
